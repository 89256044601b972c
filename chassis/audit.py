"""Who did what: rows that are added in the business transaction and chained later by the relay.

Each row's hash covers its content and the hash before it; heads are signed. So a row that was altered, removed,
inserted or moved is found by `verify`, and so is a chain that was cut, down to the last signed head. Heads that were
published (`chassis.audit_heads`) find a chain that was rewritten together with the heads beside it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, Self
from uuid import UUID

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import Connection, RowMapping, text
from sqlalchemy.orm import Session

from chassis import sql_batch, telemetry
from chassis.call import Call, Principal
from chassis.ids import new_id
from chassis.sql_batch import Statement

# What the first row's hash stands on.
GENESIS = bytes(32)
_PAGE = 2_000


class Happening(Protocol):
    """What an event under way offers to the audit (`chassis.events.Event`)."""

    @property
    def id(self) -> UUID: ...

    @property
    def type(self) -> str: ...

    @property
    def source(self) -> str: ...


_INSERT = text(
    """
    insert into audit (audit_id, action, outcome, subject, person_id, service, agency_id, resource, request_id,
                       trace_id, details)
    select audit_id, action, outcome, subject, person_id, service, agency_id, resource, request_id, trace_id, details
    from rows from (json_to_recordset(cast(:rows as json))
                    as (audit_id uuid, action text, outcome text, subject text, person_id uuid, service text,
                        agency_id uuid, resource text, request_id text, trace_id text, details jsonb))
         with ordinality
         as given (audit_id, action, outcome, subject, person_id, service, agency_id, resource, request_id,
                   trace_id, details, nth)
    order by nth
    """
)


def record(
    session: Session | Connection,
    cause: Call | Happening,
    *,
    action: str | None = None,
    resource: str | None = None,
    agency_id: UUID | None = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Add one row for what `cause` does in this transaction. `details` hold no personal data, and no floats."""
    record_all(session, [row_of(cause, action=action, resource=resource, agency_id=agency_id, details=details)])


