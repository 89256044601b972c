"""Traces, metrics and logs of a service (OpenTelemetry; names by its stable semantic conventions).

Spans go to an OTLP collector when one is set, and to rotating files of OTLP-JSON lines when a folder is set.
Logs are JSON lines on stderr with trace ids. Neither carries bodies, secrets or personal data: exceptions
are named by type in spans, and what looks like a national id is masked in logs.
"""

from __future__ import annotations

import json
import logging
import queue
import re
import sys
import threading
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import structlog
from opentelemetry import context as otel_context
from opentelemetry import metrics, trace
from opentelemetry.context import Context
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from chassis.settings import ServiceSettings
from chassis.tracefile import TraceFileExporter

# It turns into the real one as soon as the provider is set.
TRACER = trace.get_tracer("kelola")
_PROPAGATOR = TraceContextTextMapPropagator()
# The trace file is for a person who waits at a terminal, so spans reach it soon.
_FILE_DELAY_MILLISECONDS = 300
_FLUSH_MILLISECONDS = 5_000
_METRICS_EVERY_MILLISECONDS = 15_000


class _Process:
    """The providers of this process: OpenTelemetry lets them be set only once."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.tracers: TracerProvider | None = None
        self.meters: MeterProvider | None = None
        self.trace_dirs: set[Path] = set()


_process = _Process()


def start(
    settings: ServiceSettings,
    *,
    processors: Sequence[SpanProcessor] = (),
    metric_readers: Sequence[MetricReader] = (),
) -> None:
    """Set this process's providers and logging; once a process, a later call only adds outputs for spans."""
    with _process.lock:
        if _process.tracers is None:
            configure_logging(settings)
            _process.tracers = _set_providers(settings, list(metric_readers))
        for processor in processors:
            _process.tracers.add_span_processor(processor)
        if settings.trace_dir is not None and settings.trace_dir not in _process.trace_dirs:
            _process.trace_dirs.add(settings.trace_dir)
            exporter = TraceFileExporter(settings.trace_dir, settings.service)
            _process.tracers.add_span_processor(
                BatchSpanProcessor(exporter, schedule_delay_millis=_FILE_DELAY_MILLISECONDS)
            )


def _set_providers(settings: ServiceSettings, readers: list[MetricReader]) -> TracerProvider:
    resource = Resource.create(
        {
            "service.name": settings.service,
            "service.namespace": "kelola",
            "service.version": settings.version,
        }
    )
    tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
    if settings.otlp_endpoint:
        # Imported here: only who exports pays for it.
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        insecure = not settings.otlp_endpoint.startswith("https://")
        spans = OTLPSpanExporter(endpoint=settings.otlp_endpoint, insecure=insecure)
        tracers.add_span_processor(BatchSpanProcessor(spans))
        figures = OTLPMetricExporter(endpoint=settings.otlp_endpoint, insecure=insecure)
        readers.append(PeriodicExportingMetricReader(figures, export_interval_millis=_METRICS_EVERY_MILLISECONDS))
    _process.meters = MeterProvider(metric_readers=readers, resource=resource, shutdown_on_exit=False)
    trace.set_tracer_provider(tracers)
    metrics.set_meter_provider(_process.meters)
    return tracers


def flush() -> None:
    """Hand out what is buffered, within five seconds."""
    _behind.flush(_FLUSH_MILLISECONDS / 1000)
    if _process.tracers is not None:
        _process.tracers.force_flush(_FLUSH_MILLISECONDS)
    if _process.meters is not None:
        _process.meters.force_flush(_FLUSH_MILLISECONDS)


def stop() -> None:
    """Flush, at the end of the process. The providers stay, since they can be set only once."""
    flush()


# --- traces ---------------------------------------------------------------------------------------------


@contextmanager
def span(
    name: str,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Mapping[str, Any] | None = None,
    parent: Context | None = None,
    links: Sequence[trace.Link] = (),
) -> Iterator[Span]:
    """A span for the block. A failure is noted by its type alone: its words may hold personal data."""
    with TRACER.start_as_current_span(
        name,
        context=parent,
        kind=kind,
        attributes=dict(attributes or {}),
        links=list(links),
        record_exception=False,
        set_status_on_exception=False,
    ) as current:
        try:
            yield current
        except BaseException as failure:
            if not isinstance(failure, GeneratorExit):
                current.set_attribute("error.type", type(failure).__qualname__)
                current.set_status(trace.StatusCode.ERROR)
            raise


def traceparent() -> str | None:
    """The current span as a W3C traceparent, to ride in an outbox row, an event or a saga; None without one."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return carrier.get("traceparent")


def context_of(traceparent_text: str | None) -> Context:
    """The context in which that span is the parent; the empty context when the text is none or malformed."""
    return _PROPAGATOR.extract({"traceparent": traceparent_text} if traceparent_text else {}, context=Context())


def link_to(traceparent_text: str | None) -> list[trace.Link]:
    """A link to that span, in a list; empty when the text is none or malformed."""
    target = trace.get_current_span(context_of(traceparent_text)).get_span_context()
    return [trace.Link(target)] if target.is_valid else []


@contextmanager
def continue_trace(traceparent_text: str | None) -> Iterator[None]:
    """Spans of the block belong to the trace of `traceparent_text`; without one they begin a new trace."""
    token = otel_context.attach(context_of(traceparent_text))
    try:
        yield
    finally:
        otel_context.detach(token)


def trace_id() -> str | None:
    """The current trace's id, 32 hex digits; None outside a trace."""
    current = trace.get_current_span().get_span_context()
    return f"{current.trace_id:032x}" if current.is_valid else None


