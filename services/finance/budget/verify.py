"""Whether the funds ledger holds, asked from outside: F1 to F4 on every line and node, I4, makers and checkers."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from sqlalchemy import Connection, text

from chassis.told import kept_since
from chassis.verify import PROBLEMS_MAX, Findings, Problem
from services.finance.budget import wire

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


# What each kind of movement is told by, and the amount that its event names. A reservation that a cancelled order
# opens again (it names the movement that it opens) has no event of its own: the order's release is told. What payments
# and variances move is told by their own papers.
_TOLD = wire.EVENT_OF_MOVEMENT
# Compared here, movement by movement.
FUNDS_EVENTS = frozenset(_TOLD.values())
_MOVEMENTS = """
    select funds_movement_id, kind, document_id,
           case kind when 'RESERVE' then case when liquidates_movement_id is null then reserved_minor else 0 end
                     when 'EXPEND' then expended_minor
                     when 'RELEASE' then greatest(-reserved_minor - obligated_minor, 0)
                     else obligated_minor end as amount,
           coalesce(recorded_at < cast(:since as timestamptz), false) as old
    from funds_movement where kind = any(:kinds)
"""
_PAGE = 1_000


def movements_told(connection: Connection) -> Findings:
    """I6: each movement of funds is an item of exactly one event, with the amount that it moved."""
    told: dict[UUID, tuple[str, int]] = {}
    problems: list[Problem] = []
    for movement_id, type_name, amount in _items(connection):
        if movement_id in told:
            problems.append(Problem("I6", f"movement of funds {movement_id} is told twice, by {type_name}"))
        told[movement_id] = (type_name, amount)
    compared = old = 0
    movements = connection.execute(
        text(_MOVEMENTS).execution_options(yield_per=_PAGE),
        {"kinds": list(_TOLD), "since": kept_since(connection)},
    )
    for row in movements:
        event = told.pop(row.funds_movement_id, None)
        expected = (_TOLD[row.kind], row.amount)
        if event is None and row.amount and row.old:
            old += 1
        elif event == expected or (event is None and not row.amount):
            compared += 1
        else:
            found = "no event" if event is None else f"{event[0]} of {event[1]}"
            problems.append(
                Problem(
                    "I6",
                    f"movement of funds {row.funds_movement_id} ({row.kind} of {row.amount} minor units for document "
                    f"{row.document_id}) is told by {found}",
                )
            )
    problems += [
        Problem("I6", f"{type_name} of {amount} minor units tells of movement {movement_id}, which is not there")
        for movement_id, (type_name, amount) in told.items()
    ]
    remarks = [f"{old} movements of funds are older than what the outbox keeps; not compared"] if old else []
    return Findings(problems[:PROBLEMS_MAX], {"funds_movements_told": compared}, remarks)


def _items(connection: Connection) -> Iterator[tuple[UUID, str, int]]:
    """The items of all events that tell of movements: movement, type of the event, amount in minor units."""
    rows = connection.execute(
        text("select type, body from outbox where type = any(:types) order by id").execution_options(yield_per=_PAGE),
        {"types": sorted(FUNDS_EVENTS)},
    )
    for row in rows:
        for movement_id, amount in wire.told_movements(row.type, bytes(row.body)):
            yield movement_id, row.type, amount
