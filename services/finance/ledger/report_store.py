"""SQL of the ledger's reports. Sums are numeric until `total` has checked that they fit 64 bits."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

from chassis.dates import Month
from chassis.money import checked
from chassis.paging import PageTokenInvalid
from services.finance.classification.domain import ADJUSTMENT_PERIOD
from services.finance.classification.fiscal_calendar import FiscalCalendar
from services.finance.classification.pack import fiscal_calendar
from services.finance.ledger.reports import Scope, Statement, StatementLine, Sums

# A transaction's start is set a moment before other sessions can see it in pg_stat_activity. Knowledge stays that
# far behind the clock, so that no transaction which was overlooked can write below it.
_UNSEEN = timedelta(seconds=1)

_WHERE = """
    basis = :basis and (cast(:agency_id as uuid) is null or agency_id = :agency_id)
    and (cast(:fund_code as text) is null or fund_code = :fund_code)
    and (cast(:currency as text) is null or currency = :currency)
    and (cast(:account_code as text) is null or account_code = :account_code)
    and (not :without_adjustments or period_number <> 13)
"""
_COLUMNS = "account_code, currency, debit_minor, credit_minor"
_LINE_FUNCTIONAL = "coalesce(functional_debit_minor - functional_credit_minor, 0) as functional_minor, 1 as line_count"

# Everything posted: the kept balances alone.
_KEPT = f"""
    select {_COLUMNS}, functional_debit_minor::numeric - functional_credit_minor as functional_minor, line_count
    from account_balance where {_WHERE}
"""  # noqa: S608  # constants of this module; values are bound
# As of a day: kept balances of the periods that ended by then, and the kept days of the one that had not. These begin
# with the day's month, which says nothing new, but lets an index find them without reading those before.
_AS_OF = f"""
    {_KEPT} and fiscal_year * 100 + period_number <= :ended
    union all
    select {_COLUMNS}, functional_debit_minor::numeric - functional_credit_minor, line_count
    from account_turnover where {_WHERE} and fiscal_year * 100 + period_number > :ended
      and accounting_on between date_trunc('month', cast(:as_of as date))::date and :as_of
"""  # noqa: S608
# As known at an instant: the lines that were recorded by then.
_KNOWN = f"""
    select {_COLUMNS}, {_LINE_FUNCTIONAL}
    from journal_line
    where {_WHERE} and recorded_at <= :known_at and (cast(:as_of as date) is null or accounting_on <= :as_of)
"""  # noqa: S608

# Takes closing entries out of what the others count: they are few, and kept balances do not tell them apart.
_CLOSING = f"""
    select account_code, currency, -debit_minor, -credit_minor,
           -coalesce(functional_debit_minor - functional_credit_minor, 0), -1
    from journal_line
    where {_WHERE} and (cast(:as_of as date) is null or accounting_on <= :as_of)
      and (cast(:known_at as timestamptz) is null or recorded_at <= :known_at)
      and journal_entry_id in (
          select e.journal_entry_id from journal_entry e
          join fiscal_year_closing c on c.fiscal_year_closing_id = e.source_id
          where e.source_kind = 'CLOSING')
