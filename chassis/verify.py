"""What must hold in any service's database, asked from outside: by the reader's role, in one snapshot.

A service adds its own in `services/<service>/verify.py`:

    def problems(connection: Connection) -> list[Problem]:
        return [Problem("I1", f"entry {row.entry_id} is off by {row.difference_minor}") for row in ...]

Invariants are named I1 … I12 (docs/operations.md lists them). A problem states the fact with its values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from chassis import audit
from chassis.database import sqlalchemy_url

# Enough to see the pattern; a broken table has millions.
PROBLEMS_MAX = 50


@dataclass(frozen=True)
class Problem:
    """One violation: which invariant, and the fact."""

    invariant: str
    what: str


@dataclass(frozen=True)
class Report:
    """What `verify` found in one service."""

    service: str
    problems: list[Problem]
    figures: Mapping[str, int]  # how much was looked at, so that "no problem" in an empty table shows


def verify(
    service: str,
    reader_url: str,
    *,
    own: Callable[[Connection], list[Problem]] | None = None,
    audit_keys: Mapping[str, Ed25519PublicKey] | None = None,
) -> Report:
    """Check the shared tables and, with `own`, the service's books, in one repeatable-read snapshot."""
    engine = create_engine(sqlalchemy_url(reader_url), poolclass=NullPool)
    try:
        with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
            connection.execute(text("set transaction read only"))
            found = [*common(connection, audit_keys=audit_keys), *(own(connection) if own else [])]
            return Report(service, found, _figures(connection))
    finally:
        engine.dispose()


def common(connection: Connection, *, audit_keys: Mapping[str, Ed25519PublicKey] | None = None) -> list[Problem]:
    """The invariants of the tables that every service has: I5, I6, I10, I11."""
    return [
        *_problems(connection, "I5", _UNANSWERED),
        *_problems(connection, "I6", _POSITION_GAPS),
        *_problems(connection, "I11", _OUT_OF_ORDER),
        *_problems(connection, "I11", _SEQUENCE_TWICE),
        *(Problem("I10", str(problem)) for problem in audit.verify(connection, public_keys=audit_keys)),
    ]


# A key without an answer is committed only if a claim and its effect were parted.
_UNANSWERED = """
    select format('request %s of %s on %s was claimed and has no answer', request_id, subject, method)
    from idempotency where answer is null
"""

# The relay is the only writer of positions and old rows are deleted from the front alone.
_POSITION_GAPS = """
    select format('outbox position %s follows %s', position, before)
    from (select position, lag(position) over (order by position) as before from outbox where position is not null)
         as numbered
    where position <> before + 1
"""

# Rows of a key are written under the key's lock, so their ids are in commit order.
_OUT_OF_ORDER = """
    select format('event %s of key %s on %s was sent after event %s, which was committed later',
                  event_id, key, topic, before_event)
    from (select event_id, topic, key, id,
                 lag(id) over sent as before_id, lag(event_id) over sent as before_event
          from outbox where position is not null
          window sent as (partition by topic, key order by position)) as ordered
    where id < before_id
"""

# One version of an aggregate may cause several events; a version lower than an earlier one cannot be.
_SEQUENCE_TWICE = """
    select format('event %s of key %s on %s has sequence %s after %s', event_id, key, topic, sequence, before)
    from (select event_id, topic, key, sequence,
                 lag(sequence) over (partition by topic, key order by id) as before
          from outbox) as numbered
    where sequence < before
"""


def _problems(connection: Connection, invariant: str, query: str) -> list[Problem]:
    rows = connection.execute(text(query)).fetchmany(PROBLEMS_MAX)
    return [Problem(invariant, str(row[0])) for row in rows]


def _figures(connection: Connection) -> dict[str, int]:
    row = connection.execute(
        text(
            "select (select count(*) from outbox) as events,"
            " (select count(*) from outbox where sent_at is null and parked_at is null) as events_unsent,"
            " (select count(*) from parked where state = 'PARKED') as events_parked,"
            " (select count(*) from saga where status = 'STUCK') as sagas_stuck,"
            " (select count(*) from audit) as audit_rows,"
            " (select count(*) from audit where position is null) as audit_unchained"
        )
    ).one()
    return dict(row._mapping)
