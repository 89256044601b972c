"""Spans as files: OTLP-JSON, one span a line, rotated by size. `kelola trace` reads them.

Each line is an OTLP `TracesData` object with one span, so that any tool for OTLP-JSON lines reads it too.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

FILE_BYTES_MAX = 32 * 1024 * 1024
# Files kept for each service, those of earlier processes too: with the above, 320 MB a service at most.
FILES_MAX = 10


class TraceFileExporter(SpanExporter):
    """Appends to `<folder>/<service>-<pid>.<n>.jsonl`; a full file is followed by the next number."""

    def __init__(self, folder: Path, service: str, *, file_bytes_max: int = FILE_BYTES_MAX) -> None:
        self._folder, self._service, self._file_bytes_max = Path(folder), service, file_bytes_max
        self._lock, self._number = threading.Lock(), 0
        self._folder.mkdir(parents=True, exist_ok=True)

    @property
    def path(self) -> Path:
        """The file that is written now."""
        return self._folder / f"{self._service}-{os.getpid()}.{self._number}.jsonl"

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Append the spans; a disk that refuses loses them, and the service runs on."""
        lines = b"".join(orjson.dumps(otlp_json(span), option=orjson.OPT_APPEND_NEWLINE) for span in spans)
        with self._lock:
            try:
                if self.path.exists() and self.path.stat().st_size >= self._file_bytes_max:
                    self._number += 1
                    self._prune()
                with self.path.open("ab") as file:
                    file.write(lines)
            except OSError:
                return SpanExportResult.FAILURE
        return SpanExportResult.SUCCESS

    def _prune(self) -> None:
        files = sorted(self._folder.glob(f"{self._service}-*.jsonl"), key=lambda file: file.stat().st_mtime)
        for file in files[: max(0, len(files) - FILES_MAX + 1)]:
            file.unlink(missing_ok=True)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is held back: every export is written when it returns."""
        return True

    def shutdown(self) -> None:
        """Nothing stays open between exports."""


def otlp_json(span: ReadableSpan) -> dict[str, Any]:
    """The span as an OTLP `TracesData` object in the JSON mapping of OTLP: ids in hex, 64-bit numbers as text."""
    context = span.get_span_context()
    if context is None:
        raise ValueError("a span without a context cannot be exported")
    body: dict[str, Any] = {
        "traceId": f"{context.trace_id:032x}",
        "spanId": f"{context.span_id:016x}",
        "name": span.name,
        # OTLP counts kinds from 1 (internal); the SDK from 0.
        "kind": span.kind.value + 1,
        "startTimeUnixNano": str(span.start_time or 0),
        "endTimeUnixNano": str(span.end_time or 0),
        "attributes": _attributes(span.attributes),
        "status": {"code": span.status.status_code.value},
    }
    if span.parent is not None:
        body["parentSpanId"] = f"{span.parent.span_id:016x}"
    if span.events:
        body["events"] = [
            {
                "name": event.name,
                "timeUnixNano": str(event.timestamp),
                "attributes": _attributes(event.attributes),
            }
            for event in span.events
        ]
    if span.links:
        body["links"] = [
            {"traceId": f"{link.context.trace_id:032x}", "spanId": f"{link.context.span_id:016x}"}
            for link in span.links
        ]
    scope = {"name": span.instrumentation_scope.name} if span.instrumentation_scope else {}
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": _attributes(span.resource.attributes)},
                "scopeSpans": [{"scope": scope, "spans": [body]}],
            }
        ]
    }


def _attributes(attributes: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in (attributes or {}).items()]


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return {"arrayValue": {"values": [_value(item) for item in value]}}
    return {"stringValue": str(value)}
