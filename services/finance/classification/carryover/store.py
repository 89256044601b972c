"""SQL of successions and carry-overs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import select, text, tuple_
from sqlmodel import Session

from chassis.money import checked
from services.finance.classification.carryover.domain import Carried, CarryOver, Holding, Succession
from services.finance.classification.carryover.tables import BalanceCarryOverRow, CodeSuccessionRow
from services.finance.classification.segments import Segment
from services.finance.ledger.domain import Basis, Segments
from services.finance.ledger.yearend import run_store
from services.finance.ledger.yearend.domain import Balance

_SUCCESSION = tuple(Succession.__dataclass_fields__)
_SEGMENT_COLUMNS = ", ".join(f"l.{name}" for name in Segments.__dataclass_fields__)


def _succession(row: CodeSuccessionRow) -> Succession:
    values = {name: getattr(row, name) for name in _SUCCESSION}
    return Succession(**(values | {"segment": Segment(row.segment)}))


def successions_of(session: Session, codes: Collection[tuple[Segment, str]]) -> list[Succession]:
    """Every succession of these old codes, on whatever day."""
    row = CodeSuccessionRow
    pairs = sorted((segment.value, code) for segment, code in codes)
    query = select(row).where(tuple_(row.segment, row.old_code).in_(pairs))
    return [_succession(found) for found in session.scalars(query)]


def successions(
    session: Session, *, segment: Segment | None, after: tuple[Any, ...] | None, limit: int
) -> list[Succession]:
    """Successions by segment, day, old and new code."""
    row = CodeSuccessionRow
    key = (row.segment, row.effective_on, row.old_code, row.new_code)
    query = select(row).order_by(*key).limit(limit)
    if segment is not None:
        query = query.where(row.segment == segment.value)
    if after is not None:
        query = query.where(tuple_(*key) > tuple_(*after))
    return [_succession(found) for found in session.scalars(query)]


def add_successions(session: Session, wanted: Sequence[Succession]) -> None:
    """Insert successions, and end each old code on its day where it is open, or would end later."""
    session.add_all(
        [
            CodeSuccessionRow(**({name: getattr(one, name) for name in _SUCCESSION} | {"segment": one.segment.value}))
            for one in wanted
        ]
    )
    session.flush()
    values = {
        "segments": [one.segment.value for one in wanted],
        "codes": [one.old_code for one in wanted],
        "days": [one.effective_on for one in wanted],
    }
    ended = "unnest(cast(:segments as text[]), cast(:codes as text[]), cast(:days as date[])) w (segment, code, on_day)"
    covers = "t.valid_from < w.on_day and (t.valid_to is null or t.valid_to > w.on_day)"
    session.execute(
        text(
            f"update account t set valid_to = w.on_day from {ended}"  # noqa: S608  # constants of this function
            f" where w.segment = 'ACCOUNT' and t.code = w.code and {covers}"
        ),
        values,
    )
    session.execute(
        text(
            f"update dimension_value t set valid_to = w.on_day from {ended}"  # noqa: S608
            f" where t.kind = w.segment and t.code = w.code and {covers}"
        ),
        values,
    )
    session.expire_all()


# Whether a code is in its tree, and not on the first day of the year.
_ENDED = """
    exists (select from account a where c.segment = 'ACCOUNT' and a.code = c.code and a.valid_from <= :first_day
            union all
            select from dimension_value d where d.kind = c.segment and d.code = c.code and d.valid_from <= :first_day)
    and not exists (
            select from account a where c.segment = 'ACCOUNT' and a.code = c.code and a.valid_from <= :first_day
              and (a.valid_to is null or :first_day < a.valid_to)
            union all
            select from dimension_value d where d.kind = c.segment and d.code = c.code and d.valid_from <= :first_day
              and (d.valid_to is null or :first_day < d.valid_to))
