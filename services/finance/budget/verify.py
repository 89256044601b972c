"""Whether the funds ledger holds, asked from outside: F1 to F4 on every line and node, I4, makers and checkers."""

from __future__ import annotations

from sqlalchemy import Connection, text

from chassis.verify import PROBLEMS_MAX, Problem

_BUCKETS = ("reserved", "obligated", "advanced", "expended", "ordered", "paid")
_REVISED = "b.original_minor + b.supplementary_minor + b.virement_in_minor - b.virement_out_minor + b.carried_in_minor"
_HELD = " + ".join(f"b.{name}_minor" for name in _BUCKETS)

# F2 and I4: no hard-stop node below zero, and only active lines hold anything.
_F2 = f"""
    select format('budget line %s: available %s', b.budget_line_id,
                  {_REVISED} - b.frozen_minor + b.override_minor - ({_HELD}))
    from budget_line b
    where b.controlling and {_REVISED} - b.frozen_minor + b.override_minor - ({_HELD}) < 0
       or b.status = 'DRAFT' and {_HELD} <> 0
"""  # noqa: S608

# F1 and F4: authority and every bucket of a line are the sums of its movements.
_F4 = f"""
    select format('budget line %s: kept R,O,V,E,S,P = %s, movements sum to %s; revised %s, movements %s',
                  b.budget_line_id, concat_ws(',', {", ".join(f"b.{n}_minor" for n in _BUCKETS)}),
                  concat_ws(',', {", ".join(f"m.{n}" for n in _BUCKETS)}), {_REVISED}, m.authority)
    from budget_line b
    left join lateral (
        select {", ".join(f"coalesce(sum({n}_minor), 0)::bigint as {n}" for n in _BUCKETS)},
               coalesce(sum(authority_minor), 0)::bigint as authority
        from funds_movement where budget_line_id = b.budget_line_id
    ) m on true
    where b.postable and b.appropriation_id is not null and b.status <> 'DRAFT'
      and (({", ".join(f"b.{n}_minor" for n in _BUCKETS)}) <> ({", ".join(f"m.{n}" for n in _BUCKETS)})
           or {_REVISED} <> m.authority)
"""  # noqa: S608

# F4 by document: what document lines hold on a line, and what journal entries spent directly, is what it holds.
_POSITIONS = f"""
    select format('budget line %s: kept R,O,V,E,S,P = %s, its documents hold %s', b.budget_line_id,
                  concat_ws(',', {", ".join(f"b.{n}_minor" for n in _BUCKETS)}),
                  concat_ws(',', {", ".join(f"p.{n} + j.{n}" for n in _BUCKETS)}))
    from budget_line b
    left join lateral (
        select {", ".join(f"coalesce(sum({n}_minor), 0)::bigint as {n}" for n in _BUCKETS)}
        from funds_position where budget_line_id = b.budget_line_id
    ) p on true
    left join lateral (
        select {", ".join(f"coalesce(sum({n}_minor), 0)::bigint as {n}" for n in _BUCKETS)}
        from funds_movement where budget_line_id = b.budget_line_id and document_kind = 'JOURNAL_ENTRY'
    ) j on true
    where b.postable
      and ({", ".join(f"b.{n}_minor" for n in _BUCKETS)}) <> ({", ".join(f"p.{n} + j.{n}" for n in _BUCKETS)})
"""  # noqa: S608

# A node's figures are the sums of the lines under it.
_NODES = f"""
    with recursive bottom as (
        select b.parent_id as node_id, b.original_minor, {", ".join(f"b.{n}_minor" for n in _BUCKETS)}
        from budget_line b where b.postable and b.parent_id is not null
        union all
        select n.parent_id, t.original_minor, {", ".join(f"t.{n}_minor" for n in _BUCKETS)}
        from bottom t join budget_line n on n.budget_line_id = t.node_id where n.parent_id is not null
    ), node as (
        select node_id, sum(original_minor)::bigint as original_minor,
               {", ".join(f"sum({n}_minor)::bigint as {n}_minor" for n in _BUCKETS)}
        from bottom group by node_id
    )
    select format('budget node %s: its buckets are not the sums of the lines under it', b.budget_line_id)
    from budget_line b join node on node.node_id = b.budget_line_id
    where b.postable or (b.original_minor, {", ".join(f"b.{n}_minor" for n in _BUCKETS)})
          <> (node.original_minor, {", ".join(f"node.{n}_minor" for n in _BUCKETS)})
"""  # noqa: S608

# What a document line still reserves or obligates is phased, to the last minor unit.
_SCHEDULES = """
    select format('document line %s on budget line %s: %s open, %s phased', p.document_line_id, p.budget_line_id,
                  p.reserved_minor + p.obligated_minor, coalesce(s.phased, 0))
    from funds_position p
    left join lateral (
        select sum(amount_minor)::bigint as phased from funds_schedule
        where document_line_id = p.document_line_id and budget_line_id = p.budget_line_id
    ) s on true
    where p.reserved_minor + p.obligated_minor <> coalesce(s.phased, 0)
       or p.total_minor - p.liquidated_minor <> p.reserved_minor + p.obligated_minor
"""

# F3 at its step PAYMENT_REQUEST, as far as months have releases: no more requested to date than released to date.
_F3 = """
    select format('budget line %s, month %s: %s requested to date, %s released to date', r.budget_line_id, r.month,
                  q.requested, a.released)
    from funds_requested r
    cross join lateral (select sum(amount_minor)::bigint as requested from funds_requested
                        where budget_line_id = r.budget_line_id and month <= r.month) q
    cross join lateral (select coalesce(sum(amount_minor), 0)::bigint as released from allotment
                        where budget_line_id = r.budget_line_id and month_from <= r.month) a
    where r.amount_minor > 0 and q.requested > a.released
"""
_RELEASES = """
    select format('allotment order %s: %s lines of %s, its header says %s of %s', o.allotment_order_id,
                  coalesce(a.lines, 0), coalesce(a.total, 0), o.line_count, o.total_minor)
    from allotment_order o
    left join (select allotment_order_id, count(*) as lines, sum(amount_minor)::bigint as total from allotment
               group by 1) a using (allotment_order_id)
    where coalesce(a.lines, 0) <> o.line_count or coalesce(a.total, 0) <> o.total_minor
"""
# I9: whoever imported an appropriation neither put it in force nor released its lines.
_MAKERS = """
    select format('appropriation %s was put in force by a person who imported it', a.appropriation_id)
    from appropriation a join appropriation_import i using (appropriation_id)
    where a.activated_by_person_id = i.person_id
    union all
    select distinct format('allotment order %s was made by a person who imported its lines', o.allotment_order_id)
    from allotment_order o join allotment t using (allotment_order_id)
    join budget_line b using (budget_line_id)
    join appropriation_import i on i.appropriation_id = b.appropriation_id and i.person_id = o.person_id
"""


def problems(connection: Connection) -> list[Problem]:
    """What does not hold, the first few of each kind."""
    found: list[Problem] = []
    for invariant, query in (
        ("F2", _F2),
        ("F4", _F4),
        ("F4", _POSITIONS),
        ("F4", _NODES),
        ("F4", _SCHEDULES),
        ("F3", _F3),
        ("F3", _RELEASES),
        ("I9", _MAKERS),
    ):
        rows = connection.execute(text(f"select * from ({query}) as found limit {PROBLEMS_MAX}"))  # noqa: S608
        found += [Problem(invariant, str(row[0])) for row in rows]
    return found
