"""Whether contracts that are paid by bills hold, asked from outside: F5 of prepayments, I5, I9."""

from __future__ import annotations

from sqlalchemy import Connection, text

from chassis.verify import PROBLEMS_MAX, Problem

# F5, second half: what stands as a prepayment under a contract line is what was ordered in advance and not recovered.
_ADVANCES = """
    select format('contract line %s: the prepayment account holds %s, ordered less recovered is %s', l.document_line_id,
                  coalesce(j.balance, 0), coalesce(a.ordered, 0) - coalesce(l.recovered_worth_minor, l.recovered_minor))
    from contract_line l
    left join (
        select document_line_id, sum(coalesce(functional_debit_minor, debit_minor)
                                     - coalesce(functional_credit_minor, credit_minor))::bigint as balance
        from journal_line
        where account_code in (select account_code from account_mapping where role = 'ADV') group by 1
    ) j using (document_line_id)
    left join (
        select part.document_line_id, sum(part.amount_minor)::bigint as ordered
        from payable y join payable_part part using (payable_id)
        where y.source = 'PREPAYMENT' and y.status in ('ORDERED', 'PAID') group by 1
    ) a using (document_line_id)
    where coalesce(j.balance, 0) <> coalesce(a.ordered, 0) - coalesce(l.recovered_worth_minor, l.recovered_minor)
"""
# F5 over the years: what the prepayment account holds is V, prepayments in S, and what year ends closed to P and bills
# have not recovered since. A bill recovers V as far as there is any; only the rest is of what was closed.
_CLOSED_ADVANCES = """
    select format('contract line %s: the prepayment account holds %s; V is %s, ordered in advance %s, closed by year '
                  'ends and not recovered %s', l.document_line_id, coalesce(j.balance, 0), coalesce(v.advanced, 0),
                  coalesce(s.ordered, 0), coalesce(m.closed, 0) + coalesce(m.recovered, 0)
                                          - coalesce(l.recovered_worth_minor, l.recovered_minor))
    from contract_line l
    left join (
        select document_line_id, sum(coalesce(functional_debit_minor, debit_minor)
                                     - coalesce(functional_credit_minor, credit_minor))::bigint as balance
        from journal_line
        where account_code in (select account_code from account_mapping where role = 'ADV') group by 1
    ) j using (document_line_id)
    left join (
        select document_line_id, sum(advanced_minor)::bigint as advanced from funds_position group by 1
    ) v using (document_line_id)
    left join (
        select part.document_line_id, sum(part.amount_minor)::bigint as ordered
        from payable y join payable_part part using (payable_id)
        where y.source = 'PREPAYMENT' and y.status = 'ORDERED' group by 1
    ) s using (document_line_id)
    left join (
        select position_document_line_id as document_line_id,
               sum(paid_minor) filter (where kind = 'CLOSE_ADVANCE')::bigint as closed,
               -sum(advanced_minor) filter (where kind = 'EXPEND')::bigint as recovered
        from funds_movement where kind in ('CLOSE_ADVANCE', 'EXPEND') and advanced_minor <> 0 group by 1
    ) m using (document_line_id)
    where coalesce(j.balance, 0) <> coalesce(v.advanced, 0) + coalesce(s.ordered, 0) + coalesce(m.closed, 0)
                                    - (coalesce(l.recovered_worth_minor, l.recovered_minor) - coalesce(m.recovered, 0))
"""
# The sums of a contract line are those of its certified bills.
_SUMS = """
    select format('contract line %s: billed, recovered, retained are %s, %s, %s, its certified bills sum to %s, %s, %s',
                  l.document_line_id, l.billed_minor, l.recovered_minor, l.retained_minor, coalesce(b.gross, 0),
                  coalesce(b.recovered, 0), coalesce(b.retained, 0))
    from contract_line l
    left join (
        select b.contract_id, n.document_line_id, sum(n.gross_minor)::bigint as gross,
               sum(n.recovered_minor)::bigint as recovered, sum(n.retained_minor)::bigint as retained
        from bill b join bill_line n using (bill_id) where b.status = 'CERTIFIED' group by 1, 2
    ) b using (contract_id, document_line_id)
    where (l.billed_minor, l.recovered_minor, l.retained_minor)
          <> (coalesce(b.gross, 0), coalesce(b.recovered, 0), coalesce(b.retained, 0))
"""
# A certified bill is owed: gross = recovered + claim + retention.
_OWED = """
    select format('bill %s: gross %s, recovered %s, payables %s', b.bill_id, b.gross_minor, n.recovered,
                  coalesce(p.owed, 0))
    from bill b
    join (select bill_id, sum(recovered_minor)::bigint as recovered from bill_line group by 1) n using (bill_id)
    left join (select source_document_id, sum(coalesce(foreign_minor, amount_minor))::bigint as owed from payable
               where source in ('BILL', 'RETENTION') group by 1) p on p.source_document_id = b.bill_id
    where b.status = 'CERTIFIED' and b.gross_minor <> n.recovered + coalesce(p.owed, 0)
"""
_MAKERS = """
    select format('bill %s was decided by who registered it', bill_id) from bill
    where decided_by_person_id = created_by_person_id
"""


def problems(connection: Connection) -> list[Problem]:
    """What does not hold, the first few of each kind."""
    found: list[Problem] = []
    for invariant, query in (
        ("F5", _ADVANCES),
        ("F5", _CLOSED_ADVANCES),
        ("I5", _SUMS),
        ("I5", _OWED),
        ("I9", _MAKERS),
    ):
        rows = connection.execute(text(f"select * from ({query}) as found limit {PROBLEMS_MAX}"))  # noqa: S608
        found += [Problem(invariant, str(row[0])) for row in rows]
    return found