"""
# A line's codes held when it became usable: on the first day of its year, or of a project's span.
_BUDGET_CODES = """
    select distinct s.segment, s.code, coalesce(b.valid_from, cast(:before as date)) as since
    from budget_line b
    cross join lateral (values ('ACCOUNT', b.account_code), ('ORGANISATION', b.organisation_code),
                               ('PROGRAM', b.program_code), ('FUNCTION', b.function_code),
                               ('LOCATION', b.location_code), ('PROJECT', b.project_code),
                               ('FUNDING_SOURCE', b.funding_source_code)) s (segment, code)
    where b.agency_id = :agency_id and coalesce(b.last_fiscal_year, b.fiscal_year) = :year - 1
      and b.status = 'ACTIVE' and b.postable and s.code <> ''
"""


def uncarried_budget(
    session: Session, agency_id: UUID, year: int, *, before: date, first_day: date
) -> list[tuple[Segment, str]]:
    """The codes of active budget lines that end with the year before, end before the year and have no successor.

    `before` is the first day of the year before, on which the codes of its own lines held.
    """
    rows = session.execute(
        text(
            f"""
            select distinct c.segment, c.code from ({_BUDGET_CODES}) c
            where {_ENDED} and carried_code(c.segment, c.code, c.since, :first_day) = c.code
            order by 1, 2
            """  # noqa: S608  # constants of this module; values are bound
        ),
        {"agency_id": agency_id, "year": year, "before": before, "first_day": first_day},
    )
    return [(Segment(row.segment), row.code) for row in rows]


def named_by_templates(session: Session, agency_id: UUID, *, first_day: date) -> list[tuple[Segment, str]]:
    """The codes that have ended by a day without successor while a journal template that goes on names them.

    A line that names a budget line goes with it and its year.
    """
    rows = session.execute(
        text(
            f"""
            select distinct c.segment, c.code
            from (select v.segment, v.code
                  from journal_template t join journal_template_line l using (journal_template_id)
                  cross join lateral (values ('ACCOUNT', l.account_code), ('FUND', l.fund_code),
                                             ('ORGANISATION', l.organisation_code), ('PROGRAM', l.program_code),
                                             ('FUNCTION', l.function_code), ('LOCATION', l.location_code),
                                             ('PROJECT', l.project_code),
                                             ('FUNDING_SOURCE', l.funding_source_code)) v (segment, code)
                  where t.agency_id = :agency_id and (t.last_due_on is null or t.last_due_on >= :first_day)
                    and l.budget_line_id is null and v.code <> '') c
            cross join lateral (
                select max(f.valid_from) as valid_from
                from (select a.valid_from from account a where c.segment = 'ACCOUNT' and a.code = c.code
                      union all
                      select d.valid_from from dimension_value d where d.kind = c.segment and d.code = c.code) f
                where f.valid_from <= :first_day
            ) last
            where {_ENDED} and carried_code(c.segment, c.code, last.valid_from, :first_day) = c.code
            order by 1, 2
            """  # noqa: S608  # constants of this module; values are bound
        ),
        {"agency_id": agency_id, "first_day": first_day},
    )
    return [(Segment(row.segment), row.code) for row in rows]


_ENDED_FUNDS = f"""
    select c.code from (select distinct 'FUND' as segment, k.fund_code as code from account_balance k
                        where k.agency_id = :agency_id) c
    where {_ENDED}
