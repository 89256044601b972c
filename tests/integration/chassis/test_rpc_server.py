"""The door itself: health, reflection, start, drain."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from chassis.container import serve
from chassis.grpc.health import HealthListResponse
from chassis.testing import TestKeys, call_as, wait_until
from tests.integration.chassis.compiled import ROOT
from tests.integration.chassis.greeter import POLICIES, Denials, Greeter, GreeterService, greeter, pb, pb_grpc

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
NAME = "kelola.greeter.v1.GreeterService"


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Greeter]:
    with greeter(tmp_path_factory.mktemp("greeter")) as service:
        yield service


# --- health ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", ["", NAME])
def test_health_is_serving_for_the_server_and_for_each_service(door: Greeter, service: str) -> None:
    stub = health_pb2_grpc.HealthStub(door.channel)

    assert stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5).status == SERVING


def test_health_of_an_unknown_service_is_not_found_and_its_watch_says_unknown(door: Greeter) -> None:
    stub = health_pb2_grpc.HealthStub(door.channel)
    unknown = health_pb2.HealthCheckRequest(service="kelola.nothing.v1.NothingService")

    with pytest.raises(grpc.RpcError) as failure:
        stub.Check(unknown, timeout=5)
    watch = stub.Watch(unknown, timeout=5)

    assert failure.value.code() is grpc.StatusCode.NOT_FOUND
    assert next(watch).status == SERVICE_UNKNOWN
    watch.cancel()


def test_health_lists_every_service(door: Greeter) -> None:
    listing = door.channel.unary_unary(
        "/grpc.health.v1.Health/List", response_deserializer=HealthListResponse.FromString
    )

    statuses = listing(b"", timeout=5).statuses

    assert {name: status.status for name, status in statuses.items()} == {
        "": SERVING,
        "liveness": SERVING,
        NAME: SERVING,
    }


def test_health_shows_that_the_database_is_away_and_back(door: Greeter) -> None:
    stub = health_pb2_grpc.HealthStub(door.channel)

    def status(service: str = "") -> Any:
        return stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5).status

    Denials.answering = False
    try:
        wait_until(lambda: status() == NOT_SERVING, seconds=4, what="NOT_SERVING")
        assert status(NAME) == NOT_SERVING
        assert status("liveness") == SERVING, "a restart would not mend the database"
    finally:
        Denials.answering = True
    wait_until(lambda: status() == SERVING, seconds=4, what="SERVING")


def test_a_watcher_sees_the_drain_and_does_not_hold_it_up(tmp_path: Path) -> None:
    with greeter(tmp_path, grace_seconds=10.0) as door:
        channel = grpc.insecure_channel(door.address)
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=60)
        seen = [next(watch).status]
        reader = threading.Thread(target=lambda: seen.extend(one.status for one in watch))
        reader.start()
        began = time.monotonic()
    took = time.monotonic() - began
    reader.join(10)
    channel.close()

    assert seen == [SERVING, NOT_SERVING]
    assert not reader.is_alive()
    assert took < 5


# --- reflection --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_reflection_describes_the_services_to_a_client_without_protos(door: Greeter, version: str) -> None:
    method = f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
    # The messages are the same in both versions; only names differ, and the wire has no names.
    info = door.channel.stream_stream(
        method,
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    asked = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=NAME),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=f"grpc.reflection.{version}.ServerReflection"),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="kelola.nothing.v1.Nothing"),
    ]

    services, ours, its_own, nothing = info(iter(asked), timeout=10)

    assert {one.name for one in services.list_services_response.service} == {
        NAME,
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    assert "kelola/greeter/v1/greeter.proto" in _files(ours)
    assert f"grpc.reflection.{version}" in _files(its_own).values()
    assert nothing.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


def _files(response: Any) -> dict[str, str]:
    files = map(
        descriptor_pb2.FileDescriptorProto.FromString,
        response.file_descriptor_response.file_descriptor_proto,
    )
    return {file.name: file.package for file in files}


def test_a_client_that_is_not_ours_calls_by_reflection(door: Greeter) -> None:
    buf = Path(sys.executable).parent / "buf"
    call = subprocess.run(
        [
            *(str(buf), "curl", "--protocol", "grpc", "--http2-prior-knowledge"),
            *("--header", f"Authorization: Bearer {door.reader}", "--data", '{"name": "Sri"}'),
            f"http://{door.address}/{NAME}/Greet",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert call.returncode == 0, call.stderr
    assert json.loads(call.stdout)["text"] == "Halo, Sri"


# --- start -----------------------------------------------------------------------------------------------


def test_a_port_that_is_taken_ends_the_start(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        keys = TestKeys(tmp_path, services=("greeter",))
        (tmp_path / "greeter.cedar").write_text(POLICIES, encoding="utf-8")
        settings = keys.settings("greeter", policies_dir=tmp_path, grpc_port=holder.getsockname()[1])
        before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            status = serve(GreeterService, settings)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    assert status == 1


# --- drain -----------------------------------------------------------------------------------------------


@pytest.fixture
def child(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], str, str]]:
    """The service as a process of its own: the process, its address, a reader's token."""
    keys = TestKeys(tmp_path, services=("greeter",))
    policies = tmp_path / "policies"
    policies.mkdir()
    (policies / "greeter.cedar").write_text(POLICIES, encoding="utf-8")
    address_file = tmp_path / "address"
    values = keys.settings_values("greeter")
    environment = {
        **os.environ,
        **{f"KELOLA_{name.upper()}": str(value) for name, value in values.items()},
        "KELOLA_POLICIES_DIR": str(policies),
        "KELOLA_GRPC_ADDRESS_FILE": str(address_file),
        "KELOLA_TRACE_DIR": str(tmp_path / "spans"),
        "KELOLA_GRACE_SECONDS": "4",
        "PYTHONWARNINGS": "ignore",
        "TMPDIR": str(tmp_path),
    }
    log = (tmp_path / "log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.chassis.greeter"],
        cwd=ROOT,
        env=environment,
        stderr=log,
        stdout=log,
    )
    try:
        wait_until(address_file.exists, seconds=60, what="the child's address")
        token = keys.token("0190a000-0000-7000-8000-000000000001", grants=[("greeter.reader", [])], audience="greeter")
        yield process, address_file.read_text(encoding="utf-8"), token
    finally:
        process.kill()
        process.wait(10)
        log.close()


