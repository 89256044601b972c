"""SQL of where documents stand and what was done with them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlmodel import Session

from chassis.errors import NotFound
from chassis.money import Money
from services.finance.documents.domain import Deputy, DocumentKind, State


def state(session: Session, document_id: UUID) -> State:
    """Where one document stands; NOT_FOUND when the caller does not see it."""
    found = find(session, document_id)
    if found is None:
        raise NotFound.resource("document", document_id)
    return found


def find(session: Session, document_id: UUID) -> State | None:
    """Where one document stands; None when the caller does not see it."""
    row = session.execute(text("select * from document_state where document_id = :id"), {"id": document_id}).first()
    return None if row is None else _state(row)


def _state(row: Row[Any]) -> State:
    amount = None if row.currency is None or row.amount_minor is None else Money(row.amount_minor, row.currency)
    return State(
        row.document_id,
        row.agency_id,
        DocumentKind(row.document_kind),
        row.document_number,
        row.status,
        row.since,
        amount,
        {part: frozenset(UUID(person) for person in persons) for part, persons in row.persons.items()},
    )


def deputies(session: Session, agency_ids: Collection[UUID], on: date) -> dict[UUID, list[Deputy]]:
    """Who deputises for whom in which role on a day, by agency."""
    rows = session.execute(
        text(
            """
            select agency_id, role, to_person_id, from_person_id from approval_delegation
            where agency_id = any (cast(:ids as uuid[])) and valid_from <= :on and :on <= valid_until
              and ended_at is null
            order by approval_delegation_id
            """
        ),
        {"ids": list(agency_ids), "on": on},
    )
    found: dict[UUID, list[Deputy]] = {agency_id: [] for agency_id in agency_ids}
    for row in rows:
        found[row.agency_id].append(Deputy(row.role, row.to_person_id, row.from_person_id))
    return found


@dataclass(frozen=True)
class Duty:
    """Documents of a kind in a state for which the caller holds the permission of an act, in these agencies."""

    kind: DocumentKind
    status: str
    agency_ids: frozenset[UUID]
    apart: frozenset[str]
    routed: bool
    keeps_deciders_apart: bool


@dataclass(frozen=True)
class Desk:
    """What one person may do: acts by permission, and open steps by (role, agency, on whose behalf)."""

    person_id: UUID
    duties: Sequence[Duty]
    roles: Sequence[tuple[str, UUID, UUID | None]]


# By the permission of an act: documents in the states from which it leads, whose earlier parts keep nobody apart.
_DUTIES = """
    select s.document_id
    from jsonb_to_recordset(cast(:duties as jsonb))
        as w (kind text, status text, agencies uuid[], apart text[], routed boolean, deciders boolean)
    join document_state s on s.agency_id = any (w.agencies) and s.document_kind = w.kind and s.status = w.status
    left join approval a on a.approval_id = s.document_id
    where not exists (select 1 from unnest(w.apart) p where jsonb_exists(s.persons -> p, :person))
      and (not w.routed or a.approval_id is null or a.status = 'APPROVED')
      and not (w.deciders and exists (
          select 1 from approval_decision d
          where d.approval_id = a.approval_id and d.round_number = a.round_number
            and cast(:person as uuid) in (d.person_id, d.on_behalf_of_person_id)
      ))
"""
# By the role of an open step, held or lent: unless the person, or who lent it, took a part in the document.
_STEPS = """
    select s.document_id
    from jsonb_to_recordset(cast(:roles as jsonb)) as h (role text, agency_id uuid, behalf uuid)
    -- Of a route's rounds only the last has open steps.
    join approval_step t on t.agency_id = h.agency_id and t.status = 'OPEN'
         and (h.role = t.role or t.escalated and h.role = t.escalation_role)
    join approval a on a.approval_id = t.approval_id and a.status = 'PENDING'
    join document_state s on s.document_id = a.approval_id
    where not exists (
        select 1 from jsonb_each(s.persons) p
        where jsonb_exists(p.value, :person) or jsonb_exists(p.value, cast(h.behalf as text))
    )
    and not exists (
        select 1 from approval_decision d
        where d.approval_id = a.approval_id and d.round_number = a.round_number
          and (cast(:person as uuid) in (d.person_id, d.on_behalf_of_person_id)
               or h.behalf in (d.person_id, d.on_behalf_of_person_id))
    )
"""
# What a person has a part in and that waits for somebody.
_MINE = """
    select s.document_id
    from jsonb_to_recordset(cast(:open as jsonb)) as o (kind text, status text)
    join document_state s on s.document_kind = o.kind and s.status = o.status
    where exists (select 1 from jsonb_each(s.persons) p where jsonb_exists(p.value, :person))
"""


def waiting(
    session: Session,
    desk: Desk,
    *,
    agency_id: UUID | None,
    kind: DocumentKind | None,
    after: tuple[Any, ...] | None,
    limit: int,
) -> list[State]:
    """Documents that wait for a person, the one that has waited longest first."""
    asked = {
        "duties": json.dumps(
            [
                {
                    "kind": one.kind.value,
                    "status": one.status,
                    "agencies": [str(agency) for agency in sorted(one.agency_ids)],
                    "apart": sorted(one.apart),
                    "routed": one.routed,
                    "deciders": one.keeps_deciders_apart,
                }
                for one in desk.duties
            ]
        ),
        "roles": json.dumps(
            [
                {"role": role, "agency_id": str(agency), "behalf": None if behalf is None else str(behalf)}
                for role, agency, behalf in desk.roles
            ]
        ),
    }
    return _page(session, f"{_DUTIES} union {_STEPS}", desk.person_id, asked, agency_id, kind, after, limit)


def made_by(
    session: Session,
    person_id: UUID,
    unfinished: Mapping[DocumentKind, Collection[str]],
    *,
    agency_id: UUID | None,
    kind: DocumentKind | None,
    after: tuple[Any, ...] | None,
    limit: int,
) -> list[State]:
    """Documents in which a person has a part and that still wait for somebody, in the same order."""
    pairs = [{"kind": one.value, "status": status} for one, statuses in unfinished.items() for status in statuses]
    return _page(session, _MINE, person_id, {"open": json.dumps(pairs)}, agency_id, kind, after, limit)


def _page(
    session: Session,
    found: str,
    person_id: UUID,
    asked: Mapping[str, str],
    agency_id: UUID | None,
    kind: DocumentKind | None,
    after: tuple[Any, ...] | None,
    limit: int,
) -> list[State]:
    rows = session.execute(
        text(
            f"""
            select s.* from document_state s
            where s.document_id in ({found})
              and (cast(:agency_id as uuid) is null or s.agency_id = :agency_id)
              and (:kind = '' or s.document_kind = :kind)
              and (cast(:after as uuid) is null
                   or (s.since, s.document_id) > (cast(:since as timestamptz), cast(:after as uuid)))
            order by s.since, s.document_id limit :limit
            """  # noqa: S608
        ),
        {
            "agency_id": agency_id,
            "kind": "" if kind is None else kind.value,
            "since": after[0] if after else None,
            "after": after[1] if after else None,
            "person": str(person_id),
            "limit": limit,
            **asked,
        },
    )
    return [_state(row) for row in rows]


def acts(session: Session, document_id: UUID, *, after: tuple[Any, ...] | None, limit: int) -> Sequence[Row[Any]]:
    """What was done with a document, the first act first."""
    return session.execute(
        text(
            """
            select * from document_act where document_id = :id and document_act_no > :after
            order by document_act_no limit :limit
            """
        ),
        {"id": document_id, "after": after[0] if after else 0, "limit": limit},
    ).all()
