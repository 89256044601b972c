"""What must hold in any service's database, asked from outside: by the reader's role, in one snapshot.

A service adds its own in `services/<service>/verify.py`:

    def problems(connection: Connection) -> list[Problem]:
        return [Problem("I1", f"entry {row.entry_id} is off by {row.difference_minor}") for row in ...]

Invariants are named I1 … I12 (docs/operations.md lists them). A problem states the fact with its values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from chassis import audit, audit_heads
from chassis.database import sqlalchemy_url

# Enough to see the pattern; a broken table has millions.
PROBLEMS_MAX = 50


@dataclass(frozen=True)
class Problem:
    """One violation: which invariant, and the fact."""

    invariant: str
    what: str


@dataclass(frozen=True)
class Findings:
    """What one kind of question found: violations, how much was looked at, and what could not be asked."""

    problems: list[Problem]
    figures: Mapping[str, int] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def together(findings: Iterable[Findings]) -> Findings:
    """Several findings as one; figures of the same name are added."""
    problems: list[Problem] = []
    figures: dict[str, int] = {}
    remarks: list[str] = []
    for each in findings:
        problems += each.problems
        remarks += each.remarks
        for name, figure in each.figures.items():
            figures[name] = figures.get(name, 0) + figure
    return Findings(problems, figures, remarks)


@dataclass(frozen=True)
class Report:
    """What `verify` found in one service."""

    service: str
    problems: list[Problem]
    figures: Mapping[str, int]  # how much was looked at, so that "no problem" in an empty table shows
    remarks: list[str] = field(default_factory=list)  # what could not be asked, and why
    # What a person has to look after although the books hold: events that were parked, sagas that are stuck.
    waiting: list[Problem] = field(default_factory=list)


def verify(
    service: str,
    reader_url: str,
    *,
    own: Callable[[Connection], list[Problem]] | None = None,
    more: Sequence[Callable[[Connection], Findings]] = (),
    audit_keys: Mapping[str, Ed25519PublicKey] | None = None,
    audit_head_file: Path | None = None,
) -> Report:
    """Check the shared tables and, with `own` and `more`, the service's books, in one repeatable-read snapshot.

    `audit_head_file` holds heads that the relay kept outside of the database (`audit_heads`): the chain must hold
    against them as well.
    """
    anchors, broken = _anchors(service, audit_head_file)
    engine = create_engine(sqlalchemy_url(reader_url), poolclass=NullPool)
    try:
        with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
            connection.execute(text("set transaction read only"))
            found = [
                *broken,
                *common(connection, audit_keys=audit_keys, anchors=anchors),
                *(own(connection) if own else []),
            ]
            findings = together(ask(connection) for ask in more)
            return Report(
                service,
                [*found, *findings.problems],
                {**_figures(connection), **findings.figures},
                findings.remarks,
                [*_problems(connection, "I6", _PARKED), *_problems(connection, "I5", _STUCK)],
            )
    finally:
        engine.dispose()


def _anchors(service: str, file: Path | None) -> tuple[list[audit.Head], list[Problem]]:
    """The heads of the file, which is read before the snapshot is taken: a head that is newer would seem cut off."""
    if file is None:
        return [], []
    try:
        return audit_heads.read(file, service=service), []
    except audit_heads.HeadFileBroken as failure:
        return [], [Problem("I10", str(failure))]


def common(
    connection: Connection,
    *,
    audit_keys: Mapping[str, Ed25519PublicKey] | None = None,
    anchors: Sequence[audit.Head] = (),
) -> list[Problem]:
    """The invariants of the tables that every service has: I5, I6, I10, I11."""
    return [
        *_problems(connection, "I5", _UNANSWERED),
        *_problems(connection, "I6", _POSITION_GAPS),
        *_problems(connection, "I11", _OUT_OF_ORDER),
        *_problems(connection, "I11", _SEQUENCE_TWICE),
        *(
            Problem("I10", str(problem))
            for problem in audit.verify(connection, public_keys=audit_keys, anchors=anchors)
        ),
    ]


# A key without an answer is committed only if a claim and its effect were parted.
_UNANSWERED = """
    select format('request %s of %s on %s was claimed and has no answer', request_id, subject, method)
    from idempotency where answer is null
"""

# The relay is the only writer of positions. Old rows go with their day, which need not be the order of their
# positions: above the floor, which is the highest position that went, they are whole.
_POSITION_GAPS = """
    select format('outbox position %s follows %s', position, before)
    from (select outbox.position, outbox_floor,
                 lag(outbox.position, 1, outbox_floor) over (order by outbox.position) as before
          from outbox cross join relay_state where outbox.position > outbox_floor) as numbered
    where position <> before + 1
    union all
    select format('event %s is in the outbox %s times', event_id, count(*)) from outbox
    group by event_id having count(*) > 1
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


# Neither breaks an invariant: the event is kept in order, the saga in its state. Both wait for a person.
_PARKED = """
    select format('event %s (%s) of key %s waits in the parking lot of %s as %s: %s',
                  coalesce(event_id::text, '?'), coalesce(type, '?'), coalesce(key, '?'), consumer, parked_id, error)
    from parked where state = 'PARKED'
    union all
    select format('event %s (%s) of key %s was refused by the broker and holds its key back: %s',
                  event_id, type, key, coalesce(error, '?'))
    from outbox where parked_at is not null and sent_at is null
"""
_STUCK = """
    select format('saga %s (%s) of document %s is stuck after %s tries: %s',
                  saga_id, kind, document_id, tries, coalesce(error, '?'))
    from saga where status = 'STUCK'
"""


def _problems(connection: Connection, invariant: str, query: str) -> list[Problem]:
    rows = connection.execute(text(query)).fetchmany(PROBLEMS_MAX)
    return [Problem(invariant, str(row[0])) for row in rows]


def _figures(connection: Connection) -> dict[str, int]:
    row = connection.execute(
        text(
            "select (select count(*) from outbox) as events,"
            " (select count(*) from outbox where sent_at is null and parked_at is null) as events_unsent,"
            " (select count(*) from outbox where sent_at is null and parked_at is not null) as events_refused,"
            " (select count(*) from parked where state = 'PARKED') as events_parked,"
            " (select count(*) from saga where status = 'STUCK') as sagas_stuck,"
            " (select count(*) from audit) as audit_rows,"
            " (select count(*) from audit where position is null) as audit_unchained"
        )
    ).one()
    return dict(row._mapping)