def test_sigterm_lets_what_runs_finish_takes_nothing_new_and_exits_0(
    child: tuple[subprocess.Popen[bytes], str, str], tmp_path: Path
) -> None:
    process, address, token = child
    slow = pb.GreetRequest(name="Sri", sleep_milliseconds=1500)
    with grpc.insecure_channel(address) as channel, ThreadPoolExecutor(16) as callers:
        stub = pb_grpc.GreeterServiceStub(channel)
        call_as(stub.Ping, pb.PingRequest(), None)
        calls = [callers.submit(call_as, stub.Greet, slow, token) for _ in range(16)]
        time.sleep(0.6)

        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        time.sleep(0.3)
        with (
            grpc.insecure_channel(address, options=[("grpc.enable_retries", 0)]) as late,
            pytest.raises(grpc.RpcError) as failure,
        ):
            pb_grpc.GreeterServiceStub(late).Ping(pb.PingRequest(), timeout=5)
        answers = [call.result(timeout=10) for call in calls]
        status = process.wait(10)
        took = time.monotonic() - began

    assert [answer.text for answer in answers] == ["Halo, Sri"] * 16
    assert failure.value.code() is grpc.StatusCode.UNAVAILABLE
    assert status == 0
    assert took < 8
    # The spans of the last calls were flushed.
    spans = "".join(file.read_text(encoding="utf-8") for file in (tmp_path / "spans").glob("*.jsonl"))
    assert spans.count(f'"name":"{NAME}/Greet"') == 16


def test_sigterm_under_load_refuses_with_unavailable_alone(
    child: tuple[subprocess.Popen[bytes], str, str], tmp_path: Path
) -> None:
    """T20: what is refused had not begun, so no code but UNAVAILABLE (not gRPC core's CANCELLED) may be seen."""
    process, address, token = child
    seen: list[str] = []
    stop = threading.Event()

    def call(stub: Any, chance: random.Random) -> None:
        # Some calls are short and many, others still run when the door closes.
        request = pb.GreetRequest(name="Sri", sleep_milliseconds=chance.choice([0, 0, 0, 3, 300]))
        while not stop.is_set():
            try:
                call_as(stub.Greet, request, token)
            except grpc.RpcError as failure:
                seen.append(failure.code().name)
                time.sleep(0.005)
            else:
                seen.append("OK")

    # Without retries: what the server says is to be seen.
    options = [("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1)]
    with ExitStack() as channels, ThreadPoolExecutor(24) as callers:
        stubs = [
            pb_grpc.GreeterServiceStub(channels.enter_context(grpc.insecure_channel(address, options=options)))
            for _ in range(4)
        ]
        calls = [callers.submit(call, stubs[number % 4], random.Random(number)) for number in range(24)]
        wait_until(lambda: seen.count("OK") > 200, what="load")
        process.send_signal(signal.SIGTERM)
        status = process.wait(20)
        stop.set()
        for one in calls:
            one.result(timeout=10)

    assert set(seen) == {"OK", "UNAVAILABLE"}
    assert status == 0
    # Whatever was begun was answered: each call that passed the door has its span, and each OK is one of them.
    spans = "".join(file.read_text(encoding="utf-8") for file in (tmp_path / "spans").glob("*.jsonl"))
    assert spans.count('"stringValue":"OK"') == seen.count("OK")


def test_sigterm_during_a_call_that_does_not_end_exits_within_the_grace(
    child: tuple[subprocess.Popen[bytes], str, str],
) -> None:
    process, address, token = child
    with grpc.insecure_channel(address) as channel, ThreadPoolExecutor(1) as callers:
        stub = pb_grpc.GreeterServiceStub(channel)
        call_as(stub.Ping, pb.PingRequest(), None)
        endless = callers.submit(
            call_as, stub.Greet, pb.GreetRequest(name="Sri", sleep_milliseconds=60_000), token, timeout=90
        )
        time.sleep(0.6)

        process.send_signal(signal.SIGTERM)
        status = process.wait(30)

        assert isinstance(endless.exception(10), grpc.RpcError)
    assert status == 2
