"""Spans, metrics and logs of a call: one trace through every hop, stable names, no secrets."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from chassis import telemetry
from chassis.testing import TestKeys, call_as, refused, wait_until
from tests.integration.chassis.compiled import ROOT
from tests.integration.chassis.greeter import POLICIES, SECRET, Greeter, greeter, pb, pb_grpc

NAME = "kelola.greeter.v1.GreeterService"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("spans")


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[Greeter]:
    with greeter(tmp_path_factory.mktemp("greeter"), trace_dir=folder) as service:
        yield service


def _spans(folder: Path, trace_id: str) -> list[dict[str, Any]]:
    telemetry.flush()
    lines = [line for file in folder.glob("*.jsonl") for line in file.read_text(encoding="utf-8").splitlines()]
    found = []
    for line in lines:
        (resource,) = json.loads(line)["resourceSpans"]
        (scope,) = resource["scopeSpans"]
        (span,) = scope["spans"]
        if span["traceId"] == trace_id:
            found.append(span)
    return found


def _attributes(span: dict[str, Any]) -> dict[str, Any]:
    return {one["key"]: next(iter(one["value"].values())) for one in span["attributes"]}


def test_one_trace_goes_through_every_hop(door: Greeter, folder: Path) -> None:
    with telemetry.span("a test") as root:
        trace_id = f"{root.get_span_context().trace_id:032x}"
        parent = telemetry.traceparent()
        metadata = [("authorization", f"Bearer {door.reader}"), ("traceparent", str(parent))]
        door.stub.Relay(pb.RelayRequest(), metadata=metadata, timeout=10)

    spans = wait_until(lambda: found if len(found := _spans(folder, trace_id)) >= 4 else None)
    by_id = {span["spanId"]: span for span in spans}
    served = next(one for one in spans if one["name"] == f"{NAME}/Greet" and one["kind"] == 2)
    asked = by_id[served["parentSpanId"]]
    relay = by_id[asked["parentSpanId"]]

    assert (asked["name"], asked["kind"]) == (f"{NAME}/Greet", 3)
    assert (relay["name"], relay["kind"]) == (f"{NAME}/Relay", 2)
    assert by_id[relay["parentSpanId"]]["name"] == "a test"


def test_spans_have_the_conventions_names_and_the_status(door: Greeter, folder: Path) -> None:
    with telemetry.span("a test") as root:
        trace_id = f"{root.get_span_context().trace_id:032x}"
        metadata = [
            ("authorization", f"Bearer {door.reader}"),
            ("traceparent", str(telemetry.traceparent())),
        ]
        for how in ("closed", "value"):
            with pytest.raises(grpc.RpcError):
                door.stub.Fail(pb.FailRequest(how=how), metadata=metadata, timeout=10)

    spans = wait_until(lambda: found if len(found := _spans(folder, trace_id)) >= 3 else None)
    closed, broken = (one for one in spans if one["name"] == f"{NAME}/Fail")

    attributes = _attributes(closed)
    assert attributes["rpc.system.name"] == "grpc"
    assert attributes["rpc.method"] == f"{NAME}/Fail"
    assert attributes["rpc.response.status_code"] == "FAILED_PRECONDITION"
    assert attributes["kelola.reason"] == "GREETINGS_CLOSED"
    assert attributes["kelola.principal"] == str(door.person)
    assert _attributes(broken)["rpc.response.status_code"] == "INTERNAL"
    assert broken["status"]["code"] == 2, "our own mistake is an error of the span"
    assert SECRET not in json.dumps(spans)
    assert "hunter2" not in json.dumps(spans)


def test_the_log_line_of_a_failure_has_the_reference_and_no_national_id(
    door: Greeter, caplog: pytest.LogCaptureFixture
) -> None:
    seen = refused(door.stub.Fail, pb.FailRequest(how="value"), door.reader)

    lines = [str(record.msg) for record in caplog.records]
    (line,) = [line for line in lines if seen.metadata["reference"] in line]
    assert "ValueError" in line
    assert "trace_id" in line
    assert "3171012345678901" not in line
    assert not any(door.reader in line for line in lines)


def test_streams_leave_no_context_behind_on_the_pools_threads(door: Greeter, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(20):
        stream = call_as(door.stub.StreamGreetings, pb.StreamGreetingsRequest(count=50), door.reader)
        next(stream)
        stream.cancel()
    wait_until(lambda: door.container._running == 0)

    assert not [record for record in caplog.records if "detach" in record.getMessage()]


def test_a_trace_is_continued_from_text_and_from_nothing() -> None:
    with telemetry.span("first") as first:
        parent = telemetry.traceparent()
    seen: list[str | None] = []

    def later() -> None:
        with telemetry.continue_trace(parent), telemetry.span("later"):
            seen.append(telemetry.trace_id())
        with telemetry.continue_trace(None), telemetry.span("fresh"):
            seen.append(telemetry.trace_id())
        with telemetry.continue_trace("rubbish"), telemetry.span("fresh"):
            seen.append(telemetry.trace_id())

    thread = threading.Thread(target=later)
    thread.start()
    thread.join()

    first_trace = f"{first.get_span_context().trace_id:032x}"
    assert seen[0] == first_trace
    assert first_trace not in seen[1:]
    assert len(set(seen)) == 3


class _Collector(trace_service_pb2_grpc.TraceServiceServicer, metrics_service_pb2_grpc.MetricsServiceServicer):
    """An OTLP collector that keeps what it is sent."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.points: list[Any] = []
        self.services: set[str] = set()

    def Export(self, request: Any, context: grpc.ServicerContext) -> Any:
        if isinstance(request, trace_service_pb2.ExportTraceServiceRequest):
            for resource in request.resource_spans:
                self.services |= {
                    one.value.string_value for one in resource.resource.attributes if one.key == "service.name"
                }
                for scope in resource.scope_spans:
                    self.spans += scope.spans
            return trace_service_pb2.ExportTraceServiceResponse()
        for resource in request.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    if metric.name == "rpc.server.call.duration":
                        self.points += metric.histogram.data_points
        return metrics_service_pb2.ExportMetricsServiceResponse()