"""  # noqa: S608


def _source(scope: Scope) -> str:
    kept = _KEPT if scope.as_of is None else _AS_OF
    counted = kept if scope.known_at is None else _KNOWN
    return f"{counted} union all {_CLOSING}" if scope.without_closing else counted


def _parameters(scope: Scope) -> dict[str, Any]:
    return {
        "basis": scope.basis.value,
        "agency_id": scope.agency_id,
        "fund_code": scope.fund_code,
        "currency": scope.currency,
        "account_code": scope.account_code,
        "without_adjustments": scope.without_adjustments,
        "as_of": scope.as_of,
        "known_at": scope.known_at,
        "ended": None if scope.as_of is None else last_ended(scope.as_of, fiscal_calendar()),
    }


def last_ended(day: date, calendar: FiscalCalendar) -> int:
    """The last period that has ended on `day`, as year × 100 + number; the adjustment period 13 ends the year."""
    period = calendar.period_of(day)
    if day == calendar.last_day(period.year):
        return period.year * 100 + ADJUSTMENT_PERIOD
    # Period 0 stands for the end of the year before: every number of that year lies below it.
    return period.year * 100 + (period.number if day == Month.of(day).last else period.number - 1)


def known_horizon(session: Session, asked: datetime) -> datetime:
    """`asked`, lowered to just below the start of the oldest running transaction (domain rules §7).

    To be read in a statement before the rows': whatever starts later is recorded later, and whatever still runs is
    recorded from its start on, so the same instant always has the same answer.
    """
    row = session.execute(
        text(
            """
            select least(cast(:asked as timestamptz), clock_timestamp() - cast(:unseen as interval),
                         (select min(xact_start) - interval '1 microsecond' from pg_stat_activity
                          where datname = current_database() and pid <> pg_backend_pid()),
                         (select min(prepared) - interval '1 microsecond' from pg_prepared_xacts
                          where database = current_database()))
            """
        ),
        {"asked": asked, "unseen": _UNSEEN},
    ).scalar_one()
    assert isinstance(row, datetime)
    return row


def knowledge(session: Session, asked: datetime | None, after: tuple[Any, ...] | None) -> datetime | None:
    """The instant whose knowledge an answer shows: the horizon on its first page, and on the pages after it, whose
    token ends with it, the same. None: what is known now."""
    if asked is None:
        return None
    if after is None:
        return known_horizon(session, asked)
    instant = after[-1]
    if not isinstance(instant, datetime):
        raise PageTokenInvalid("page_token: it tells no instant of knowledge; start again without one")
    return instant


def trial_balance(
    session: Session, scope: Scope, *, after: tuple[Any, ...] | None, limit: int
) -> tuple[list[Sums], list[Sums]]:
    """A page of sums by (account, currency), and the sums of all accounts by currency, from one statement."""
    rows = session.execute(
        text(
            f"""
            with amount as ({_source(scope)}),
            by_account as (
                select account_code, currency, sum(debit_minor) as debit, sum(credit_minor) as credit,
                       sum(functional_minor) as functional, sum(line_count) as line_count
                from amount group by account_code, currency
            )
            (select 0 as part, b.account_code, b.currency, debit, credit, functional, line_count,
                    coalesce((select a.display_name from account a where a.code = b.account_code
                              order by a.valid_from desc limit 1), '') as display_name
             from by_account b
             where cast(:after_code as text) is null or (b.account_code, b.currency) > (:after_code, :after_currency)
             order by b.account_code, b.currency limit :limit)
            union all
            select 1, '', currency, sum(debit), sum(credit), sum(functional), sum(line_count), ''
            from by_account group by currency
            order by 1, 2, 3
            """  # noqa: S608  # the parts are constants of this module; values are bound
        ),
        {
            **_parameters(scope),
            "after_code": after[0] if after else None,
            "after_currency": after[1] if after else None,
            "limit": limit,
        },
    ).all()
    sums: tuple[list[Sums], list[Sums]] = ([], [])
    for part, account_code, currency, debit, credit, functional, line_count, display_name in rows:
        amounts = (checked(int(debit)), checked(int(credit)), checked(int(functional)))
        checked(amounts[0] - amounts[1])
        sums[part].append(Sums(account_code, display_name, currency, *amounts, int(line_count)))
    return sums


def _balance(session: Session, scope: Scope) -> int:
    net = session.execute(
        text(f"select coalesce(sum(debit_minor) - sum(credit_minor), 0) from ({_source(scope)}) amount"),  # noqa: S608
        _parameters(scope),
    ).scalar_one()
    return int(net)


_LINES = """
    select l.journal_entry_id, l.line_no, l.accounting_on, e.effective_on, e.description, l.fund_code,
           l.debit_minor, l.credit_minor
    from journal_line l join journal_entry e on e.journal_entry_id = l.journal_entry_id
    where l.agency_id = :agency_id and l.account_code = :account_code and l.basis = :basis
      and l.currency = :currency and (cast(:fund_code as text) is null or l.fund_code = :fund_code)
      and (cast(:first as date) is null or l.accounting_on >= :first)
      and (cast(:as_of as date) is null or l.accounting_on <= :as_of)
      and (cast(:known_at as timestamptz) is null or l.recorded_at <= :known_at)
      and (cast(:after_day as date) is null
           or (l.accounting_on, l.journal_entry_id, l.line_no)
              > (cast(:after_day as date), cast(:after_entry as uuid), cast(:after_line as smallint)))
    order by l.accounting_on, l.journal_entry_id, l.line_no
    limit :limit
