"""Whether the funds of each agency owe one another the same on both sides (domain rules §1)."""

from __future__ import annotations

from sqlalchemy import Connection, text

from chassis.verify import PROBLEMS_MAX, Problem

# What a fund shows towards another is what that one shows towards it, on each basis and each day: so all that is due
# from funds of an agency is all that is due to them. A day's lines cancel, so that so do those up to any day.
_PAIRS = """
    with side as (
        select l.agency_id, l.accounting_on, l.basis, l.fund_code, i.counterpart_fund_code,
               sum(l.functional_debit_minor)::numeric - sum(l.functional_credit_minor) as amount
        from interfund_line i join journal_line l using (journal_entry_id, line_no)
        group by 1, 2, 3, 4, 5
    )
    select coalesce(mine.agency_id, theirs.agency_id) as agency_id,
           coalesce(mine.accounting_on, theirs.accounting_on) as accounting_on,
           coalesce(mine.basis, theirs.basis) as basis,
           coalesce(mine.fund_code, theirs.counterpart_fund_code) as fund_code,
           coalesce(mine.counterpart_fund_code, theirs.fund_code) as counterpart_fund_code,
           coalesce(mine.amount, 0) as mine, coalesce(theirs.amount, 0) as theirs
    from side mine
    full join side theirs
      on (theirs.agency_id, theirs.accounting_on, theirs.basis, theirs.fund_code, theirs.counterpart_fund_code)
       = (mine.agency_id, mine.accounting_on, mine.basis, mine.counterpart_fund_code, mine.fund_code)
    where coalesce(mine.amount, 0) + coalesce(theirs.amount, 0) <> 0
    order by 1, 2, 3, 4, 5 limit :limit
"""
# A line that names its own agency as the other one is between two of its funds, and says which; no other line does.
_LINES = """
    select coalesce(l.journal_entry_id, i.journal_entry_id) as journal_entry_id,
           coalesce(l.line_no, i.line_no) as line_no
    from (select journal_entry_id, line_no, agency_id, basis, fund_code, functional_debit_minor
          from journal_line where counterpart_agency_id = agency_id) l
    full join interfund_line i
      on (i.journal_entry_id, i.line_no, i.agency_id, i.basis, i.fund_code)
       = (l.journal_entry_id, l.line_no, l.agency_id, l.basis, l.fund_code)
    where l.journal_entry_id is null or i.journal_entry_id is null or l.functional_debit_minor is null
    order by 1, 2 limit :limit
"""


def problems(connection: Connection) -> list[Problem]:
    """What does not hold, the first few of each kind."""
    limit = {"limit": PROBLEMS_MAX}
    found = [
        Problem(
            "E2",
            f"agency {row.agency_id}, basis {row.basis}, {row.accounting_on}: fund {row.fund_code} shows {row.mine} "
            f"minor units towards fund {row.counterpart_fund_code}, that one {row.theirs}; they are not opposite",
        )
        for row in connection.execute(text(_PAIRS), limit)
    ]
    found += [
        Problem("E2", f"entry {row.journal_entry_id}, line {row.line_no}: it is between funds and does not say which")
        for row in connection.execute(text(_LINES), limit)
    ]
    return found
