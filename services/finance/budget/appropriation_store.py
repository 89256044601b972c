"""SQL of appropriations and releases: whole batches as sets."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlmodel import Session

from chassis.ids import new_id
from chassis.money import Money
from services.finance.budget.domain import AppropriationStatus
from services.finance.budget.span import Span
from services.finance.budget.store import span_in

if TYPE_CHECKING:
    from services.finance.budget.appropriation import AllotmentOrder, Appropriation, NewLine

_APPROPRIATION = (
    "appropriation_id, agency_id, fiscal_year, document_number, status, currency, line_count, total_minor, version,"
    " effective_on, journal_entry_id, valid_from, valid_to, last_fiscal_year"
)
_SPAN = ("valid_from", "valid_to", "last_fiscal_year")
_REVISED = "original_minor + supplementary_minor + virement_in_minor - virement_out_minor + carried_in_minor"


def insert_appropriation(session: Session, new: Appropriation) -> bool:
    """Open a draft; False when its number is taken in the agency and year."""
    row = session.execute(
        text(
            """
            insert into appropriation (appropriation_id, agency_id, fiscal_year, document_number, status, currency,
                                       line_count, total_minor, version, valid_from, valid_to, last_fiscal_year)
            values (:id, :agency_id, :fiscal_year, :number, 'DRAFT', :currency, 0, 0, 0, :valid_from, :valid_to,
                    :last_fiscal_year)
            on conflict (agency_id, fiscal_year, document_number) do nothing returning appropriation_id
            """
        ),
        {
            "id": new.appropriation_id,
            "agency_id": new.agency_id,
            "fiscal_year": new.fiscal_year,
            "number": new.document_number,
            "currency": new.currency,
            **_span_values(new.span),
        },
    ).first()
    return row is not None


def appropriation(session: Session, appropriation_id: UUID, *, lock: bool) -> Appropriation | None:
    """One appropriation, locked if so asked; None when it is not seen."""
    row = session.execute(
        text(
            f"select {_APPROPRIATION} from appropriation where appropriation_id = :id"  # noqa: S608
            + (" for update" if lock else "")
        ),
        {"id": appropriation_id},
    ).first()
    return None if row is None else _appropriation_of(row)


def _appropriation_of(row: Row[Any]) -> Appropriation:
    from services.finance.budget.appropriation import Appropriation

    values = {name: value for name, value in row._mapping.items() if name not in _SPAN}
    return Appropriation(**{**values, "status": AppropriationStatus(values["status"]), "span": span_in(row)})


def _span_values(span: Span | None) -> dict[str, Any]:
    return dict(zip(_SPAN, (span.valid_from, span.valid_to, span.last_year) if span else (None,) * 3, strict=True))


def appropriations(
    session: Session, *, agency_id: UUID | None, fiscal_year: int, after: tuple[Any, ...] | None, limit: int
) -> list[Appropriation]:
    """Appropriations, newest id first."""
    rows = session.execute(
        text(
            f"""
            select {_APPROPRIATION} from appropriation
            where (cast(:agency_id as uuid) is null or agency_id = :agency_id)
              and (:fiscal_year = 0 or fiscal_year = :fiscal_year)
              and (cast(:after as uuid) is null or appropriation_id < :after)
            order by appropriation_id desc limit :limit
            """  # noqa: S608
        ),
        {
            "agency_id": agency_id,
            "fiscal_year": fiscal_year,
            "after": after[0] if after else None,
            "limit": limit,
        },
    )
    return [_appropriation_of(row) for row in rows]


@dataclass(frozen=True)
class Parent:
    """A draft line that others may stand under; `controlled` when it or something above it is a hard stop."""

    budget_line_id: UUID
    controlled: bool


def possible_parents(session: Session, appropriation_id: UUID, ids: Collection[UUID]) -> dict[UUID, Parent]:
    """Those of `ids` that are lines of the draft and hold no amount that is not their children's."""
    if not ids:
        return {}
    rows = session.execute(
        text(
            """
            with recursive above as (
                select budget_line_id as line_id, parent_id, controlling from budget_line
                where budget_line_id = any (cast(:ids as uuid[])) and appropriation_id = :appropriation_id
                  and (not postable or original_minor = 0)
                union all
                select a.line_id, b.parent_id, b.controlling
                from above a join budget_line b on b.budget_line_id = a.parent_id
            )
            select line_id, bool_or(controlling) as controlled from above group by line_id
            """
        ),
        {"ids": list(ids), "appropriation_id": appropriation_id},
    )
    return {row.line_id: Parent(row.line_id, row.controlled) for row in rows}


