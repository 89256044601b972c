"""SQL of the end of a budget year. It looks over the fences of payables and contracts: a liability moves whole."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session

from services.finance.budget.domain import Document, DocumentKind, Key
from services.finance.budget.yearend.domain import Decision, LineResult, YearEnd, YearEndStatus
from services.finance.budget.yearend.tables import BudgetYearEndDecisionRow, BudgetYearEndLineRow, BudgetYearEndRow


def insert_year_end(session: Session, one: YearEnd) -> bool:
    """Write a proposal; False when its number is taken, or the year has a document that counts."""
    written = session.execute(
        insert(BudgetYearEndRow)
        .values(**_head(one))
        .on_conflict_do_nothing()
        .returning(BudgetYearEndRow.budget_year_end_id)
    ).first()
    if written is None:
        return False
    if one.decisions:
        session.execute(
            insert(BudgetYearEndDecisionRow),
            [
                {
                    "budget_year_end_id": one.budget_year_end_id,
                    "document_line_id": key.document_line_id,
                    "budget_line_id": key.budget_line_id,
                    "agency_id": one.agency_id,
                    "decision": decision.value,
                }
                for key, decision in one.decisions.items()
            ],
        )
    return True


def _head(one: YearEnd) -> dict[str, Any]:
    return {
        "budget_year_end_id": one.budget_year_end_id,
        "agency_id": one.agency_id,
        "fiscal_year": one.fiscal_year,
        "document_number": one.document_number,
        "explanation": one.explanation,
        "default_decision": one.default.value,
        "opened_on": one.opened_on,
        "status": one.status.value,
        "currency": one.currency,
        "lapsed_minor": one.lapsed,
        "carried_minor": one.carried,
        "paid_minor": one.paid,
        "closed_advances_minor": one.closed_advances,
        "line_count": one.line_count,
        "proposed_by_person_id": one.proposed_by,
        "proposed_at": one.proposed_at,
        "decided_by_person_id": one.decided_by,
        "decided_at": one.decided_at,
        "decision_reason": one.decision_reason,
        "version": one.version,
    }


def save(session: Session, one: YearEnd) -> None:
    """Write what was decided and what came of it."""
    head = _head(one)
    fixed = ("budget_year_end_id", "agency_id", "fiscal_year", "document_number", "proposed_by_person_id")
    session.execute(
        update(BudgetYearEndRow)
        .where(BudgetYearEndRow.budget_year_end_id == one.budget_year_end_id)
        .values(**{name: value for name, value in head.items() if name not in fixed})
    )


def save_results(session: Session, one: YearEnd, results: Sequence[LineResult]) -> None:
    """Write what became of each line."""
    if not results:
        return
    session.execute(
        insert(BudgetYearEndLineRow),
        [
            {
                "budget_year_end_id": one.budget_year_end_id,
                "budget_line_id": result.budget_line_id,
                "agency_id": one.agency_id,
                "next_budget_line_id": result.next_line_id,
                "revised_minor": result.revised,
                "paid_minor": result.paid,
                "lapsed_minor": result.lapsed,
                "carried_minor": result.carried,
                "closed_advances_minor": result.closed_advances,
            }
            for result in results
        ],
    )


def year_end(session: Session, budget_year_end_id: UUID, *, lock: bool = False) -> YearEnd | None:
    """One document with its decisions, locked if so asked; None when it is not seen."""
    query = select(BudgetYearEndRow).where(BudgetYearEndRow.budget_year_end_id == budget_year_end_id)
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    head = session.scalars(query).first()
    return None if head is None else _year_ends(session, [head])[0]


def year_ends(
    session: Session, *, agency_id: UUID | None, fiscal_year: int, after: tuple[Any, ...] | None, limit: int
) -> list[YearEnd]:
    """Documents with their decisions, the newest first."""
    row = BudgetYearEndRow
    query = select(row).order_by(row.budget_year_end_id.desc()).limit(limit)
    if agency_id is not None:
        query = query.where(row.agency_id == agency_id)
    if fiscal_year:
        query = query.where(row.fiscal_year == fiscal_year)
    if after is not None:
        query = query.where(row.budget_year_end_id < after[0])
    return _year_ends(session, list(session.scalars(query)))


def _year_ends(session: Session, heads: Sequence[BudgetYearEndRow]) -> list[YearEnd]:
    row = BudgetYearEndDecisionRow
    ids = [head.budget_year_end_id for head in heads]
    decisions: dict[UUID, dict[Key, Decision]] = {}
    query = (
        select(row)
        .where(row.budget_year_end_id.in_(ids))
        .order_by(row.budget_year_end_id, row.document_line_id, row.budget_line_id)
    )
    for one in session.scalars(query):
        key = Key(one.document_line_id, one.budget_line_id)
        decisions.setdefault(one.budget_year_end_id, {})[key] = Decision(one.decision)
    return [
        YearEnd(
            budget_year_end_id=head.budget_year_end_id,
            agency_id=head.agency_id,
            fiscal_year=head.fiscal_year,
            document_number=head.document_number,
            explanation=head.explanation,
            default=Decision(head.default_decision),
            opened_on=head.opened_on,
            proposed_by=head.proposed_by_person_id,
            proposed_at=head.proposed_at,
            decisions=decisions.get(head.budget_year_end_id, {}),
            status=YearEndStatus(head.status),
            currency=head.currency,
            lapsed=head.lapsed_minor,
            carried=head.carried_minor,
            paid=head.paid_minor,
            closed_advances=head.closed_advances_minor,
            line_count=head.line_count,
            decided_by=head.decided_by_person_id,
            decided_at=head.decided_at,
            decision_reason=head.decision_reason,
            version=head.version,
        )
        for head in heads
    ]


def results(
    session: Session, budget_year_end_id: UUID, *, after: tuple[Any, ...] | None, limit: int
) -> Sequence[Row[Any]]:
    """What became of the lines, by line, with their currency."""
    return session.execute(
        text(
            """
            select r.*, b.currency from budget_year_end_line r join budget_line b using (budget_line_id)
            where r.budget_year_end_id = :id and (cast(:after as uuid) is null or r.budget_line_id > :after)
            order by r.budget_line_id limit :limit
            """
        ),
        {"id": budget_year_end_id, "after": after[0] if after else None, "limit": limit},
    ).all()


# The codes of a year's lines that another has taken the place of by the first day of the next (carryover/). They held
# when the line became usable: on the first day of its year, or of a project's span.
_SINCE = "coalesce(b.valid_from, cast(:first_day as date))"
_NEXT_CODES = f"""
    with carried as (
        select s.segment, s.code, s.since, carried_code(s.segment, s.code, s.since, :next_day) as next_code
        from (select distinct v.segment, v.code, {_SINCE} as since
              from budget_line b
              cross join lateral (values ('ORGANISATION', b.organisation_code), ('PROGRAM', b.program_code),
                                         ('ACCOUNT', b.account_code), ('FUNCTION', b.function_code),
                                         ('LOCATION', b.location_code), ('PROJECT', b.project_code),
                                         ('FUNDING_SOURCE', b.funding_source_code)) v (segment, code)
              where b.agency_id = :agency_id and coalesce(b.last_fiscal_year, b.fiscal_year) = :fiscal_year
                and b.status = 'ACTIVE' and b.postable) s
        where exists (select from code_succession c where c.segment = s.segment and c.old_code = s.code)
    )