"""  # noqa: S608  # constants of this module; values are bound


def fund_balances(session: Session, agency_id: UUID, *, first_day: date) -> list[Balance]:
    """What stands on each account of the funds that have ended by a day."""
    rows = session.execute(
        text(
            f"""
            select k.basis, k.fund_code, k.account_code, last.kind, k.currency,
                   sum(k.debit_minor)::numeric - sum(k.credit_minor) as amount,
                   sum(k.functional_debit_minor)::numeric - sum(k.functional_credit_minor) as functional
            from account_balance k
            cross join lateral (
                select a.kind from account a
                where a.code = k.account_code and a.valid_from <= :first_day order by a.valid_from desc limit 1
            ) last
            where k.agency_id = :agency_id and k.fund_code in ({_ENDED_FUNDS})
            group by 1, 2, 3, 4, 5
            having sum(k.debit_minor) <> sum(k.credit_minor)
                or sum(k.functional_debit_minor) <> sum(k.functional_credit_minor)
            order by 1, 2, 3, 5
            """  # noqa: S608  # constants of this module; values are bound
        ),
        {"agency_id": agency_id, "first_day": first_day},
    )
    return [
        Balance(
            Basis(row.basis),
            row.fund_code,
            row.account_code,
            row.kind,
            row.currency,
            checked(int(row.amount)),
            checked(int(row.functional)),
        )
        for row in rows
    ]


def funds_with_open_lines(session: Session, agency_id: UUID, *, first_day: date) -> list[str]:
    """The funds that have ended by a day while budget lines of theirs hold R, O, V, E or S."""
    rows = session.execute(
        text(
            f"""
            select distinct c.code from (
                select 'FUND' as segment, b.fund_code as code from budget_line b
                where b.agency_id = :agency_id and b.postable
                  and b.reserved_minor + b.obligated_minor + b.advanced_minor + b.expended_minor + b.ordered_minor > 0
            ) c
            where {_ENDED} order by 1
            """  # noqa: S608  # constants of this module; values are bound
        ),
        {"agency_id": agency_id, "first_day": first_day},
    )
    return [row.code for row in rows]


def cash_without_heir(session: Session, agency_id: UUID, *, first_day: date) -> list[str]:
    """The cash accounts that have ended by a day while a bank account goes on, and none follows, or one that is also
    another bank account's: what the bank tells from then on would have no account of its own in the books."""
    rows = session.execute(
        text(
            f"""
            with c as (
                select b.bank_account_id, 'ACCOUNT' as segment, b.account_code as code,
                       carried_code('ACCOUNT', b.account_code, b.valid_from, :first_day) as now
                from bank_account b
                where b.agency_id = :agency_id and b.valid_from <= :first_day
                  and (b.valid_to is null or :first_day < b.valid_to)
            )
            select distinct c.code from c
            where {_ENDED} and (c.now = c.code or exists (
                select from c other where other.now = c.now and other.bank_account_id <> c.bank_account_id))
            order by 1
            """  # noqa: S608  # constants of this module; values are bound
        ),
        {"agency_id": agency_id, "first_day": first_day},
    )
    return [row.code for row in rows]


def holdings(session: Session, agency_id: UUID, *, first_day: date) -> list[tuple[Holding, str]]:
    """What stands on accounts that have ended by a day, and the kind of each account.

    Nothing but a carry-over is posted on them since, so that all their lines are counted. An account without successor
    is its own.
    """
    rows = session.execute(
        text(
            f"""
            with c as (
                select distinct 'ACCOUNT' as segment, k.account_code as code from account_balance k
                where k.agency_id = :agency_id
            ), ended as (
                select c.code, last.kind, carried_code('ACCOUNT', c.code, last.valid_from, :first_day) as successor
                from c
                cross join lateral (
                    select a.kind, a.valid_from from account a
                    where a.code = c.code and a.valid_from <= :first_day order by a.valid_from desc limit 1
                ) last
                where {_ENDED}
            )
            select l.basis, l.fund_code, l.account_code, e.successor, e.kind, l.currency, {_SEGMENT_COLUMNS},
                   l.budget_line_id, l.document_line_id, l.counterpart_agency_id,
                   coalesce(i.counterpart_fund_code, '') as counterpart_fund_code,
                   sum(l.debit_minor)::numeric - sum(l.credit_minor) as amount,
                   sum(l.functional_debit_minor)::numeric - sum(l.functional_credit_minor) as functional
            from ended e join journal_line l on l.account_code = e.code and l.agency_id = :agency_id
            left join interfund_line i on (i.journal_entry_id, i.line_no) = (l.journal_entry_id, l.line_no)
            group by l.basis, l.fund_code, l.account_code, e.successor, e.kind, l.currency, {_SEGMENT_COLUMNS},
                     l.budget_line_id, l.document_line_id, l.counterpart_agency_id, i.counterpart_fund_code,
                     l.functional_debit_minor is null
            having sum(l.debit_minor) <> sum(l.credit_minor)
                or sum(l.functional_debit_minor) <> sum(l.functional_credit_minor)
            order by 1, 2, 3, 6, l.budget_line_id, l.document_line_id
            """  # noqa: S608  # constants of this module; values are bound
        ),
        {"agency_id": agency_id, "first_day": first_day},
    )
    return [
        (
            Holding(
                Basis(row.basis),
                row.fund_code,
                row.account_code,
                row.successor,
                row.currency,
                checked(int(row.amount)),
                None if row.functional is None else checked(int(row.functional)),
                Segments(*(getattr(row, name) for name in Segments.__dataclass_fields__)),
                row.budget_line_id,
                row.document_line_id,
                row.counterpart_agency_id,
                row.counterpart_fund_code,
            ),
            row.kind,
        )
        for row in rows
    ]


