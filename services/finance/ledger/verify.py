"""Whether the ledger holds: I1, I2, I3, and that every line belongs to a header of its own agency and day."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from chassis.told import kept_since
from chassis.verify import PROBLEMS_MAX, Findings, Problem
from services.finance.ledger import wire

# I1: per entity, basis and fund in the functional currency; lines without a functional amount per currency.
_I1 = """
    select journal_entry_id, basis, fund_code, currency,
           sum(debit) - sum(credit) as difference
    from (
        select journal_entry_id, basis, fund_code,
               case when functional_debit_minor is null then currency else 'functional' end as currency,
               coalesce(functional_debit_minor, debit_minor)::numeric as debit,
               coalesce(functional_credit_minor, credit_minor)::numeric as credit
        from journal_line
    ) line
    group by journal_entry_id, basis, fund_code, currency
    having sum(debit) <> sum(credit)
    order by journal_entry_id limit :limit
"""
# I2: the kept balances of all accounts together, which I1 and I3 imply; asked by itself because it is what a
# trial balance shows.
_I2 = """
    select agency_id, basis, fund_code,
           sum(functional_debit_minor)::numeric - sum(functional_credit_minor) as difference
    from account_balance group by agency_id, basis, fund_code
    having sum(functional_debit_minor)::numeric <> sum(functional_credit_minor)
    order by agency_id limit :limit
"""
_I3 = """
    with lines as (
        select agency_id, account_code, fund_code, basis, currency, fiscal_year, period_number,
               sum(debit_minor)::numeric as debit, sum(credit_minor)::numeric as credit,
               coalesce(sum(functional_debit_minor), 0)::numeric as functional_debit,
               coalesce(sum(functional_credit_minor), 0)::numeric as functional_credit, count(*) as line_count
        from journal_line group by 1, 2, 3, 4, 5, 6, 7
    )
    select coalesce(l.agency_id, b.agency_id) as agency_id, coalesce(l.account_code, b.account_code) as account_code,
           coalesce(l.currency, b.currency) as currency, coalesce(l.fiscal_year, b.fiscal_year) as fiscal_year,
           coalesce(l.period_number, b.period_number) as period_number,
           coalesce(l.debit - l.credit, 0) as of_lines, coalesce(b.debit_minor - b.credit_minor, 0) as kept
    from lines l
    full join account_balance b
      on (b.agency_id, b.account_code, b.fund_code, b.basis, b.currency, b.fiscal_year, b.period_number)
       = (l.agency_id, l.account_code, l.fund_code, l.basis, l.currency, l.fiscal_year, l.period_number)
    where l.debit is distinct from b.debit_minor or l.credit is distinct from b.credit_minor
       or l.functional_debit is distinct from b.functional_debit_minor
       or l.functional_credit is distinct from b.functional_credit_minor
       or l.line_count is distinct from b.line_count
    order by 1, 2 limit :limit
"""
# I3 for the days that are kept beside the periods.
_TURNOVERS = """
    with lines as (
        select agency_id, account_code, fund_code, basis, currency, accounting_on, period_number,
               sum(debit_minor)::numeric as debit, sum(credit_minor)::numeric as credit,
               coalesce(sum(functional_debit_minor), 0)::numeric as functional_debit,
               coalesce(sum(functional_credit_minor), 0)::numeric as functional_credit, count(*) as line_count
        from journal_line group by 1, 2, 3, 4, 5, 6, 7
    )
    select coalesce(l.agency_id, t.agency_id) as agency_id, coalesce(l.account_code, t.account_code) as account_code,
           coalesce(l.currency, t.currency) as currency, coalesce(l.accounting_on, t.accounting_on) as accounting_on,
           coalesce(l.debit - l.credit, 0) as of_lines, coalesce(t.debit_minor - t.credit_minor, 0) as kept
    from lines l
    full join account_turnover t
      on (t.agency_id, t.account_code, t.fund_code, t.basis, t.currency, t.accounting_on, t.period_number)
       = (l.agency_id, l.account_code, l.fund_code, l.basis, l.currency, l.accounting_on, l.period_number)
    where l.debit is distinct from t.debit_minor or l.credit is distinct from t.credit_minor
       or l.functional_debit is distinct from t.functional_debit_minor
       or l.functional_credit is distinct from t.functional_credit_minor
       or l.line_count is distinct from t.line_count
    order by 1, 2 limit :limit
