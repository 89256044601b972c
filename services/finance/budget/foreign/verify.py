"""Whether the foreign side of funds holds, asked from outside: F4 in the commitments' own currencies, and debts."""

from __future__ import annotations

from sqlalchemy import Connection, text

from chassis.verify import PROBLEMS_MAX, Problem
from services.finance.budget.foreign.columns import BUCKETS

_SUMS = ", ".join(f"coalesce(sum({name}), 0)::bigint as {name}" for name in BUCKETS)

# F4 in the foreign currency: what document lines hold on a budget line is the sum of its movements.
_F4 = f"""
    select format('budget line %s in %s: document lines hold R,O,V,E,S,P = %s, movements say %s',
                  coalesce(p.budget_line_id, m.budget_line_id), coalesce(p.foreign_currency, m.foreign_currency),
                  concat_ws(',', {", ".join(f"p.{name}" for name in BUCKETS)}),
                  concat_ws(',', {", ".join(f"m.{name}" for name in BUCKETS)}))
    from (select budget_line_id, foreign_currency, {_SUMS} from funds_position
          where foreign_currency is not null group by 1, 2) p
    full join (select budget_line_id, foreign_currency, {_SUMS} from funds_movement
               where foreign_currency is not null group by 1, 2) m using (budget_line_id, foreign_currency)
    where ({", ".join(f"coalesce(p.{name}, 0)" for name in BUCKETS)})
       <> ({", ".join(f"coalesce(m.{name}, 0)" for name in BUCKETS)})
"""  # noqa: S608
# What is open is what was set aside less what is used up, in the foreign currency too.
_OPEN = """
    select format('document line %s on budget line %s: %s %s set aside less %s used up, %s open', document_line_id,
                  budget_line_id, foreign_currency, foreign_total_minor, foreign_liquidated_minor,
                  foreign_reserved_minor + foreign_obligated_minor)
    from funds_position
    where foreign_total_minor - foreign_liquidated_minor <> foreign_reserved_minor + foreign_obligated_minor
"""
# F5 by debt: what is not invoiced, and what payables say is owed, is what the ledger carries it at. A month that is
# revalued after its debt was paid leaves a difference in E and in the ledger, which the next month takes back.
_UNINVOICED = """
    select format('order line %s: received-not-invoiced stands at %s, the ledger says %s', o.purchase_order_line_id,
                  o.uninvoiced_minor, coalesce(l.owed, 0))
    from purchase_order_line o
    left join (
        select document_line_id, sum(coalesce(functional_credit_minor, credit_minor)
                                     - coalesce(functional_debit_minor, debit_minor))::bigint as owed
        from journal_line
        where document_line_id is not null
          and account_code in (select account_code from account_mapping where role = 'GRNI') group by 1
    ) l on l.document_line_id = o.purchase_order_line_id
    where o.foreign_currency is not null and o.uninvoiced_minor <> coalesce(l.owed, 0)
"""
_PARTS = """
    select format('document line %s: its unpaid payables say %s, the ledger %s', t.document_line_id, t.owed,
                  coalesce(l.owed, 0))
    from (select t.document_line_id, sum(t.amount_minor) filter (where p.status in ('OPEN', 'REQUESTED')) as owed,
                 sum(t.foreign_minor) filter (where p.status in ('OPEN', 'REQUESTED')) as foreign_owed
          from payable_part t join payable p using (payable_id)
          -- An advance is owed from its order on, and is no debt of the books before.
          where t.foreign_minor is not null and p.source <> 'PREPAYMENT' group by 1) t
    left join (
        select document_line_id, sum(coalesce(functional_credit_minor, credit_minor)
                                     - coalesce(functional_debit_minor, debit_minor))::bigint as owed
        from journal_line
        where document_line_id is not null and basis = 'ACCRUAL'
          and account_code in (select code from account where kind = 'PAYABLE')
          and account_code not in (select account_code from account_mapping where role = 'GRNI') group by 1
    ) l using (document_line_id)
    where t.foreign_owed > 0 and t.owed <> coalesce(l.owed, 0)
"""
# An exchange override is somebody's to cover.
_OWNERS = """
    select format('override %s of an exchange difference has no owner', document_number)
    from budget_override where kind = 'EXCHANGE' and owner_person_id is null
"""


def problems(connection: Connection) -> list[Problem]:
    """What does not hold, the first few of each kind."""
    found: list[Problem] = []
    for invariant, query in (("F4", _F4), ("F4", _OPEN), ("F5", _UNINVOICED), ("F5", _PARTS), ("F2", _OWNERS)):
        rows = connection.execute(text(f"select * from ({query}) as found limit {PROBLEMS_MAX}"))  # noqa: S608
        found += [Problem(invariant, str(row[0])) for row in rows]
    return found