def record_all(session: Session | Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add rows made by `row_of`, in one statement: at the end of a session's transaction, at once on a connection."""
    if not rows:
        return
    statement = insertion(rows)
    if isinstance(session, Session):
        sql_batch.later(session, statement.text, statement.values)
    else:
        session.execute(statement.text, statement.values)


def insertion(rows: Sequence[Mapping[str, Any]]) -> Statement:
    """What adds rows made by `row_of`."""
    # Every value is a text, an id or a document; as JSON they cost a tenth of as many arrays in the making.
    return Statement(_INSERT, {"rows": _json(list(rows))})


def row_of(
    cause: Call | Happening,
    *,
    action: str | None = None,
    resource: str | None = None,
    agency_id: UUID | None = None,
    details: Mapping[str, Any] | None = None,
    trace_id: str | None = None,
) -> dict[str, Any]:
    """The row that `record` would add."""
    if isinstance(cause, Call):
        who = _who(cause.principal)
        what, request_id = cause.method, cause.request_id
    else:
        who = {"subject": cause.source, "person_id": None, "service": None}
        what, request_id = cause.type, str(cause.id)
    return {
        **who,
        "audit_id": new_id(),
        "action": action or what,
        "outcome": "DONE",
        "agency_id": agency_id,
        "resource": resource,
        "request_id": request_id,
        "trace_id": trace_id or telemetry.trace_id(),
        "details": details or {},
    }


def denied_row(
    *, method: str, permission: str | None, principal: Principal | None, agency_id: UUID | None, reason: str
) -> dict[str, Any]:
    """The row of a decision against a caller; `principal` is None for one that is not known."""
    who = _who(principal) if principal else {"subject": "anonymous", "person_id": None, "service": None}
    return {
        **who,
        "audit_id": new_id(),
        "action": method,
        "outcome": "DENIED",
        "agency_id": agency_id,
        "resource": None,
        "request_id": None,
        "trace_id": telemetry.trace_id(),
        "details": {"permission": permission or "", "reason": reason},
    }


def personal_data_read(
    session: Session, call: Call, *, person_id: UUID, fields: Sequence[str], agency_id: UUID | None = None
) -> None:
    """Note that `call` saw these fields of a person: the person may ask who looked."""
    record(
        session,
        call,
        resource=f"persons/{person_id}",
        agency_id=agency_id,
        details={"read_fields": sorted(fields)},
    )


def _who(principal: Principal) -> dict[str, Any]:
    return {
        "subject": principal.subject,
        "person_id": principal.person_id,
        "service": principal.service,
    }


def _json(content: Any) -> str:
    return orjson.dumps(content, default=str).decode()


# --- the chain -----------------------------------------------------------------------------------------------

_FIELDS = (
    "audit_id recorded_at action outcome subject person_id service agency_id resource request_id trace_id details"
).split()


def row_hash(row: RowMapping | Mapping[str, Any], position: int, previous: bytes) -> bytes:
    """SHA-256 over the hash before it and the row's content at its position, in one canonical form."""
    content: dict[str, Any] = {"position": position}
    for name in _FIELDS:
        value = row[name]
        if isinstance(value, datetime):
            value = value.astimezone(UTC).isoformat(timespec="microseconds")
        elif isinstance(value, UUID):
            value = str(value)
        content[name] = value
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(previous + canonical.encode()).digest()


def chain(connection: Connection, *, limit: int = 1_000) -> int:
    """Give up to `limit` committed rows their positions and hashes, in the order of their ids; how many.

    For the relay alone, in a transaction that the caller began: two chainers would fork the chain.
    """
    rows = (
        connection.execute(
            text("select * from audit where position is null order by id limit :limit"), {"limit": limit}
        )
        .mappings()
        .all()
    )
    if not rows:
        return 0
    state = connection.execute(text("select audit_position, audit_hash from relay_state for update")).one()
    position, previous = int(state.audit_position), bytes(state.audit_hash)
    ids, positions, befores, hashes = [], [], [], []
    for row in rows:
        position += 1
        ids.append(row["id"])
        positions.append(position)
        befores.append(previous)
        previous = row_hash(row, position, previous)
        hashes.append(previous)
    connection.execute(
        text(
            """
            update audit set position = given.position, prev_hash = given.prev_hash, hash = given.hash
            from unnest(cast(:ids as bigint[]), cast(:positions as bigint[]), cast(:befores as bytea[]),
                        cast(:hashes as bytea[])) as given (id, position, prev_hash, hash)
            where audit.id = given.id
            """
        ),
        {"ids": ids, "positions": positions, "befores": befores, "hashes": hashes},
    )
    connection.execute(
        text("update relay_state set audit_position = :position, audit_hash = :hash"),
        {"position": position, "hash": previous},
    )
    return len(rows)


def head_message(position: int, hash_: bytes, signed_at: datetime) -> bytes:
    """What is signed of a head."""
    return f"kelola-audit-head\n{position}\n{hash_.hex()}\n{signed_at.astimezone(UTC).isoformat()}".encode()


def key_id(key: Ed25519PublicKey) -> str:
    """A short name for a signing key: the beginning of its SHA-256."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


@dataclass(frozen=True)
class Head:
    """A signed head of the chain: up to its position, nothing can be altered unseen."""

    position: int
    hash: bytes
    signed_at: datetime
    key_id: str
    signature: bytes

    @classmethod
    def of(cls, row: RowMapping) -> Self:
        """The head that a row of `audit_head` holds."""
        return cls(
            position=int(row["position"]),
            hash=bytes(row["hash"]),
            signed_at=row["signed_at"].astimezone(UTC),
            key_id=row["key_id"],
            signature=bytes(row["signature"]),
        )


def sign_head(connection: Connection, key: Ed25519PrivateKey, *, now: datetime | None = None) -> Head | None:
    """Sign the chain's present head into `audit_head`; None when there is none, or it is signed already."""
    end = connection.execute(
        text(
            "select audit_position as position, audit_hash as hash from relay_state"
            " where audit_position > 0"
            " and not exists (select 1 from audit_head where position = relay_state.audit_position)"
        )
    ).first()
    if end is None:
        return None
    signed_at = now or datetime.now(UTC)
    position, hash_ = int(end.position), bytes(end.hash)
    signature = key.sign(head_message(position, hash_, signed_at))
    head = Head(position, hash_, signed_at, key_id(key.public_key()), signature)
    connection.execute(
        text(
            "insert into audit_head (position, hash, signed_at, key_id, signature)"
            " values (:position, :hash, :signed_at, :key_id, :signature)"
        ),
        vars(head),
    )
    return head


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with the chain: at which position, and what."""

    position: int
    description: str

    def __str__(self) -> str:
        return f"audit position {self.position}: {self.description}"


def verify(
    connection: Connection,
    *,
    public_keys: Mapping[str, Ed25519PublicKey] | None = None,
    anchors: Sequence[Head] = (),
    problems_max: int = 100,
) -> list[Problem]:
    """What is wrong with the audit chain, the first bad row first; empty when it holds.

    With `public_keys` (by key id) the heads' signatures are checked too; a head of an unknown key is a problem.
    Without them a head's hash is still compared with the row. `anchors` are heads that were kept outside of the
    database (`audit_heads.read`), read before `connection` took its snapshot: each must be in the chain, and in
    `audit_head`. Rows that are not chained yet are not a problem: see `unchained`.
    """
    problems: list[Problem] = []
    hashes: dict[int, bytes] = {}
    rows = connection.execute(text("select * from audit_head order by position")).mappings()
    heads = {head.position: head for head in map(Head.of, rows)}
    wanted = {*heads, *(anchor.position for anchor in anchors)}
    previous, expected = GENESIS, 1
    for row in _chained(connection):
        position = row["position"]
        if len(problems) >= problems_max:
            return problems
        if position != expected:
            missing = f"{expected}" if position == expected + 1 else f"{expected} to {position - 1}"
            problems.append(Problem(expected, f"missing: {missing}"))
        elif bytes(row["prev_hash"] or b"") != previous:
            problems.append(Problem(position, "does not continue the row before it"))
        content = row_hash(row, position, bytes(row["prev_hash"] or b""))
        if content != bytes(row["hash"] or b""):
            problems.append(Problem(position, f"was altered after it was chained (audit_id {row['audit_id']})"))
        previous, expected = bytes(row["hash"] or b""), position + 1
        if position in wanted:
            hashes[position] = previous
    last = expected - 1
    state = connection.execute(text("select audit_position, audit_hash from relay_state")).first()
    if state is not None and (state.audit_position, bytes(state.audit_hash)) != (last, previous):
        problems.append(Problem(last + 1, f"the chain ends at {last}, the relay chained up to {state.audit_position}"))
    for head in heads.values():
        problems += _head_problems(head, hashes.get(head.position), public_keys)
    for anchor in anchors:
        if heads.get(anchor.position) == anchor:
            continue
        wrong = _head_problems(anchor, hashes.get(anchor.position), public_keys)
        if not wrong:
            wrong = [Problem(anchor.position, f"its head, signed on {anchor.signed_at}, is no longer in audit_head")]
        problems += [Problem(problem.position, f"by a head kept outside: {problem.description}") for problem in wrong]
    return sorted(problems, key=lambda problem: problem.position)[:problems_max]


def unchained(connection: Connection) -> int:
    """How many rows are committed and not chained yet (the tail that `verify` cannot vouch for)."""
    return int(connection.execute(text("select count(*) from audit where position is null")).scalar_one())


def _head_problems(
    head: Head, hash_: bytes | None, public_keys: Mapping[str, Ed25519PublicKey] | None
) -> list[Problem]:
    position = head.position
    if public_keys is not None:
        # A head that nobody signed says nothing about the chain.
        key = public_keys.get(head.key_id)
        if key is None:
            return [Problem(position, f"its head is signed by the unknown key {head.key_id}")]
        try:
            key.verify(head.signature, head_message(position, head.hash, head.signed_at))
        except InvalidSignature:
            return [Problem(position, "the signature of its head does not hold")]
    if hash_ is None:
        return [Problem(position, f"signed on {head.signed_at}, and now gone: the chain was cut")]
    if hash_ != head.hash:
        return [Problem(position, f"differs from the head signed on {head.signed_at}: the chain was rewritten")]
    return []


def _chained(connection: Connection) -> Iterator[RowMapping]:
    after = 0
    while True:
        page = (
            connection.execute(
                text("select * from audit where position > :after order by position limit :page"),
                {"after": after, "page": _PAGE},
            )
            .mappings()
            .all()
        )
        if not page:
            return
        yield from page
        after = page[-1]["position"]
