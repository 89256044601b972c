"""Whether the books hold what payments kept as penalties, asked from outside."""

from __future__ import annotations

from sqlalchemy import Connection, text

from chassis.verify import PROBLEMS_MAX, Problem

# What an order that stands keeps is revenue on the accrual basis, on the budget basis from its debit on; an order that
# was rejected or stopped kept nothing, for its entry is mirrored.
_REVENUE = """
    select format('payment order %s keeps penalties of %s: penalty revenue-LO is %s, revenue-LRA %s',
                  o.payment_order_id, coalesce(k.total, 0), coalesce(r.accrual, 0), coalesce(r.budget, 0))
    from payment_order o
    left join (select payment_order_id, sum(amount_minor)::bigint as total from payment_order_penalty group by 1) k
              using (payment_order_id)
    left join (
        select e.source_id as payment_order_id,
               coalesce(sum(l.credit_minor - l.debit_minor) filter (where l.basis = 'ACCRUAL'), 0)::bigint as accrual,
               coalesce(sum(l.credit_minor - l.debit_minor) filter (where l.basis = 'BUDGET'), 0)::bigint as budget
        from journal_entry e join journal_line l using (journal_entry_id)
        where e.source_kind = 'PAYMENT_ORDER'
          and l.account_code in (select account_code from account_mapping
                                 where role in ('REV-PENALTY', 'REV-PENALTY-LO'))
        group by 1
    ) r using (payment_order_id)
    where (k.total is not null or r.payment_order_id is not null)
      and (coalesce(r.accrual, 0) <> case when o.status in ('REJECTED', 'STOPPED') then 0 else coalesce(k.total, 0) end
           or coalesce(r.budget, 0) <> case when o.status = 'DEBITED' then coalesce(k.total, 0) else 0 end)
"""
# What an order keeps is its penalties', whole, of payables that it pays; no two orders that stand keep the same one.
_KEPT = """
    select format('payment order %s keeps %s of penalty %s, which is %s of %s', k.payment_order_id,
                  coalesce(k.foreign_minor, k.amount_minor), k.late_delivery_penalty_id, n.status, n.amount_minor)
    from payment_order_penalty k
    join payment_order o using (payment_order_id)
    join late_delivery_penalty n using (late_delivery_penalty_id)
    left join payment_order_item i on (i.payment_order_id, i.payable_id) = (k.payment_order_id, n.payable_id)
    where o.status not in ('REJECTED', 'STOPPED')
      and ((n.status, n.amount_minor, n.currency)
           <> ('APPROVED', coalesce(k.foreign_minor, k.amount_minor), coalesce(k.foreign_currency, o.currency))
           or i.payable_id is null)
    union all
    select format('penalty %s is kept by %s payment orders', late_delivery_penalty_id, count(*))
    from payment_order_penalty join payment_order using (payment_order_id)
    where status not in ('REJECTED', 'STOPPED') group by late_delivery_penalty_id having count(*) > 1
    union all
    select format('payment order %s pays payable %s and does not keep its penalty %s', o.payment_order_id,
                  n.payable_id, n.late_delivery_penalty_id)
    from late_delivery_penalty n
    join payment_order_item i using (payable_id)
    join payment_order o on o.payment_order_id = i.payment_order_id and o.status not in ('REJECTED', 'STOPPED')
    left join payment_order_penalty k
              on (k.payment_order_id, k.late_delivery_penalty_id) = (o.payment_order_id, n.late_delivery_penalty_id)
    where n.status = 'APPROVED' and k.payment_order_id is null
"""
# In the creditor's currency an order pays what is owed, less what is withheld at the order's own rate, less penalties.
_ABROAD = """
    select format('payment order %s pays %s %s, of %s owed, and keeps penalties of %s',
                  o.payment_order_id, o.foreign_minor, o.foreign_currency, i.owed, k.kept)
    from (select payment_order_id, sum(amount_minor) as worth, sum(foreign_minor) as kept from payment_order_penalty
          group by 1 having sum(foreign_minor) > 0) k
    join payment_order o using (payment_order_id)
    cross join lateral (select sum(p.foreign_minor) as owed from payment_order_item join payable p using (payable_id)
                        where payment_order_id = o.payment_order_id) i
    where o.status not in ('REJECTED', 'STOPPED')
      and o.foreign_minor is distinct from round(i.owed * (o.net_minor + k.worth) / o.gross_minor) - k.kept
"""
# I9: no two steps of one chain by one person.
_MAKERS = """
    select format('penalty %s was approved or reduced by who assessed it', late_delivery_penalty_id)
    from late_delivery_penalty where created_by_person_id in (approved_by_person_id, reduced_by_person_id)
"""


def problems(connection: Connection) -> list[Problem]:
    """What does not hold, the first few of each kind."""
    found: list[Problem] = []
    for invariant, query in (("I5", _REVENUE), ("I5", _KEPT), ("I5", _ABROAD), ("I9", _MAKERS)):
        rows = connection.execute(text(f"select * from ({query}) as found limit {PROBLEMS_MAX}"))  # noqa: S608
        found += [Problem(invariant, str(row[0])) for row in rows]
    return found