_LINE_ARRAYS: Mapping[str, str] = {
    "budget_line_id": "uuid[]",
    "fund_code": "text[]",
    "organisation_code": "text[]",
    "program_code": "text[]",
    "account_code": "text[]",
    "function_code": "text[]",
    "location_code": "text[]",
    "project_code": "text[]",
    "funding_source_code": "text[]",
    "line_no": "integer[]",
    "display_name": "text[]",
    "parent_id": "uuid[]",
    "controlling": "boolean[]",
    "warning": "boolean[]",
    "original_minor": "bigint[]",
}


def insert_lines(
    session: Session, into: Appropriation, ids: Sequence[UUID], lines: Sequence[NewLine]
) -> NewLine | None:
    """Insert draft lines as one set; the first line whose segments are taken, or None."""
    rows: list[dict[str, Any]] = [
        {
            **{name: getattr(line, name) for name in _LINE_ARRAYS if hasattr(line, name)},
            "budget_line_id": line_id,
            "controlling": not (line.uncontrolled or line.warning),
            "original_minor": line.original.minor,
        }
        for line_id, line in zip(ids, lines, strict=True)
    ]
    names = ", ".join(_LINE_ARRAYS)
    arrays = ", ".join(f"cast(:{name} as {kind})" for name, kind in _LINE_ARRAYS.items())
    inserted = set(
        session.execute(
            text(
                f"""
                insert into budget_line ({names}, agency_id, fiscal_year, appropriation_id, currency, status, postable,
                    supplementary_minor, virement_in_minor, virement_out_minor, carried_in_minor, frozen_minor,
                    override_minor, reserved_minor, obligated_minor, advanced_minor, expended_minor, ordered_minor,
                    paid_minor, valid_from, valid_to, last_fiscal_year)
                select {names}, :agency_id, :fiscal_year, :appropriation_id, :currency, 'DRAFT', true,
                       0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, cast(:valid_from as date), cast(:valid_to as date),
                       cast(:last_fiscal_year as integer)
                from unnest({arrays}) as v ({names})
                on conflict do nothing returning budget_line_id
                """  # noqa: S608
            ),
            {
                **{name: [row[name] for row in rows] for name in _LINE_ARRAYS},
                "agency_id": into.agency_id,
                "fiscal_year": into.fiscal_year,
                "appropriation_id": into.appropriation_id,
                "currency": into.currency,
                **_span_values(into.span),
            },
        ).scalars()
    )
    return next((line for line_id, line in zip(ids, lines, strict=True) if line_id not in inserted), None)


def roll_up(session: Session, appropriation_id: UUID, agency_id: UUID) -> None:
    """Make every line with lines under it a node, and its amount the sum of the lines at the bottom."""
    session.execute(
        text(
            """
            with recursive bottom as (
                select b.parent_id as node_id, b.original_minor from budget_line b
                where b.appropriation_id = :appropriation_id and b.agency_id = :agency_id and b.parent_id is not null
                  and not exists (select 1 from budget_line c where c.parent_id = b.budget_line_id)
                union all
                select n.parent_id, t.original_minor
                from bottom t join budget_line n on n.budget_line_id = t.node_id
                where n.parent_id is not null
            ), node as (
                select node_id, sum(original_minor)::bigint as original_minor from bottom group by node_id
            )
            update budget_line b set postable = false, original_minor = node.original_minor
            from node where b.budget_line_id = node.node_id
              and (b.postable or b.original_minor <> node.original_minor)
            """
        ),
        {"appropriation_id": appropriation_id, "agency_id": agency_id},
    )


def insert_import(
    session: Session,
    import_id: UUID,
    into: Appropriation,
    line_count: int,
    total_minor: int,
    *,
    person_id: UUID,
    at: datetime,
) -> None:
    """Remember who imported what."""
    session.execute(
        text(
            """
            insert into appropriation_import (appropriation_import_id, agency_id, appropriation_id, person_id,
                                              line_count, total_minor, recorded_at)
            values (:id, :agency_id, :appropriation_id, :person_id, :line_count, :total_minor, :at)
            """
        ),
        {
            "id": import_id,
            "agency_id": into.agency_id,
            "appropriation_id": into.appropriation_id,
            "person_id": person_id,
            "line_count": line_count,
            "total_minor": total_minor,
            "at": at,
        },
    )


