"""Whether closed years left the estimates that projects still have, asked from outside."""

from __future__ import annotations

from sqlalchemy import Connection, text

from chassis.verify import PROBLEMS_MAX, Problem

# F6 at a year's end: the account of the appropriations (role APR) holds what the lines that outlive the year were given
# and have not paid, in each fund, and nothing else. A year that took corrections after its closing is closed again
# first.
_ESTIMATES = """
    with closed as (
        select c.agency_id, c.year,
               (select max(p.ends_on) from fiscal_period p
                where p.agency_id = c.agency_id and p.year = c.year) as last_day
        from fiscal_year_closing c group by 1, 2
    ), final as (
        -- By the database clock alone: a closing's own instant is of the business clock.
        select * from closed c
        where not exists (
            select from journal_entry e
            where e.agency_id = c.agency_id and e.accounting_on = c.last_day and e.source_kind <> 'CLOSING'
              and e.recorded_at > (select max(o.recorded_at) from journal_entry o
                                   where o.agency_id = c.agency_id and o.accounting_on = c.last_day
                                     and o.source_kind = 'CLOSING'))
    ), held as (
        select f.agency_id, f.year, k.fund_code, k.currency, sum(k.credit_minor::numeric - k.debit_minor) as amount
        from final f
        join account_balance k on k.agency_id = f.agency_id and k.fiscal_year <= f.year and k.basis = 'BUDGET'
        where k.account_code in (select account_code from account_mapping where role = 'APR')
        group by 1, 2, 3, 4
    ), open as (
        select f.agency_id, f.year, b.fund_code, b.currency,
               sum(m.authority_minor::numeric - m.paid_minor - m.advanced_minor) as amount
        from final f
        join budget_line b on b.agency_id = f.agency_id and b.fiscal_year <= f.year and b.last_fiscal_year > f.year
        join funds_movement m on m.budget_line_id = b.budget_line_id and m.accounting_on <= f.last_day
        group by 1, 2, 3, 4
    )
    select format('agency %s, fund %s, end of %s: appropriations of %s minor units of %s stand on, projects have %s',
                  agency_id, fund_code, year, coalesce(held.amount, 0), currency, coalesce(open.amount, 0))
    from held full join open using (agency_id, year, fund_code, currency)
    where coalesce(held.amount, 0) <> coalesce(open.amount, 0)
"""


def problems(connection: Connection) -> list[Problem]:
    """What does not hold, the first few."""
    rows = connection.execute(text(f"select * from ({_ESTIMATES}) as found limit {PROBLEMS_MAX}"))  # noqa: S608
    return [Problem("F6", str(row[0])) for row in rows]