"""
_HEADERS = """
    select coalesce(l.journal_entry_id, e.journal_entry_id) as journal_entry_id, l.line_count
    from journal_entry e
    full join (
        select journal_entry_id, agency_id, accounting_on, fiscal_year, period_number, count(*) as line_count
        from journal_line group by 1, 2, 3, 4, 5
    ) l on (l.journal_entry_id, l.agency_id, l.accounting_on, l.fiscal_year, l.period_number)
         = (e.journal_entry_id, e.agency_id, e.accounting_on, e.fiscal_year, e.period_number)
    where e.journal_entry_id is null or l.journal_entry_id is null or l.line_count < 2
    order by 1 limit :limit
"""
# An entry stands in a period of its agency whose days hold its accounting day.
_PERIODS = """
    select e.journal_entry_id, e.accounting_on
    from journal_entry e
    where not exists (
        select 1 from fiscal_period p
        where p.agency_id = e.agency_id and p.year = e.fiscal_year and p.number = e.period_number
          and e.accounting_on between p.starts_on and p.ends_on and p.state <> 'FUTURE')
    order by 1 limit :limit
"""
# Nothing stands in an adjustment period but corrections, reversals and closing entries (domain rules §7).
_ADJUSTMENTS = """
    select journal_entry_id from journal_entry
    where period_number = 13 and corrects_journal_entry_id is null and reverses_journal_entry_id is null
          and source_kind <> 'CLOSING'
    order by 1 limit :limit
"""
# What is corrected, and what was posted for a due day, stands in the same agency's books.
_NAMED = """
    select e.journal_entry_id from journal_entry e
    where e.corrects_journal_entry_id is not null and not exists (
        select 1 from journal_entry c
        where c.journal_entry_id = e.corrects_journal_entry_id and c.agency_id = e.agency_id)
    union all
    select s.journal_entry_id from scheduled_entry s
    where s.status = 'POSTED' and not exists (
        select 1 from journal_entry e where e.journal_entry_id = s.journal_entry_id and e.agency_id = s.agency_id)
    order by 1 limit :limit
"""
# A reversal is the mirror of its entry, line by line; an account is the same, or the default successor that has taken
# its place between the days of both, directly or over others.
_REVERSALS = """
    with recursive follows (old_code, new_code, first_on, last_on) as (
        select s.old_code, s.new_code, s.effective_on, s.effective_on
        from code_succession s where s.segment = 'ACCOUNT' and s.is_default
        union
        select f.old_code, s.new_code, f.first_on, s.effective_on
        from follows f join code_succession s
          on s.segment = 'ACCOUNT' and s.is_default and s.old_code = f.new_code and s.effective_on > f.last_on
    )
    select r.journal_entry_id, r.reverses_journal_entry_id
    from journal_entry r
    where r.reverses_journal_entry_id is not null and exists (
        select 1
        from (select * from journal_line where journal_entry_id = r.reverses_journal_entry_id) o
        full join (select * from journal_line where journal_entry_id = r.journal_entry_id) m using (line_no)
        where (m.fund_code, m.basis, m.currency, m.debit_minor, m.credit_minor)
              is distinct from (o.fund_code, o.basis, o.currency, o.credit_minor, o.debit_minor)
           or (m.account_code is distinct from o.account_code and not exists (
                select 1 from follows f
                where (f.old_code, f.new_code) = (o.account_code, m.account_code)
                  and f.first_on > o.accounting_on and f.last_on <= m.accounting_on)))
    order by 1 limit :limit