def annotate(**attributes: str | int | bool) -> None:
    """Business attributes on the current span: `annotate(agency=..., document=...)` sets `kelola.agency`, ..."""
    current = trace.get_current_span()
    for name, value in attributes.items():
        current.set_attribute(f"kelola.{name}", value)


# --- logs -----------------------------------------------------------------------------------------------

_SECRET_KEYS = frozenset(
    "authorization token access_token id_token password passphrase secret private_key cookie "
    "national_id nik npwp tax_id full_name given_name family_name birth_date phone phone_number "
    "email address bank_account account_number".split()
)
# A NIK or a 16-digit NPWP, wherever it stands, also in the words of an exception.
_NATIONAL_ID = re.compile(r"(?<![0-9A-Za-z])\d{16}(?![0-9A-Za-z])")
_TOKEN = re.compile(r"eyJ[\w-]{10,}\.[\w-]+\.[\w-]*")
MASK = "***"


def masked(value: Any, key: str = "") -> Any:
    """`value` without secrets and personal data: by the key's name, and by what looks like an id or a token."""
    if key.lower() in _SECRET_KEYS:
        return MASK
    if isinstance(value, str):
        return _TOKEN.sub(MASK, _NATIONAL_ID.sub(MASK, value))
    if isinstance(value, Mapping):
        return {inner: masked(item, str(inner)) for inner, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked(item) for item in value]
    return value


def _mask(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: masked(value, key) for key, value in event.items()}


def _add_trace(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    current = trace.get_current_span().get_span_context()
    if current.is_valid:
        event["trace_id"], event["span_id"] = f"{current.trace_id:032x}", f"{current.span_id:016x}"
    return event


def configure_logging(settings: ServiceSettings) -> None:
    """JSON lines on stderr, or lines of text (`log_format`), for our own loggers and for those of libraries."""
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_trace,
        structlog.processors.format_exc_info,
        _mask,
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                # Exceptions are text by then (format_exc_info), masked like everything else.
                structlog.processors.JSONRenderer()
                if settings.log_format == "json"
                else structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
            ],
        )
    )
    root = logging.getLogger()
    # Only our own handler is replaced: a test runner keeps its capture.
    for old in [known for known in root.handlers if getattr(known, "kelola", False)]:
        root.removeHandler(old)
    handler.kelola = True  # type: ignore[attr-defined]  # our own mark on it
    root.addHandler(handler)
    _behind.handler = handler
    root.setLevel(settings.log_level)
    for noisy in ("kafka", "nameko", "kombu", "amqp"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.contextvars.clear_contextvars()
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            *[step for step in shared if not isinstance(step, structlog.stdlib.ExtraAdder)],
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


# Lines that may wait for the writer. Beyond, a caller writes his own: then the writer, not the memory, is the limit.
_BEHIND_MAX = 10_000
_BEHIND_AT_ONCE = 500


class _Behind:
    """Writes log lines behind those whom they are about, many at a time, on a thread of its own.

    A line for every call that went well costs a call more than its checks do, when the call writes it: the write lets
    another thread run while the handler's lock is held, and then all calls queue for that lock.
    """

    def __init__(self) -> None:
        self._lines: queue.SimpleQueue[dict[str, Any] | threading.Event] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        # Whose stream the lines go to: the loggers' own. It may be another than sys.stderr by the time of the write: a
        # test runner takes that back between tests, and a line written just then would stand among its own.
        self.handler: logging.StreamHandler[TextIO] | None = None

    def put(self, line: dict[str, Any]) -> None:
        if self._thread is None:
            self._start()
        if self._lines.qsize() > _BEHIND_MAX:
            self._write([line])
        else:
            self._lines.put(line)

    def flush(self, seconds: float) -> None:
        if self._thread is not None:
            written = threading.Event()
            self._lines.put(written)
            written.wait(seconds)

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="log-lines", daemon=True)
                self._thread.start()

    def _loop(self) -> None:
        while True:
            taken = [self._lines.get()]
            while len(taken) < _BEHIND_AT_ONCE and not self._lines.empty():
                taken.append(self._lines.get())
            lines = [one for one in taken if isinstance(one, dict)]
            try:
                self._write(lines)
            except (OSError, ValueError):
                # Nobody reads the log any more; calls go on.
                continue
            finally:
                for one in taken:
                    if isinstance(one, threading.Event):
                        one.set()

    def _write(self, lines: list[dict[str, Any]]) -> None:
        if lines:
            known = None if self.handler is None else self.handler.stream
            stream = sys.stderr if known is None or known.closed else known
            stream.write("".join(json.dumps(_mask(None, "", line)) + "\n" for line in lines))
            stream.flush()


_behind = _Behind()
_calls = logging.getLogger("chassis.grpc")


def note_behind(event: str, fields: Mapping[str, Any]) -> None:
    """An INFO line like those of the loggers, with the time and the trace of now, written by another thread soon."""
    if not _calls.isEnabledFor(logging.INFO):
        return
    line: MutableMapping[str, Any] = {
        **fields,
        "event": event,
        "level": "info",
        "timestamp": datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
    }
    _behind.put(dict(_add_trace(None, "", line)))