def successors_on(
    session: Session, wanted: Collection[tuple[Segment, str, date]]
) -> dict[tuple[Segment, str, date], str]:
    """What each code that another has taken the place of by a day is called on it; codes that hold are left out.

    A code that is used anew is itself: only what followed its last beginning counts.
    """
    if not wanted:
        return {}
    asked = sorted((segment.value, code, on) for segment, code, on in wanted)
    rows = session.execute(
        text(
            """
            select w.segment, w.code, w.on_day, carried_code(w.segment, w.code, last.valid_from, w.on_day) as now
            from unnest(cast(:segments as text[]), cast(:codes as text[]), cast(:days as date[]))
                 as w (segment, code, on_day)
            cross join lateral (
                select max(t.valid_from) as valid_from
                from (select a.valid_from from account a where w.segment = 'ACCOUNT' and a.code = w.code
                      union all
                      select d.valid_from from dimension_value d where d.kind = w.segment and d.code = w.code) t
                where t.valid_from <= w.on_day
            ) last
            where exists (select from code_succession s where s.segment = w.segment and s.old_code = w.code
                                                          and s.effective_on <= w.on_day)
            """
        ),
        {
            "segments": [segment for segment, _, _ in asked],
            "codes": [code for _, code, _ in asked],
            "days": [on for _, _, on in asked],
        },
    )
    return {(Segment(row.segment), row.code, row.on_day): row.now for row in rows if row.now != row.code}


def before_a_succession(session: Session, journal_entry_ids: Collection[UUID]) -> dict[UUID, date]:
    """The accounting days of those of these entries after which some code got a successor; mostly there are none."""
    if not journal_entry_ids:
        return {}
    rows = session.execute(
        text(
            """
            select e.journal_entry_id, e.accounting_on from journal_entry e
            where e.journal_entry_id = any (cast(:ids as uuid[]))
              and exists (select from code_succession s where s.effective_on > e.accounting_on)
            """
        ),
        {"ids": sorted(journal_entry_ids)},
    )
    return {row.journal_entry_id: row.accounting_on for row in rows}


def successors_between(
    session: Session, codes: Collection[tuple[Segment, str]], *, since: date, on: date
) -> dict[tuple[Segment, str], str]:
    """What codes that held on `since` are called on a later day; those that no succession touches are left out.

    A code that was used anew meanwhile is still followed: what held on `since` is not what it stands for now.
    """
    asked = sorted((segment.value, code) for segment, code in codes)
    rows = session.execute(
        text(
            """
            select w.segment, w.code, carried_code(w.segment, w.code, :since, :on_day) as now
            from unnest(cast(:segments as text[]), cast(:codes as text[])) as w (segment, code)
            where exists (select from code_succession s where (s.segment, s.old_code) = (w.segment, w.code))
            """
        ),
        {
            "segments": [segment for segment, _ in asked],
            "codes": [code for _, code in asked],
            "since": since,
            "on_day": on,
        },
    )
    return {(Segment(row.segment), row.code): row.now for row in rows if row.now != row.code}


def add(session: Session, done: CarryOver) -> None:
    """Insert a carry-over."""
    carried = [{**vars(one), "basis": one.basis.value} for one in done.carried]
    run_store.insert(session, BalanceCarryOverRow, done, carried=carried)


def carry_overs(session: Session, agency_id: UUID, *, after: tuple[UUID] | None, limit: int) -> list[CarryOver]:
    """An agency's carry-overs, the newest first."""
    return [
        CarryOver(**run, carried=tuple(Carried(**{**part, "basis": Basis(part["basis"])}) for part in row.carried))
        for row, run in run_store.newest(session, BalanceCarryOverRow, agency_id, after=after, limit=limit)
    ]