"""  # noqa: S608  # a constant of this module; values are bound
_SUCCEEDED = ("organisation", "program", "account", "function", "location", "project", "funding_source")


def lines_of_year(
    session: Session, agency_id: UUID, fiscal_year: int, *, first_day: date, next_day: date
) -> dict[UUID, UUID | None]:
    """The active lines that end with a year, each with next year's active line of equal segments, if any.

    A project's line ends with the last year of its span, and only such a line goes on in another project's.

    A segment is equal to its default successor where the chart changes between `first_day`, the year's or for a project
    its span's, and `next_day`, the next year's first day.
    """
    renamed = " ".join(
        f"left join carried {name} on ({name}.segment, {name}.code, {name}.since)"
        f" = ('{name.upper()}', b.{name}_code, {_SINCE})"
        for name in _SUCCEEDED
    )
    codes = ", ".join(f"coalesce({name}.next_code, b.{name}_code)" for name in _SUCCEEDED)
    rows = session.execute(
        text(
            f"""
            {_NEXT_CODES}
            select b.budget_line_id, n.budget_line_id as next_id
            from budget_line b {renamed}
            left join budget_line n
                   on (n.agency_id, n.fund_code, {", ".join(f"n.{name}_code" for name in _SUCCEEDED)}, n.line_no)
                    = (b.agency_id, b.fund_code, {codes}, b.line_no)
                  and n.fiscal_year = :fiscal_year + 1 and n.status = 'ACTIVE' and n.postable
                  and n.currency = b.currency and (n.last_fiscal_year is null or b.last_fiscal_year is not null)
            where b.agency_id = :agency_id and b.status = 'ACTIVE' and b.postable
              and coalesce(b.last_fiscal_year, b.fiscal_year) = :fiscal_year
            """  # noqa: S608  # the parts are constants of this module; values are bound
        ),
        {"agency_id": agency_id, "fiscal_year": fiscal_year, "first_day": first_day, "next_day": next_day},
    )
    return {row.budget_line_id: row.next_id for row in rows}


def open_document_lines(session: Session, line_ids: Collection[UUID]) -> list[UUID]:
    """The document lines that hold R, O, V, E or S on these lines."""
    return list(
        session.execute(
            text(
                """
                select distinct document_line_id from funds_position
                where budget_line_id = any (cast(:ids as uuid[]))
                  and reserved_minor + obligated_minor + advanced_minor + expended_minor + ordered_minor > 0
                order by document_line_id
                """
            ),
            {"ids": list(line_ids)},
        ).scalars()
    )


def carried_to(session: Session, keys: Collection[Key]) -> dict[Key, UUID]:
    """Where document lines that name a line of a year that ended hold their funds now, as far as they were carried."""
    rows = session.execute(
        text(
            """
            select k.document_line_id, k.budget_line_id, now.budget_line_id as now_id
            from unnest(cast(:d as uuid[]), cast(:b as uuid[])) as k (document_line_id, budget_line_id)
            join budget_line b on b.budget_line_id = k.budget_line_id and b.status = 'CLOSED'
            cross join lateral (
                select p.budget_line_id
                from funds_position p
                join funds_movement m on m.funds_movement_id = p.opening_movement_id and m.kind = 'CARRY'
                join budget_line n on n.budget_line_id = p.budget_line_id
                where p.document_line_id = k.document_line_id order by n.fiscal_year desc limit 1
            ) now
            """
        ),
        {"d": [key.document_line_id for key in keys], "b": [key.budget_line_id for key in keys]},
    )
    return {Key(row.document_line_id, row.budget_line_id): row.now_id for row in rows}


def direct_spending(session: Session, line_ids: Collection[UUID]) -> dict[tuple[UUID, Document], int]:
    """What journal entries spent directly on these lines and is still owed, by line and entry."""
    rows = session.execute(
        text(
            """
            select budget_line_id, document_id, document_number, sum(expended_minor)::bigint as expended
            from funds_movement
            where budget_line_id = any (cast(:ids as uuid[])) and document_kind = 'JOURNAL_ENTRY'
            group by 1, 2, 3 having sum(expended_minor) <> 0
            """
        ),
        {"ids": list(line_ids)},
    )
    return {
        (row.budget_line_id, Document(DocumentKind.JOURNAL_ENTRY, row.document_id, row.document_number)): row.expended
        for row in rows
    }


def payables_under_way(session: Session, line_ids: Collection[UUID]) -> list[str]:
    """Payables of these lines that a payment request or order holds, for whoever wants to end the year."""
    return list(
        session.execute(
            text(
                """
                select distinct format('payable %s is %s: finish or withdraw its payment', p.payable_id, p.status)
                from payable p join payable_part t using (payable_id)
                where t.budget_line_id = any (cast(:ids as uuid[])) and p.status in ('REQUESTED', 'ORDERED')
                order by 1
                """
            ),
            {"ids": list(line_ids)},
        ).scalars()
    )


def imprests_open(session: Session, agency_id: UUID, fiscal_year: int) -> list[str]:
    """Imprests of the year whose cash left the treasury, or is on its way, and was not given back (domain rules §4:
    cash of UP and TU is returned by the last day), for whoever wants to end the year."""
    return list(
        session.execute(
            text(
                """
                select format('imprest %s (%s) of %s is not settled: have its vouchers validated and its cash returned',
                              i.imprest_id, i.kind, i.fiscal_year)
                from imprest i join payable p using (payable_id)
                where i.agency_id = :agency_id and i.fiscal_year = :fiscal_year and i.status = 'OPEN'
                  and p.status <> 'OPEN'
                order by i.imprest_id
                """
            ),
            {"agency_id": agency_id, "fiscal_year": fiscal_year},
        ).scalars()
    )


def owed(session: Session, line_ids: Collection[UUID]) -> Sequence[Row[Any]]:
    """What is owed under these lines in the ledger, by account, document line and currency (F5).

    `owed` is in the currency of the books (`own`), `foreign_owed` in that of the debt (`currency`).
    """
    return session.execute(
        text(
            """
            select j.budget_line_id, j.fund_code, j.account_code, j.document_line_id, j.currency, b.currency as own,
                   sum(j.credit_minor - j.debit_minor)::bigint as foreign_owed,
                   sum(coalesce(j.functional_credit_minor, j.credit_minor)
                       - coalesce(j.functional_debit_minor, j.debit_minor))::bigint as owed
            from journal_line j join budget_line b using (budget_line_id)
            where j.budget_line_id = any (cast(:ids as uuid[])) and j.basis = 'ACCRUAL'
              and j.account_code in (select code from account where kind = 'PAYABLE')
            group by 1, 2, 3, 4, 5, 6
            having sum(coalesce(j.functional_credit_minor, j.credit_minor)
                       - coalesce(j.functional_debit_minor, j.debit_minor)) <> 0
                or sum(j.credit_minor - j.debit_minor) <> 0
            order by 1, 2, 3, 4, 5
            """
        ),
        {"ids": list(line_ids)},
    ).all()


def point_to(session: Session, moved: Mapping[UUID, UUID]) -> None:
    """Let orders, contracts and unpaid payables of lines name next year's line from now on."""
    parameters = {"old": list(moved), "new": list(moved.values())}
    pairs = "unnest(cast(:old as uuid[]), cast(:new as uuid[])) as v (old_id, new_id)"
    for table in ("purchase_order_line", "contract_line"):
        session.execute(
            text(
                f"update {table} t set budget_line_id = v.new_id from {pairs} where t.budget_line_id = v.old_id"  # noqa: S608
            ),
            parameters,
        )
    session.execute(
        text(
            f"""
            update payable_part t set budget_line_id = v.new_id from {pairs}, payable p
            where t.budget_line_id = v.old_id and p.payable_id = t.payable_id and p.status not in ('PAID', 'ORDERED')
            """  # noqa: S608
        ),
        parameters,
    )


def close_lines(session: Session, agency_id: UUID, fiscal_year: int) -> None:
    """No line of the year takes a movement any more."""
    session.execute(
        text(
            "update budget_line set status = 'CLOSED'"
            " where agency_id = :agency_id and coalesce(last_fiscal_year, fiscal_year) = :fiscal_year"
            " and status = 'ACTIVE'"
        ),
        {"agency_id": agency_id, "fiscal_year": fiscal_year},
    )
