"""A span for each SQL statement that runs within a trace, with the names of the stable semantic conventions.

The statement's text has placeholders where its values were, so no data gets into a span.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, StatusCode
from sqlalchemy import Engine, event

# It turns into the real one as soon as the provider is set.
_TRACER = trace.get_tracer("kelola")
_QUERY_CHARACTERS_MAX = 500
_SPACE = re.compile(r"\s+")
_TARGET = re.compile(r"\b(?:from|into|update|join)\s+([a-z_][a-z0-9_.]*)", re.IGNORECASE)


def install(engine: Engine) -> None:
    """Watch the engine's statements."""
    event.listen(engine, "before_cursor_execute", _before)
    event.listen(engine, "after_cursor_execute", _after)
    event.listen(engine, "handle_error", _failed)


# The same few hundred statements come again and again; their texts are long.
@lru_cache(maxsize=1_000)
def summary(statement: str) -> str:
    """What a statement does, in few words: `insert outbox`, `select budget_line`."""
    words = statement.split(None, 1)
    operation = words[0].lower() if words else "sql"
    target = _TARGET.search(statement)
    return f"{operation} {target.group(1)}" if target else operation


@lru_cache(maxsize=1_000)
def _shortened(statement: str) -> str:
    return _SPACE.sub(" ", statement).strip()[:_QUERY_CHARACTERS_MAX]


def _before(_: Any, __: Any, statement: str, ___: Any, context: Any, executemany: bool) -> None:
    if not trace.get_current_span().is_recording() or context is None:
        return
    context.kelola_span = _TRACER.start_span(
        summary(statement),
        kind=SpanKind.CLIENT,
        attributes=_attributes(context.engine.url.database or "", (statement,)),
    )


@contextmanager
def batch(engine: Engine, statements: Sequence[str]) -> Iterator[None]:
    """One span for statements that travel together."""
    if not trace.get_current_span().is_recording():
        yield
        return
    attributes = _attributes(engine.url.database or "", tuple(statements))
    with _TRACER.start_as_current_span(
        str(attributes["db.query.summary"]), kind=SpanKind.CLIENT, attributes=attributes, record_exception=False
    ) as span:
        try:
            yield
        except Exception as failure:
            _tell(span, getattr(failure, "orig", None) or failure)
            raise


# The semantic conventions' form for several statements at once: BATCH, their number, their texts in a row.
@lru_cache(maxsize=1_000)
def _attributes(database: str, statements: tuple[str, ...]) -> dict[str, str | int]:
    summaries = [summary(statement) for statement in statements]
    attributes: dict[str, str | int] = {
        "db.system.name": "postgresql",
        "db.namespace": database,
        "db.operation.name": summaries[0].split(" ", 1)[0],
        "db.query.summary": "; ".join(summaries),
        "db.query.text": "; ".join(map(_shortened, statements)),
    }
    if len(statements) > 1:
        attributes |= {"db.operation.name": "BATCH", "db.operation.batch.size": len(statements)}
    return attributes


def _after(_: Any, __: Any, ___: str, ____: Any, context: Any, executemany: bool) -> None:
    span = getattr(context, "kelola_span", None)
    if span is not None:
        span.end()


def _failed(failure: Any) -> None:
    span = getattr(failure.execution_context, "kelola_span", None)
    if span is not None:
        _tell(span, failure.original_exception)
        span.end()


def _tell(span: Span, failure: BaseException) -> None:
    span.set_attribute("error.type", type(failure).__qualname__)
    state = getattr(failure, "sqlstate", None)
    if state:
        span.set_attribute("db.response.status_code", state)
    span.set_status(StatusCode.ERROR)
