"""A span for each SQL statement that runs within a trace, with the names of the stable semantic conventions.

The statement's text has placeholders where its values were, so no data gets into a span.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode
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
    what = summary(statement)
    context.kelola_span = _TRACER.start_span(
        what,
        kind=SpanKind.CLIENT,
        attributes={
            "db.system.name": "postgresql",
            "db.namespace": context.engine.url.database or "",
            "db.operation.name": what.split(" ", 1)[0],
            "db.query.summary": what,
            "db.query.text": _shortened(statement),
        },
    )


def _after(_: Any, __: Any, ___: str, ____: Any, context: Any, executemany: bool) -> None:
    span = getattr(context, "kelola_span", None)
    if span is not None:
        span.end()


def _failed(failure: Any) -> None:
    span = getattr(failure.execution_context, "kelola_span", None)
    if span is not None:
        span.set_attribute("error.type", type(failure.original_exception).__qualname__)
        state = getattr(failure.original_exception, "sqlstate", None)
        if state:
            span.set_attribute("db.response.status_code", state)
        span.set_status(StatusCode.ERROR)
        span.end()
