"""Span files and masks."""

from __future__ import annotations

import json
from pathlib import Path

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult

from chassis.telemetry import MASK, masked
from chassis.tracefile import FILES_MAX, TraceFileExporter


def _span(name: str = "a span") -> ReadableSpan:
    span = (
        TracerProvider()
        .get_tracer("test")
        .start_span(name, attributes={"text": "x", "count": 2**40, "yes": True, "share": 0.5, "names": ["a", "b"]})
    )
    span.add_event("posted", {"entry": 7})
    span.end()
    assert isinstance(span, ReadableSpan)
    return span


def test_each_line_is_one_span_in_the_json_of_otlp(tmp_path: Path) -> None:
    exporter = TraceFileExporter(tmp_path, "finance")

    exporter.export([_span("first"), _span("second")])

    lines = [json.loads(line) for line in exporter.path.read_text().splitlines()]
    spans = [line["resourceSpans"][0]["scopeSpans"][0]["spans"] for line in lines]
    assert [[one["name"] for one in inner] for inner in spans] == [["first"], ["second"]]
    first = spans[0][0]
    assert len(first["traceId"]) == 32
    assert first["kind"] == 1
    assert first["startTimeUnixNano"].isdigit()
    values = {one["key"]: one["value"] for one in first["attributes"]}
    assert values["count"] == {"intValue": str(2**40)}
    assert values["share"] == {"doubleValue": 0.5}
    assert values["yes"] == {"boolValue": True}
    assert values["names"] == {"arrayValue": {"values": [{"stringValue": "a"}, {"stringValue": "b"}]}}
    assert first["events"][0]["name"] == "posted"


def test_a_full_file_is_followed_by_the_next_and_old_ones_go(tmp_path: Path) -> None:
    exporter = TraceFileExporter(tmp_path, "finance", file_bytes_max=1)
    (tmp_path / "hr-1.0.jsonl").write_text("")

    for _ in range(FILES_MAX * 3):
        exporter.export([_span()])

    assert len(list(tmp_path.glob("finance-*.jsonl"))) <= FILES_MAX
    assert exporter.path.exists()
    assert (tmp_path / "hr-1.0.jsonl").exists(), "another service's files are not ours to remove"


def test_a_disk_that_refuses_loses_spans_and_not_the_service(tmp_path: Path) -> None:
    exporter = TraceFileExporter(tmp_path / "spans", "finance")
    (tmp_path / "spans").rmdir()

    assert exporter.export([_span()]) is SpanExportResult.FAILURE


def test_secrets_and_personal_data_are_masked_by_name_and_by_look() -> None:
    token = "eyJhbGciOiJFZDI1NTE5In0.eyJzdWIiOiJ4In0.c2ln"

    assert masked("hunter2", "password") == MASK
    assert masked({"person": {"national_id": "3171", "code": "7"}}) == {"person": {"national_id": MASK, "code": "7"}}
    assert masked([f"failed for {token}", "NIK 3171012345678901."]) == [f"failed for {MASK}", f"NIK {MASK}."]
    assert masked(1234567890123456) == 1234567890123456
    assert masked("0190a000-0000-7000-8000-000000000001") == "0190a000-0000-7000-8000-000000000001"
    assert masked("4bf92f3577b34da6a3ce929d0e0e4736", "trace_id") == "4bf92f3577b34da6a3ce929d0e0e4736"