def test_spans_and_durations_reach_an_otlp_collector_before_the_process_ends(tmp_path: Path) -> None:
    collector = _Collector()
    server = grpc.server(ThreadPoolExecutor(2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    keys = TestKeys(tmp_path, services=("greeter",))
    (tmp_path / "greeter.cedar").write_text(POLICIES, encoding="utf-8")
    address_file = tmp_path / "address"
    environment = {
        **os.environ,
        **{f"KELOLA_{name.upper()}": str(value) for name, value in keys.settings_values("greeter").items()},
        "KELOLA_POLICIES_DIR": str(tmp_path),
        "KELOLA_GRPC_ADDRESS_FILE": str(address_file),
        "KELOLA_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
        "PYTHONWARNINGS": "ignore",
        "TMPDIR": str(tmp_path),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.chassis.greeter"],
        cwd=ROOT,
        env=environment,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(address_file.exists, seconds=60, what="the child's address")
        with grpc.insecure_channel(address_file.read_text(encoding="utf-8")) as channel:
            stub = pb_grpc.GreeterServiceStub(channel)
            for _ in range(3):
                call_as(stub.Ping, pb.PingRequest(), None)
            refused(stub.Greet, pb.GreetRequest(name="Sri"), None)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait(10)
        server.stop(None)

    counts: Counter[tuple[str, str]] = Counter()
    reasons: set[str | None] = set()
    for point in collector.points:
        attributes = {one.key: one.value.string_value for one in point.attributes}
        key = (attributes["rpc.method"], attributes["rpc.response.status_code"])
        counts[key] = max(counts[key], point.count)
        reasons.add(attributes.get("kelola.reason"))
    assert collector.services == {"greeter"}
    assert Counter(span.name for span in collector.spans) == {f"{NAME}/Ping": 3, f"{NAME}/Greet": 1}
    assert counts == {(f"{NAME}/Ping", "OK"): 3, (f"{NAME}/Greet", "UNAUTHENTICATED"): 1}
    assert reasons == {None, "TOKEN_MISSING"}, "refusals are counted by their reason"
