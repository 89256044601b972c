"""Several statements in one round trip: what waits for nobody's answer need not wait for the network either.

    settings, claimed = sql_batch.run(session, [Statement(_SETTINGS, values), Statement(_CLAIM, key)])

    sql_batch.later(session, _INSERT, {"rows": rows})    # goes with the others, right before the commit

A statement for later is sent at the end of a transaction that was opened for it (`gather`), at once in any other. What
a savepoint takes back is never sent. The order in which statements were given is the order in which they run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import psycopg
from sqlalchemy import Dialect, TextClause, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, SessionTransaction

from chassis import sql_spans

_GATHERED, _MARKS = "kelola.gathered", "kelola.gathered_before"


@dataclass(frozen=True)
class Statement:
    """A statement's text and its values, which psycopg knows how to send."""

    text: TextClause
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What one statement answered: its rows (none for a statement without any), and how many it found or changed."""

    rows: Sequence[tuple[Any, ...]]
    rowcount: int


def run(session: Session, statements: Sequence[Statement]) -> list[Outcome]:
    """Run the statements in their order, in the session's transaction; the outcome of each.

    The first failure is raised, as SQLAlchemy would raise it, and those behind it do not run.
    """
    connection = session.connection()
    pooled = connection.connection
    driver = pooled.driver_connection
    assert isinstance(driver, psycopg.Connection), "the engine is one of psycopg"
    queries = [_query(statement.text, connection.dialect) for statement in statements]
    with sql_spans.batch(connection.engine, queries):
        try:
            with driver.pipeline():
                cursors = [
                    driver.cursor().execute(query, statement.values)
                    for query, statement in zip(queries, statements, strict=True)
                ]
            return [Outcome(cursor.fetchall() if cursor.description else (), cursor.rowcount) for cursor in cursors]
        except psycopg.Error as failure:
            lost = connection.dialect.is_disconnect(failure, pooled, None)  # type: ignore[arg-type]  # as SQLAlchemy calls it itself
            if lost:
                connection.invalidate(failure)
            raise DBAPIError.instance(
                "; ".join(queries),
                None,
                failure,
                psycopg.Error,
                hide_parameters=True,
                connection_invalidated=lost,
                dialect=connection.dialect,
            ) from failure


@lru_cache(maxsize=200)
def _query(text: TextClause, dialect: Dialect) -> str:
    return str(text.compile(dialect=dialect))


def gather(session: Session) -> None:
    """Let this session's transaction keep what is for later until `send`."""
    session.info[_GATHERED], session.info[_MARKS] = [], {}


def later(session: Session, text: TextClause, values: Mapping[str, Any]) -> None:
    """Run a statement whose outcome nobody reads: with the others at the end, or now when nothing is gathered."""
    gathered: list[Statement] | None = session.info.get(_GATHERED)
    if gathered is None:
        session.execute(text, values)
    else:
        gathered.append(Statement(text, values))


def send(session: Session, *last: Statement) -> list[Outcome]:
    """Run what was gathered, and then `last`, whose outcomes are returned."""
    gathered: list[Statement] = session.info.get(_GATHERED, [])
    statements = [*gathered, *last]
    gathered.clear()
    return run(session, statements)[len(statements) - len(last) :] if statements else []


@event.listens_for(Session, "after_transaction_create")
def _mark(session: Session, transaction: SessionTransaction) -> None:
    if transaction.nested and _GATHERED in session.info:
        session.info[_MARKS][transaction] = len(session.info[_GATHERED])


@event.listens_for(Session, "after_soft_rollback")
def _forget(session: Session, previous: SessionTransaction) -> None:
    """A savepoint takes back what was gathered since it was made."""
    if previous.nested and _GATHERED in session.info:
        before = session.info[_MARKS].pop(previous, None)
        if before is not None:
            del session.info[_GATHERED][before:]