"""

# What a page's own first day has before the page.
_BEFORE_ON_DAY = f"""
    select coalesce(sum(debit_minor) - sum(credit_minor), 0) from journal_line
    where {_WHERE} and accounting_on = :day
      and (cast(:known_at as timestamptz) is null or recorded_at <= :known_at)
      and (journal_entry_id, line_no) <= (cast(:entry as uuid), cast(:line as smallint))
"""  # noqa: S608


def statement(
    session: Session, scope: Scope, *, first: date | None, after: tuple[date, UUID, int] | None, limit: int
) -> Statement:
    """A page of an account's lines. The opening balance costs one day's lines at most, whatever came before; as known
    at an instant, all lines of the account before the page."""
    opening = 0
    if after is not None:
        day, entry, line = after
        before = Scope(**{**vars(scope), "as_of": day - timedelta(days=1)})
        on_day = session.execute(
            text(_BEFORE_ON_DAY), {**_parameters(before), "day": day, "entry": entry, "line": line}
        ).scalar_one()
        opening = _balance(session, before) + int(on_day)
    elif first is not None:
        opening = _balance(session, Scope(**{**vars(scope), "as_of": first - timedelta(days=1)}))
    rows = session.execute(
        text(_LINES),
        {
            **_parameters(scope),
            "first": first,
            "after_day": after[0] if after else None,
            "after_entry": after[1] if after else None,
            "after_line": after[2] if after else None,
            "limit": limit,
        },
    ).all()
    return Statement(checked(opening), [StatementLine(*row) for row in rows])


# Kept balances know account and fund; the other segments stand on lines alone.
_KEPT_SEGMENTS = frozenset({"account_code"})


def _of_lines(column: str) -> str:
    return f"""
        select {column} as code, currency, debit_minor, credit_minor, 1 as line_count from journal_line
        where {_WHERE} and (cast(:as_of as date) is null or accounting_on <= :as_of)
          and (cast(:known_at as timestamptz) is null or recorded_at <= :known_at)
          and (not :without_closing or journal_entry_id not in (
              select e.journal_entry_id from journal_entry e
              join fiscal_year_closing c on c.fiscal_year_closing_id = e.source_id
              where e.source_kind = 'CLOSING'))
    """  # noqa: S608  # the column is a segment's name; values are bound


def turnover_by_class(
    session: Session,
    scope: Scope,
    *,
    column: str,
    classes: Mapping[str, str],
    after: tuple[Any, ...] | None,
    limit: int,
) -> tuple[list[Sums], list[Sums]]:
    """A page of sums by (class, currency), and the sums of all classes by currency, from one statement.

    `classes` give the class of the codes in `column`, a segment's; what has none is of the class ''. By account it
    costs what a trial balance costs; by another segment, a look at every line in the scope.
    """
    if column in _KEPT_SEGMENTS:
        source = (
            f"select account_code as code, currency, debit_minor, credit_minor, line_count from ({_source(scope)}) s"  # noqa: S608
        )
    else:
        source = _of_lines(column)
    rows = session.execute(
        text(
            f"""
            with class as materialized (
                select code, class_code
                from unnest(cast(:codes as text[]), cast(:classes as text[])) v (code, class_code)
            ), by_class as (
                select coalesce(c.class_code, '') as class_code, s.currency, sum(s.debit_minor) as debit,
                       sum(s.credit_minor) as credit, sum(s.line_count) as line_count
                from ({source}) s left join class c on c.code = s.code
                group by 1, 2
            )
            (select 0 as part, * from by_class
             where cast(:after_class as text) is null or (class_code, currency) > (:after_class, :after_currency)
             order by class_code, currency limit :limit)
            union all
            select 1, '', currency, sum(debit), sum(credit), sum(line_count) from by_class group by currency
            order by 1, 2, 3
            """  # noqa: S608  # the parts are constants of this module; values are bound
        ),
        {
            **_parameters(scope),
            "without_closing": scope.without_closing,
            "codes": list(classes),
            "classes": list(classes.values()),
            "after_class": after[0] if after else None,
            "after_currency": after[1] if after else None,
            "limit": limit,
        },
    ).all()
    sums: tuple[list[Sums], list[Sums]] = ([], [])
    for part, class_code, currency, debit, credit, line_count in rows:
        amounts = (checked(int(debit)), checked(int(credit)))
        sums[part].append(Sums(class_code, "", currency, *amounts, checked(amounts[0] - amounts[1]), int(line_count)))
    return sums