def imported_by(session: Session, appropriation_id: UUID, person_id: UUID) -> bool:
    """Whether the person imported lines of it, wrote in the request that it comes from, or proposed the change."""
    return (
        session.execute(
            text(
                "select 1 from appropriation_import where appropriation_id = :id and person_id = :person_id"
                " union all"
                " select 1 from budget_request join budget_request_version using (budget_request_id)"
                " where appropriation_id = :id and :person_id = any (maker_person_ids)"
                " union all"
                " select 1 from budget_change"
                " where budget_change_id = :id and proposed_by_person_id = :person_id limit 1"
            ),
            {"id": appropriation_id, "person_id": person_id},
        ).first()
        is not None
    )


def add_to_appropriation(session: Session, present: Appropriation, line_count: int, total_minor: int) -> Appropriation:
    """Count a batch into the appropriation's totals."""
    row = session.execute(
        text(
            f"""
            update appropriation set line_count = line_count + :line_count, total_minor = total_minor + :total_minor,
                                     version = version + 1
            where appropriation_id = :id returning {_APPROPRIATION}
            """  # noqa: S608
        ),
        {"id": present.appropriation_id, "line_count": line_count, "total_minor": total_minor},
    ).one()
    return _appropriation_of(row)


def activate_lines(session: Session, present: Appropriation) -> dict[str, int]:
    """Make the lines usable; what they give by fund (nodes are sums and do not count)."""
    rows = session.execute(
        text(
            """
            with activated as (
                update budget_line set status = 'ACTIVE' where appropriation_id = :id
                returning fund_code, postable, original_minor
            )
            select fund_code, coalesce(sum(original_minor) filter (where postable), 0)::bigint as amount
            from activated group by fund_code
            """
        ),
        {"id": present.appropriation_id},
    )
    return {row.fund_code: row.amount for row in rows}


def insert_appropriate_movements(
    session: Session,
    present: Appropriation,
    effective_on: date,
    person_id: UUID,
    journal_entry_id: UUID | None,
    *,
    accounting_on: date,
) -> None:
    """One APPROPRIATE movement for every line that was given something, in the books of its journal entry."""
    session.execute(
        text(
            """
            insert into funds_movement (funds_movement_id, agency_id, budget_line_id, kind, reserved_minor,
                obligated_minor, advanced_minor, expended_minor, ordered_minor, paid_minor, authority_minor,
                document_kind, document_id, document_number, effective_on, accounting_on, recorded_at, person_id,
                journal_entry_id)
            select uuidv7(), agency_id, budget_line_id, 'APPROPRIATE', 0, 0, 0, 0, 0, 0, original_minor,
                   'APPROPRIATION', :id, :number, :effective_on, :accounting_on, transaction_timestamp(), :person_id,
                   cast(:journal_entry_id as uuid)
            from budget_line where appropriation_id = :id and postable and original_minor <> 0
            """
        ),
        {
            "id": present.appropriation_id,
            "number": present.document_number,
            "effective_on": effective_on,
            "accounting_on": accounting_on,
            "person_id": person_id,
            "journal_entry_id": journal_entry_id,
        },
    )


def activate(
    session: Session,
    present: Appropriation,
    effective_on: date,
    person_id: UUID,
    journal_entry_id: UUID | None,
    *,
    at: datetime,
) -> Appropriation:
    """Write that the appropriation is in force."""
    session.execute(
        text(
            """
            update appropriation set status = 'ACTIVE', effective_on = :effective_on, version = version + 1,
                activated_by_person_id = :person_id, activated_at = :at, journal_entry_id = :journal_entry_id
            where appropriation_id = :id
            """
        ),
        {
            "id": present.appropriation_id,
            "effective_on": effective_on,
            "person_id": person_id,
            "at": at,
            "journal_entry_id": journal_entry_id,
        },
    )
    return replace(
        present,
        status=AppropriationStatus.ACTIVE,
        effective_on=effective_on,
        journal_entry_id=journal_entry_id,
        version=present.version + 1,
    )


