"""Whether the funds ledger holds, asked from outside: F1 to F4 and F7 on every line and node, I4, makers, checkers."""

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

# F1 by its parts, and F2's left side: each is the sum of the movements that may change it.
_F1 = """
    select format('budget line %s: virement in %s, out %s, frozen %s; its movements say %s, %s, %s', b.budget_line_id,
                  b.virement_in_minor, b.virement_out_minor, b.frozen_minor, m.came, m.went, m.frozen)
    from budget_line b
    left join lateral (
        select coalesce(sum(authority_minor) filter (where kind = 'VIREMENT' and authority_minor > 0), 0) as came,
               coalesce(-sum(authority_minor) filter (where kind = 'VIREMENT' and authority_minor < 0), 0) as went,
               coalesce(sum(frozen_minor), 0) as frozen
        from funds_movement where budget_line_id = b.budget_line_id
    ) m on true
    where b.postable and b.appropriation_id is not null
      and (b.virement_in_minor, b.virement_out_minor, b.frozen_minor) <> (m.came, m.went, m.frozen)
"""
# F7: what virements give is what they take, in each document and in the whole government's year.
_F7 = """
    select format('virement %s: its legs add up to %s', document_number, sum(authority_minor))
    from funds_movement where kind = 'VIREMENT' group by document_id, document_number having sum(authority_minor) <> 0
    union all
    select format('year %s in %s: virements in %s, out %s', fiscal_year, currency, sum(virement_in_minor),
                  sum(virement_out_minor))
    from budget_line where postable group by fiscal_year, last_fiscal_year, currency
    having sum(virement_in_minor) <> sum(virement_out_minor)
"""
# An approved change moved exactly what it says, and nothing else moves in the name of one.
_CHANGES = """
    select format('budget change %s (%s) says %s, its movements %s', c.document_number, c.status, said.amount,
                  made.amount)
    from budget_change c
    cross join lateral (
        select case when c.status <> 'APPROVED' then 0
                    when c.kind = 'UNFREEZE' then -sum(amount_minor)
                    when c.kind = 'VIREMENT' then 2 * sum(amount_minor)
                    else sum(amount_minor) end as amount
        from budget_change_line where budget_change_id = c.budget_change_id
    ) said
    cross join lateral (
        select coalesce(sum(case when kind = 'VIREMENT' then abs(authority_minor)
                                 else authority_minor + frozen_minor end), 0) as amount
        from funds_movement where document_id = c.budget_change_id
    ) made
    where said.amount <> made.amount
"""

# F2's overrides: what a node has is what is open of overrides at it, and what its movements say; never beyond a year.
_OVERRIDES = """
    select format('budget line %s: override %s, open overrides give %s, movements %s', b.budget_line_id,
                  b.override_minor, coalesce(o.open, 0), coalesce(m.moved, 0))
    from budget_line b
    left join (select budget_line_id, sum(open_minor) as open from budget_override_item i
               join budget_override using (budget_override_id) where status = 'OPEN' group by 1) o
        using (budget_line_id)
    left join (select budget_line_id, sum(override_minor) as moved from funds_movement
               where override_minor <> 0 group by 1) m using (budget_line_id)
    where b.appropriation_id is not null
      and (b.override_minor <> coalesce(o.open, 0) or b.override_minor <> coalesce(m.moved, 0))
    union all
    select format('override %s expires on %s, its year is %s', document_number, expires_on, fiscal_year)
    from budget_override o
    where not exists (select 1 from fiscal_period p where p.agency_id = o.agency_id and p.year = o.fiscal_year
                      and o.expires_on between p.starts_on and p.ends_on)
    union all
    select format('override %s is %s and gives %s', o.document_number, o.status, sum(i.open_minor))
    from budget_override o join budget_override_item i using (budget_override_id)
    where o.status <> 'OPEN' group by o.budget_override_id, o.document_number, o.status having sum(i.open_minor) <> 0
"""

# Slices of a contract add up to its price; one that counts as obligated has its position, and one that waits has none.
_SLICES = """
    select format('multi-year authorisation %s: slices of %s, price %s', a.document_number, sum(s.amount_minor),
                  a.price_minor)
    from multi_year_authorisation a join multi_year_slice s using (multi_year_authorisation_id)
    group by a.multi_year_authorisation_id, a.document_number, a.price_minor
    having sum(s.amount_minor) <> a.price_minor
    union all
    select format('multi-year authorisation %s: slice of %s is %s', a.document_number, s.fiscal_year,
                  case when s.obligated_on is null then 'waiting and has a position' else 'obligated without one' end)
    from multi_year_authorisation a join multi_year_slice s using (multi_year_authorisation_id)
    left join funds_position p on p.document_line_id = s.document_line_id and p.budget_line_id = s.budget_line_id
    where (s.obligated_on is not null) <> (p.document_line_id is not null)
"""

