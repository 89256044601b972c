"""Whether control modes are what was decided, asked from outside."""

from __future__ import annotations

from sqlalchemy import Connection, text

from chassis.verify import PROBLEMS_MAX, Problem

# C1: the last approved change of a line is how it is controlled; approvals of one line follow one another.
_MODES = """
    with last as (
        select distinct on (i.budget_line_id) i.budget_line_id, i.mode, c.document_number
        from budget_control_change c join budget_control_change_item i using (budget_control_change_id)
        where c.status = 'APPROVED' order by i.budget_line_id, c.decided_at desc, c.budget_control_change_id desc
    )
    select format('budget line %s: change of control %s made it %s, it is %s', b.budget_line_id, l.document_number,
                  l.mode, now.mode)
    from last l join budget_line b using (budget_line_id)
    cross join lateral (
        select case when b.controlling then 'HARD_STOP' when b.warning then 'WARNING' else 'UNCONTROLLED' end as mode
    ) now
    where l.mode <> now.mode
"""

# C2: every line in force stops hard, warns, or has a hard stop above it.
_OUT_OF_CONTROL = """
    with recursive above as (
        select budget_line_id as line_id, parent_id, false as stops from budget_line
        where status = 'ACTIVE' and not controlling and not warning
        union all
        select a.line_id, b.parent_id, b.controlling
        from above a join budget_line b on b.budget_line_id = a.parent_id where not a.stops
    )
    select format('budget line %s is controlled nowhere', line_id) from above
    group by line_id having not bool_or(stops)
"""


def problems(connection: Connection) -> list[Problem]:
    """What does not hold: C1 and C2."""
    found = []
    for name, question in (("C1", _MODES), ("C2", _OUT_OF_CONTROL)):
        rows = connection.execute(text(f"{question} limit :limit"), {"limit": PROBLEMS_MAX})
        found += [Problem(name, str(what)) for (what,) in rows]
    return found
