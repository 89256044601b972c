"""Whether the inter-entity pair holds: equal and opposite between each two entities, and act by act."""

from __future__ import annotations

from sqlalchemy import Connection, text

from chassis.verify import PROBLEMS_MAX, Problem

# A line between entities names the other one. What an agency shows towards the treasury is what that shows towards it,
# by fund, whichever document made it (domain rules §1). What the funds of one agency owe one another is E2
# (ledger/interfund).
_PAIR = """
    with side as (
        select agency_id, counterpart_agency_id, fund_code,
               sum(coalesce(functional_debit_minor, debit_minor)::numeric
                   - coalesce(functional_credit_minor, credit_minor)) as amount
        from journal_line where counterpart_agency_id <> agency_id group by 1, 2, 3
    )
    select coalesce(mine.agency_id, theirs.counterpart_agency_id) as agency_id,
           coalesce(mine.counterpart_agency_id, theirs.agency_id) as counterpart_agency_id,
           coalesce(mine.fund_code, theirs.fund_code) as fund_code,
           coalesce(mine.amount, 0) as mine, coalesce(theirs.amount, 0) as theirs
    from side mine
    full join side theirs
      on (theirs.agency_id, theirs.counterpart_agency_id, theirs.fund_code)
       = (mine.counterpart_agency_id, mine.agency_id, mine.fund_code)
    where coalesce(mine.amount, 0) + coalesce(theirs.amount, 0) <> 0
    order by 1, 2, 3 limit :limit
"""
# Every entry of an act is there, on one day of one period; an act is reversed whole or not at all.
_ACTS = """
    select j.joint_entry_id, count(e.journal_entry_id) as entries, jsonb_array_length(j.agency_ids) as legs,
           count(distinct (e.accounting_on, e.fiscal_year, e.period_number)) as days,
           count(r.journal_entry_id) as reversed
    from joint_entry j
    left join joint_entry_leg l using (joint_entry_id)
    left join journal_entry e
           on (e.journal_entry_id, e.agency_id, e.source_id) = (l.journal_entry_id, l.agency_id, l.joint_entry_id)
    left join journal_entry r on r.reverses_journal_entry_id = e.journal_entry_id
    group by j.joint_entry_id
    having count(e.journal_entry_id) <> jsonb_array_length(j.agency_ids)
        or count(distinct (e.accounting_on, e.fiscal_year, e.period_number)) <> 1
        or count(r.journal_entry_id) not in (0, jsonb_array_length(j.agency_ids))
    order by 1 limit :limit
"""
# Each entry of a correction corrects the entry of the corrected act in the same books.
_CORRECTIONS = """
    select l.joint_entry_id, l.agency_id
    from joint_entry_leg l
    join journal_entry e on e.journal_entry_id = l.journal_entry_id
    left join joint_entry_leg c on c.joint_entry_id = l.corrects_joint_entry_id and c.agency_id = l.agency_id
    where e.corrects_journal_entry_id is distinct from c.journal_entry_id
    order by 1, 2 limit :limit
"""
# An act that is to reverse by itself and was not reversed is on the work list, and nothing else is.
_WAITING = """
    with waiting as (
        select l.joint_entry_id, min(l.reverse_on) as due_on,
               jsonb_agg(l.agency_id::text order by l.agency_id::text collate "C") as who
        from joint_entry_leg l
        where l.reverse_on is not null and not exists (
            select 1 from joint_entry r where r.reverses_joint_entry_id = l.joint_entry_id)
        group by 1
    )
    select coalesce(w.joint_entry_id, q.joint_entry_id) as joint_entry_id, w.due_on, q.due_on as listed
    from waiting w
    full join joint_reversal q on (q.joint_entry_id, q.due_on, q.entity_ids) = (w.joint_entry_id, w.due_on, w.who)
    where w.joint_entry_id is null or q.joint_entry_id is null
    order by 1 limit :limit
"""
_STRAY = """
    select e.journal_entry_id from journal_entry e
    where e.source_kind = 'JOINT_ENTRY' and not exists (
        select 1 from joint_entry_leg l
        where (l.joint_entry_id, l.journal_entry_id) = (e.source_id, e.journal_entry_id))
    order by 1 limit :limit
"""


def problems(connection: Connection) -> list[Problem]:
    """What does not hold, the first few of each kind."""
    limit = {"limit": PROBLEMS_MAX}
    found = [
        Problem(
            "E1",
            f"between {row.agency_id} and {row.counterpart_agency_id}, fund {row.fund_code}: the first shows "
            f"{row.mine} minor units, the other {row.theirs}; they are not opposite",
        )
        for row in connection.execute(text(_PAIR), limit)
    ]
    found += [
        Problem(
            "E1",
            f"joint entry {row.joint_entry_id}: {row.entries} of {row.legs} entries on {row.days} days, {row.reversed} "
            "of them reversed",
        )
        for row in connection.execute(text(_ACTS), limit)
    ]
    found += [
        Problem(
            "E1",
            f"joint entry {row.joint_entry_id}: its entry in agency {row.agency_id} does not correct what it corrects",
        )
        for row in connection.execute(text(_CORRECTIONS), limit)
    ]
    found += [
        Problem(
            "E1",
            f"joint entry {row.joint_entry_id} is to reverse by itself on {row.due_on}, listed for {row.listed}",
        )
        for row in connection.execute(text(_WAITING), limit)
    ]
    found += [
        Problem("E1", f"entry {row.journal_entry_id} is a leg of no joint entry")
        for row in connection.execute(text(_STRAY), limit)
    ]
    return found