# F7 at year end: a line that ended holds what was paid alone, revised = P + lapsed + carried out, and what was
# carried out of a year is what was carried into the next one's lines.
_YEAR_ENDS = """
    select format('budget line %s ended: revised %s, R,O,V,E,S %s, paid %s; its year end says %s, %s', b.budget_line_id,
                  b.original_minor + b.supplementary_minor + b.virement_in_minor - b.virement_out_minor
                      + b.carried_in_minor,
                  b.reserved_minor + b.obligated_minor + b.advanced_minor + b.expended_minor + b.ordered_minor,
                  b.paid_minor, r.revised_minor, r.paid_minor)
    from budget_year_end_line r join budget_line b using (budget_line_id)
    where r.revised_minor <> b.original_minor + b.supplementary_minor + b.virement_in_minor - b.virement_out_minor
                             + b.carried_in_minor
       or r.paid_minor <> b.paid_minor or b.status <> 'CLOSED'
       or b.reserved_minor + b.obligated_minor + b.advanced_minor + b.expended_minor + b.ordered_minor <> 0
    union all
    select format('budget line %s: its year end closed advances of %s, movements %s', r.budget_line_id,
                  r.closed_advances_minor, coalesce(m.closed, 0))
    from budget_year_end_line r
    left join (select budget_line_id, sum(paid_minor) as closed from funds_movement where kind = 'CLOSE_ADVANCE'
               group by 1) m using (budget_line_id)
    where r.closed_advances_minor <> coalesce(m.closed, 0)
    union all
    select format('budget line %s: carried in %s, year ends carried %s into it, movements %s', b.budget_line_id,
                  b.carried_in_minor, coalesce(r.carried, 0), coalesce(m.carried, 0))
    from budget_line b
    left join (select next_budget_line_id, sum(carried_minor) as carried from budget_year_end_line group by 1) r
              on r.next_budget_line_id = b.budget_line_id
    left join (select budget_line_id, sum(authority_minor) as carried from funds_movement where kind = 'CARRY'
               group by 1) m on m.budget_line_id = b.budget_line_id
    where b.postable and b.appropriation_id is not null
      and (b.carried_in_minor <> coalesce(r.carried, 0) or b.carried_in_minor <> coalesce(m.carried, 0))
"""

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

# A node's figures are the sums of the lines under it; an override alone is a node's own.
_NODE_AUTHORITY = ("original", "supplementary", "virement_in", "virement_out", "carried_in", "frozen")
_SUMMED = [f"{n}_minor" for n in (*_NODE_AUTHORITY, *_BUCKETS)]
_NODES = f"""
    with recursive bottom as (
        select b.parent_id as node_id, {", ".join(f"b.{n}" for n in _SUMMED)}
        from budget_line b where b.postable and b.parent_id is not null
        union all
        select n.parent_id, {", ".join(f"t.{n}" for n in _SUMMED)}
        from bottom t join budget_line n on n.budget_line_id = t.node_id where n.parent_id is not null
    ), node as (
        select node_id, {", ".join(f"sum({n})::bigint as {n}" for n in _SUMMED)} from bottom group by node_id
    )
    select format('budget node %s: its figures are not the sums of the lines under it', b.budget_line_id)
    from budget_line b join node on node.node_id = b.budget_line_id
    where b.postable or ({", ".join(f"b.{n}" for n in _SUMMED)}) <> ({", ".join(f"node.{n}" for n in _SUMMED)})
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
    union all
    select format('budget change %s was decided by its proposer', budget_change_id) from budget_change
    where status in ('APPROVED', 'REJECTED') and decided_by_person_id = proposed_by_person_id
    union all
    select format('override %s was decided by its proposer', budget_override_id) from budget_override
    where status in ('OPEN', 'CLOSED', 'REJECTED') and decided_by_person_id = proposed_by_person_id
    union all
    select format('multi-year authorisation %s was decided by its proposer', multi_year_authorisation_id)
    from multi_year_authorisation
    where status in ('APPROVED', 'REJECTED') and decided_by_person_id = proposed_by_person_id
    union all
    select format('budget year end %s was decided by its proposer', budget_year_end_id) from budget_year_end
    where status in ('APPROVED', 'REJECTED') and decided_by_person_id = proposed_by_person_id
"""


def problems(connection: Connection) -> list[Problem]:
    """What does not hold, the first few of each kind."""
    found: list[Problem] = []
    for invariant, query in (
        ("F1", _F1),
        ("F2", _F2),
        ("F2", _OVERRIDES),
        ("F4", _F4),
        ("F4", _POSITIONS),
        ("F4", _NODES),
        ("F4", _SCHEDULES),
        ("F3", _F3),
        ("F3", _RELEASES),
        ("F4", _SLICES),
        ("F7", _F7),
        ("F7", _CHANGES),
        ("F7", _YEAR_ENDS),
        ("I9", _MAKERS),
    ):
        rows = connection.execute(text(f"select * from ({query}) as found limit {PROBLEMS_MAX}"))  # noqa: S608
        found += [Problem(invariant, str(row[0])) for row in rows]
    return found


# What each kind of movement is told by, and the amount that its event names. A reservation that a cancelled order
# opens again (it names the movement that it opens) has no event of its own: the order's release is told. What payments
# and variances move is told by their own papers, what a year's end moves by the
# year's end, what an entry posted by hand spends by the entry (`ledger.verify`).
_TOLD = wire.EVENT_OF_MOVEMENT
# Compared here, movement by movement.
FUNDS_EVENTS = frozenset(_TOLD.values())
_MOVEMENTS = """
    select funds_movement_id, kind, document_id,
           case kind when 'RESERVE' then case when liquidates_movement_id is null then reserved_minor else 0 end
                     when 'EXPEND' then expended_minor
                     when 'RELEASE' then greatest(-reserved_minor - obligated_minor, 0)
                     when 'REVALUE' then reserved_minor + obligated_minor + expended_minor + ordered_minor
                     else obligated_minor end as amount,
           coalesce(recorded_at < cast(:since as timestamptz), false) as old
    from funds_movement where kind = any(:kinds) and document_kind not in ('YEAR_END', 'JOURNAL_ENTRY')
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