"""


def problems(connection: Connection) -> list[Problem]:
    """What does not hold, the first few of each kind."""

    def rows(query: str) -> list[Any]:
        return list(connection.execute(text(query), {"limit": PROBLEMS_MAX}))

    found = [
        Problem(
            "I1",
            f"entry {row.journal_entry_id}, basis {row.basis}, fund {row.fund_code}, {row.currency}: debits less "
            f"credits are {row.difference} minor units",
        )
        for row in rows(_I1)
    ]
    found += [
        Problem(
            "I2",
            f"agency {row.agency_id}, basis {row.basis}, fund {row.fund_code}: kept debits less credits are "
            f"{row.difference} minor units",
        )
        for row in rows(_I2)
    ]
    found += [
        Problem(
            "I3",
            f"agency {row.agency_id}, account {row.account_code}, {row.currency}, period {row.fiscal_year}-"
            f"{row.period_number:02}: kept {row.kept}, its lines sum to {row.of_lines} minor units",
        )
        for row in rows(_I3)
    ]
    found += [
        Problem(
            "I3",
            f"agency {row.agency_id}, account {row.account_code}, {row.currency}, {row.accounting_on}: "
            f"kept {row.kept}, its lines sum to {row.of_lines} minor units",
        )
        for row in rows(_TURNOVERS)
    ]
    found += [
        Problem("I1", f"entry {row.journal_entry_id}: header and lines do not belong together")
        for row in rows(_HEADERS)
    ]
    found += [
        Problem("I1", f"entry {row.journal_entry_id}: {row.accounting_on} is not in its period, or that never opened")
        for row in rows(_PERIODS)
    ]
    found += [
        Problem("I1", f"entry {row.journal_entry_id} stands in an adjustment period and is no correction")
        for row in rows(_ADJUSTMENTS)
    ]
    found += [
        Problem("I1", f"entry {row.journal_entry_id} corrects, or was scheduled for, what its agency does not have")
        for row in rows(_NAMED)
    ]
    found += [
        Problem("I1", f"entry {row.journal_entry_id} is not the mirror of {row.reverses_journal_entry_id}")
        for row in rows(_REVERSALS)
    ]
    return found


_PAGE = 1_000
_TOLD = "select body from outbox where type = 'kelola.finance.v1.JournalEntriesPosted' order by id"
# What each entry posted by hand spent is told with the entry; documents' movements have events of their own.
_POSTED = """
    select e.journal_entry_id, coalesce(e.recorded_at < cast(:since as timestamptz), false) as old,
           array_agg(m.funds_movement_id) filter (where m.expended_minor <> 0) as movements,
           array_agg(m.expended_minor) filter (where m.expended_minor <> 0) as amounts
    from journal_entry e
    left join funds_movement m
           on m.document_id = e.journal_entry_id and m.document_kind = 'JOURNAL_ENTRY' and m.kind = 'EXPEND'
    group by e.journal_entry_id
"""


def entries_told(connection: Connection) -> Findings:
    """I6: each journal entry stands in exactly one JournalEntriesPosted, with what it spent of its budget lines."""
    told: dict[UUID, dict[UUID, int]] = {}
    problems: list[Problem] = []
    for event in connection.execute(text(_TOLD).execution_options(yield_per=_PAGE)):
        for entry_id, spent in wire.told_entries(bytes(event.body)):
            if entry_id in told:
                problems.append(Problem("I6", f"journal entry {entry_id} is told twice"))
            told[entry_id] = spent
    compared = old = 0
    query = text(_POSTED).execution_options(yield_per=_PAGE)
    for row in connection.execute(query, {"since": kept_since(connection)}):
        spent_here = dict(zip(row.movements or (), row.amounts or (), strict=True))
        spent_told = told.pop(row.journal_entry_id, None)
        if spent_told == spent_here:
            compared += 1
        elif spent_told is None and row.old:
            old += 1
        elif spent_told is None:
            problems.append(Problem("I6", f"journal entry {row.journal_entry_id} is told by no event"))
        else:
            problems.append(
                Problem(
                    "I6",
                    f"journal entry {row.journal_entry_id} spent {_minor(spent_here)}, its event says "
                    f"{_minor(spent_told)}",
                )
            )
    problems += [Problem("I6", f"an event tells of journal entry {entry_id}, which is not there") for entry_id in told]
    remarks = [f"{old} journal entries are older than what the outbox keeps; not compared"] if old else []
    return Findings(problems[:PROBLEMS_MAX], {"journal_entries_told": compared}, remarks)


def _minor(spent: Mapping[UUID, int]) -> str:
    moved = ", ".join(f"{amount} minor units by {movement_id}" for movement_id, amount in sorted(spent.items()))
    return moved or "nothing"