@dataclass(frozen=True)
class LineState:
    """What a release has to know of a line."""

    budget_line_id: UUID
    appropriation_id: UUID | None
    organisation_code: str
    account_code: str
    currency: str
    revised_minor: int
    allotted_minor: int
    fiscal_year: int


def lock_for_allotment(
    session: Session,
    agency_id: UUID,
    fiscal_year: int,
    ids: Collection[UUID] | None,
    organisation_code: str,
) -> list[LineState]:
    """The active lines named, or of the unit, locked in id order, with what they were given so far.

    A share of a year says nothing about a project, so a project's lines are released by name alone.
    """
    rows = session.execute(
        text(
            f"""
            with line as (
                select budget_line_id, appropriation_id, organisation_code, account_code, currency,
                       {_REVISED} as revised_minor, fiscal_year
                from budget_line
                where agency_id = :agency_id and status = 'ACTIVE' and postable
                  and (cast(:ids as uuid[]) is null and fiscal_year = :fiscal_year and last_fiscal_year is null
                       or budget_line_id = any (cast(:ids as uuid[]))
                          and :fiscal_year between fiscal_year and coalesce(last_fiscal_year, fiscal_year))
                  and (:organisation_code = '' or organisation_code = :organisation_code)
                order by budget_line_id for update
            ), given as (
                select a.budget_line_id, sum(a.amount_minor)::bigint as allotted_minor
                from allotment a where a.budget_line_id in (select budget_line_id from line)
                group by a.budget_line_id
            )
            select line.*, coalesce(given.allotted_minor, 0) as allotted_minor
            from line left join given using (budget_line_id) order by budget_line_id
            """  # noqa: S608
        ),
        {
            "agency_id": agency_id,
            "fiscal_year": fiscal_year,
            "ids": None if ids is None else list(ids),
            "organisation_code": organisation_code,
        },
    )
    return [LineState(**row._mapping) for row in rows]


def insert_allotment(
    session: Session,
    order_id: UUID,
    order: AllotmentOrder,
    given: Mapping[UUID, int],
    released: Money,
    *,
    person_id: UUID,
    at: datetime,
) -> bool:
    """Write a release and its lines as sets; False when its number is taken in the agency and year."""
    row = session.execute(
        text(
            """
            insert into allotment_order (allotment_order_id, agency_id, fiscal_year, document_number, month_from,
                month_to, currency, line_count, total_minor, effective_on, person_id, recorded_at)
            values (:id, :agency_id, :fiscal_year, :number, :month_from, :month_to, :currency, :line_count, :total,
                    :effective_on, :person_id, :at)
            on conflict (agency_id, fiscal_year, document_number) do nothing returning allotment_order_id
            """
        ),
        {
            "id": order_id,
            "agency_id": order.agency_id,
            "fiscal_year": order.fiscal_year,
            "number": order.document_number,
            "month_from": order.month_from,
            "month_to": order.month_to,
            "currency": released.currency,
            "line_count": len(given),
            "total": released.minor,
            "effective_on": order.effective_on,
            "person_id": person_id,
            "at": at,
        },
    ).first()
    if row is None:
        return False
    if not given:
        return True
    session.execute(
        text(
            """
            insert into allotment (allotment_id, agency_id, allotment_order_id, budget_line_id, month_from, month_to,
                                   amount_minor)
            select v.allotment_id, :agency_id, :order_id, v.budget_line_id,
                   -- The months of a project are counted on from year to year.
                   :month_from + 12 * (:fiscal_year - b.fiscal_year), :month_to + 12 * (:fiscal_year - b.fiscal_year),
                   v.amount_minor
            from unnest(cast(:allotment_ids as uuid[]), cast(:line_ids as uuid[]), cast(:amounts as bigint[]))
                 as v (allotment_id, budget_line_id, amount_minor)
            join budget_line b using (budget_line_id)
            """
        ),
        {
            "agency_id": order.agency_id,
            "order_id": order_id,
            "fiscal_year": order.fiscal_year,
            "month_from": order.month_from,
            "month_to": order.month_to,
            "allotment_ids": [new_id() for _ in given],
            "line_ids": list(given),
            "amounts": list(given.values()),
        },
    )
    return True
