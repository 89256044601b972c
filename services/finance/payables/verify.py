"""Whether payables and payments hold, asked from outside: F5, F6, I7, I9, I10."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, text

from chassis.verify import PROBLEMS_MAX, Problem
from services.finance.payables.penalties import verify as penalties

# F5: what a line has expended and not paid is what is owed under it: received-not-invoiced, payables, retention.
# S has left the agency's books for the treasury's (RK), so it is not part of it.
_F5 = """
    select format('budget line %s: E is %s, what is owed under it %s', b.budget_line_id, b.expended_minor,
                  coalesce(l.owed, 0))
    from budget_line b
    left join (
        select j.budget_line_id,
               sum(coalesce(j.functional_credit_minor, j.credit_minor)
                   - coalesce(j.functional_debit_minor, j.debit_minor))::bigint as owed
        from journal_line j
        where j.budget_line_id is not null and j.basis = 'ACCRUAL'
          and j.account_code in (select code from account where kind = 'PAYABLE')
        group by j.budget_line_id
    ) l using (budget_line_id)
    where b.postable and b.appropriation_id is not null and b.expended_minor <> coalesce(l.owed, 0)
"""
# F6: paid and advanced is what is realised on the BUDGET basis under the line.
_F6 = """
    select format('budget line %s: V + P is %s, realised %s', b.budget_line_id, b.advanced_minor + b.paid_minor,
                  coalesce(l.realised, 0))
    from budget_line b
    left join (
        select budget_line_id, sum(debit_minor - credit_minor)::bigint as realised
        from journal_line where budget_line_id is not null and basis = 'BUDGET'
          and account_code in (select code from account where kind = 'EXPENDITURE')
        group by budget_line_id
    ) l using (budget_line_id)
    where b.postable and b.appropriation_id is not null
      and b.advanced_minor + b.paid_minor <> coalesce(l.realised, 0)
"""
# Received-not-invoiced by order line: what was accepted and not given back, less what approved invoices named.
_GRNI = """
    select format('order line %s: received-not-invoiced is %s, accepted less returned and cleared %s',
                  o.purchase_order_line_id, coalesce(l.balance, 0),
                  o.accepted_minor - o.returned_minor - o.cleared_minor)
    from purchase_order_line o
    left join (
        select document_line_id, currency, sum(credit_minor - debit_minor)::bigint as balance
        from journal_line
        where account_code in (select account_code from account_mapping where role = 'GRNI') group by 1, 2
    ) l on l.document_line_id = o.purchase_order_line_id and l.currency = coalesce(o.foreign_currency, l.currency)
    where coalesce(l.balance, 0) <> o.accepted_minor - o.returned_minor - o.cleared_minor
       or o.cleared_quantity = o.accepted_quantity - o.returned_quantity
          and o.cleared_minor <> o.accepted_minor - o.returned_minor
"""
# A payable is the sum of its parts, and its state that of its paper.
_PAYABLES = """
    select format('payable %s of %s: its parts sum to %s', p.payable_id, p.amount_minor, coalesce(t.total, 0))
    from payable p
    left join (select payable_id, sum(amount_minor)::bigint as total from payable_part group by 1) t
              using (payable_id)
    where coalesce(t.total, 0) <> case when p.fund_code is null then p.amount_minor else 0 end
    union all
    select format('payable %s is %s, its payment request %s', p.payable_id, p.status, r.status)
    from payable p join payment_request r using (payment_request_id)
    where (p.status, r.status) not in (('REQUESTED', 'REQUESTED'), ('REQUESTED', 'VERIFIED'),
                                       ('REQUESTED', 'AUTHORISED'), ('ORDERED', 'ORDERED'), ('PAID', 'ORDERED'))
"""
# What payables say is owed of a document line is what the control accounts hold under it. Debts in other currencies are
# compared in budget/foreign/verify; an advance is owed from its order on, and is no debt of the books before.
_DEBTS = """
    select format('document line %s: its unpaid payables say %s, the control accounts %s',
                  coalesce(t.document_line_id, l.document_line_id), coalesce(t.owed, 0), coalesce(l.owed, 0))
    from (
        select t.document_line_id, coalesce(sum(t.amount_minor) filter (where p.status in ('OPEN', 'REQUESTED')), 0)
                                   as owed, bool_or(t.foreign_minor is not null) as abroad
        from payable_part t join payable p using (payable_id) where p.source <> 'PREPAYMENT' group by 1
    ) t
    full join (
        select document_line_id, sum(functional_credit_minor - functional_debit_minor)::bigint as owed,
               bool_or(functional_credit_minor <> credit_minor or functional_debit_minor <> debit_minor) as abroad
        from journal_line
        where document_line_id is not null and basis = 'ACCRUAL'
          and account_code in (select code from account where kind = 'PAYABLE')
          and account_code not in (select account_code from account_mapping where role = 'GRNI')
        group by 1
    ) l using (document_line_id)
    where not coalesce(t.abroad, false) and not coalesce(l.abroad, false) and coalesce(t.owed, 0) <> coalesce(l.owed, 0)
"""
# Cash that left is the net of debited orders: gross = net + withheld + penalties, order by order.
_ORDERS = """
    select format('payment order %s: gross %s, net %s, withheld %s, penalties %s, items %s', o.payment_order_id,
                  o.gross_minor, o.net_minor, coalesce(w.total, 0), coalesce(n.total, 0), coalesce(i.total, 0))
    from payment_order o
    left join (select payment_order_id, sum(amount_minor)::bigint as total from payment_order_withholding group by 1) w
              using (payment_order_id)
    left join (select payment_order_id, sum(amount_minor)::bigint as total from payment_order_item group by 1) i
              using (payment_order_id)
    left join (select payment_order_id, sum(amount_minor)::bigint as total from payment_order_penalty group by 1) n
              using (payment_order_id)
    where o.gross_minor <> o.net_minor + coalesce(w.total, 0) + coalesce(n.total, 0)
       or o.gross_minor <> coalesce(i.total, 0)
"""
# I9: no two steps of one chain by one person.
_MAKERS = """
    select format('invoice %s was approved by who registered it', invoice_id) from invoice
    where approved_by_person_id = created_by_person_id or hold_released_by_person_id = created_by_person_id
    union all
    select format('credit note %s was approved by who registered it', credit_note_id) from credit_note
    where approved_by_person_id = created_by_person_id
    union all
    select format('offset %s was approved by who proposed it', credit_offset_id)
    from credit_offset where approved_by_person_id = created_by_person_id
    union all
    select format('late interest %s was approved by who proposed it', late_interest_charge_id)
    from late_interest_charge where approved_by_person_id = created_by_person_id
    union all
    select format('remittance %s was approved by who proposed it', withholding_remittance_id)
    from withholding_remittance where approved_by_person_id = created_by_person_id
    union all
    select format('payment request %s: one person took two steps', payment_request_id) from payment_request
    where requested_by_person_id in (verified_by_person_id, authorised_by_person_id)
       or verified_by_person_id = authorised_by_person_id
    union all
    select format('payment order %s was issued by who took an earlier step', o.payment_order_id)
    from payment_order o join payment_request r using (payment_request_id)
    where o.issued_by_person_id in (r.requested_by_person_id, r.verified_by_person_id, r.authorised_by_person_id)
"""
# I10: numbers of a series are 1, 2, 3 … without gaps, and their days do not go back.
_NUMBERS = """
    select format('series %s %s %s: %s papers are numbered, the last number is %s', s.kind, s.year, s.entity_id,
                  count(q.number), s.last_number)
    from number_series s left join number_queue q
         on (q.entity_id, q.kind, q.year) = (s.entity_id, s.kind, s.year) and q.number is not null
    group by s.entity_id, s.kind, s.year, s.last_number
    having count(q.number) <> s.last_number or coalesce(max(q.number), 0) <> s.last_number
        or min(q.number) <> 1
    union all
    select format('number %s of series %s %s is dated before the one before it', number, kind, year)
    from (select *, lag(numbered_on) over (partition by entity_id, kind, year order by number) as before
          from number_queue where number is not null) numbered
    where numbered_on < before
"""
# A credit note is the sum of its lines, and says what of it is withheld no more; what creditors owe back is what the
# refund account holds, order line by line.
_CREDITS = """
    select format('credit note %s of %s: its lines sum to %s', c.credit_note_id, c.total_minor, coalesce(l.total, 0))
    from credit_note c
    left join (select credit_note_id, sum(amount_minor)::bigint as total from credit_note_line group by 1) l
              using (credit_note_id)
    where c.total_minor <> coalesce(l.total, 0)
    union all
    select format('credit note %s: %s of it is withheld no more, by kind %s', c.credit_note_id, c.withheld_minor,
                  coalesce(w.total, 0))
    from credit_note c
    left join (select credit_note_id, sum(amount_minor)::bigint as total from credit_note_withholding group by 1) w
              using (credit_note_id)
    where c.functional_currency is null and c.withheld_minor <> coalesce(w.total, 0)
    union all
    select format('order line %s: the refund account holds %s, its credit notes await %s',
                  coalesce(j.document_line_id, n.purchase_order_line_id), coalesce(j.balance, 0), coalesce(n.owed, 0))
    from (select document_line_id, sum(coalesce(functional_debit_minor, debit_minor)
                                       - coalesce(functional_credit_minor, credit_minor))::bigint as balance
          from journal_line
          where account_code in (select account_code from account_mapping where role = 'REFUND') group by 1) j
    full join (select l.purchase_order_line_id, sum(coalesce(l.carried_minor, l.amount_minor))::bigint as owed
               from credit_note c join credit_note_line l using (credit_note_id) where c.status = 'RECEIVABLE'
               group by 1) n on n.purchase_order_line_id = j.document_line_id
    where coalesce(j.balance, 0) <> coalesce(n.owed, 0)
    union all
    select format('order line %s: the refund account holds %s in %s, its credit notes await %s',
                  coalesce(j.document_line_id, n.purchase_order_line_id), coalesce(j.balance, 0),
                  coalesce(j.currency, n.currency), coalesce(n.owed, 0))
    from (select l.document_line_id, l.currency, sum(l.debit_minor - l.credit_minor)::bigint as balance
          from journal_line l
          where l.account_code in (select account_code from account_mapping where role = 'REFUND')
            and l.document_line_id in (select purchase_order_line_id from purchase_order_line
                                       where foreign_currency = l.currency)
          group by 1, 2) j
    full join (select l.purchase_order_line_id, c.currency, sum(l.amount_minor)::bigint as owed
               from credit_note c join credit_note_line l using (credit_note_id)
               where c.status = 'RECEIVABLE' and c.functional_currency is not null group by 1, 2) n
              on (n.purchase_order_line_id, n.currency) = (j.document_line_id, j.currency)
    where coalesce(j.balance, 0) <> coalesce(n.owed, 0)
"""
# A slip says what its payment withheld; a debited payment has a slip for each kind or none by that kind's law.
_SLIPS = """
    select format('withholding slip %s of %s: its payment withheld %s', s.withholding_slip_id, s.amount_minor,
                  coalesce(w.amount_minor, 0))
    from withholding_slip s
    left join payment_order_withholding w using (payment_order_id, withholding_code)
    join payment_order o using (payment_order_id)
    where s.amount_minor <> coalesce(w.amount_minor, 0) or o.status <> 'DEBITED'
"""
# What was withheld for others is what the treasury's accounts for it hold: withheld by orders that stand, less what is
# ordered to be remitted. A remittance is the sum of what it collects.
_WITHHELD = """
    select format('treasury %s: what is withheld in %s is %s in the books, %s by payment orders and remittances',
                  coalesce(b.agency_id, w.agency_id), coalesce(b.currency, w.currency), coalesce(b.balance, 0),
                  coalesce(w.total, 0))
    from (
        select a.agency_id, a.currency, sum(a.credit_minor - a.debit_minor)::bigint as balance
        from account_balance a
        where a.account_code in (select account_code from account_mapping
                                 where role = 'WHT' or starts_with(role, 'WHT-'))
        group by 1, 2
    ) b
    full join (
        select agency_id, currency, sum(amount)::bigint as total
        from (
            select o.treasury_agency_id as agency_id, o.currency, w.amount_minor as amount
            from payment_order o join payment_order_withholding w using (payment_order_id)
            where o.status in ('UNNUMBERED', 'ISSUED', 'DEBITED')
            union all
            select c.treasury_agency_id, coalesce(c.functional_currency, c.currency), -w.amount_minor
            from credit_note c join credit_note_withholding w using (credit_note_id) where c.status = 'REFUNDED'
            union all
            select r.agency_id, r.currency, -r.amount_minor
            from withholding_remittance r join payable p using (payable_id) where p.status in ('ORDERED', 'PAID')
        ) moved group by 1, 2
    ) w on (w.agency_id, w.currency) = (b.agency_id, b.currency)
    where coalesce(b.balance, 0) <> coalesce(w.total, 0)
    union all
    select format('remittance %s of %s: what it collects sums to %s', r.withholding_remittance_id, r.amount_minor,
                  coalesce(i.total, 0))
    from withholding_remittance r
    left join (select withholding_remittance_id, sum(amount_minor)::bigint as total from withholding_remittance_item
               group by 1) i using (withholding_remittance_id)
    where r.amount_minor + r.corrected_minor <> coalesce(i.total, 0)
    union all
    select format('remittance %s is less by %s, of which credit notes say %s', r.withholding_remittance_id,
                  r.corrected_minor, coalesce(w.total, 0))
    from withholding_remittance r
    left join (select withholding_remittance_id, sum(amount_minor)::bigint as total from credit_note_withholding
               group by 1) w using (withholding_remittance_id)
    where coalesce(w.total, 0) <> case when r.status in ('REJECTED', 'RECALLED') then 0 else r.corrected_minor end
    union all
    select format('payment order %s withheld %s as %s, with what it withheld less for offsets %s;'
                  ' credit notes took back %s of that', c.payment_order_id, coalesce(w.amount_minor, 0),
                  c.withholding_code, coalesce(w.amount_minor, 0) + coalesce(s.total, 0), c.total)
    from (
        select i.payment_order_id, w.withholding_code, sum(w.amount_minor)::bigint as total
        from credit_note_withholding w
        join credit_note n using (credit_note_id)
        join invoice v on v.invoice_id = n.invoice_id
        join payment_order_item i on i.payable_id = v.payable_id
        join payment_order o on o.payment_order_id = i.payment_order_id and o.status = 'DEBITED'
        group by 1, 2
    ) c
    left join payment_order_withholding w using (payment_order_id, withholding_code)
    left join (
        select i.payment_order_id, w.withholding_code, sum(w.amount_minor)::bigint as total
        from payment_order_item i
        join credit_offset f on f.payable_id = i.payable_id and f.status = 'APPROVED'
        join credit_note_withholding w on w.credit_note_id = f.credit_note_id
        group by 1, 2
    ) s using (payment_order_id, withholding_code)
    where c.total > coalesce(w.amount_minor, 0) + coalesce(s.total, 0)
    union all
    select format('payment order %s withheld %s as %s, %s of it is in remittances', i.payment_order_id,
                  w.amount_minor, i.withholding_code, i.total)
    from (select payment_order_id, withholding_code, sum(amount_minor)::bigint as total
          from withholding_remittance_item where live group by 1, 2) i
    left join payment_order_withholding w using (payment_order_id, withholding_code)
    where i.total > coalesce(w.amount_minor, 0)
"""
# A charge of late interest is owed once, with its own amount; the days of one payable's charges do not overlap.
_INTEREST = """
    select format('late interest %s of %s: its payable is of %s', c.late_interest_charge_id, c.amount_minor,
                  coalesce(p.amount_minor, 0))
    from late_interest_charge c left join payable p on p.payable_id = c.payable_id
    where c.status = 'APPROVED' and c.amount_minor is distinct from p.amount_minor
    union all
    select format('late interest on payable %s is charged twice for %s', late_payable_id, from_on)
    from (select late_payable_id, from_on, lag(until_on) over (partition by late_payable_id order by from_on) as before
          from late_interest_charge where status in ('PROPOSED', 'APPROVED')) charged
    where before >= from_on
"""
# What was paid of a payable by what its creditor owed is the sum of its offsets; a credit note set off has one.
_OFFSETS = """
    select format('payable %s: %s is set off, its offsets sum to %s', p.payable_id, p.offset_minor,
                  coalesce(o.total, 0))
    from payable p
    left join (select payable_id, sum(coalesce(functional_minor, amount_minor))::bigint as total from credit_offset
               where status = 'APPROVED'
               group by 1) o using (payable_id)
    where p.offset_minor <> coalesce(o.total, 0)
    union all
    select format('credit note %s of %s is %s, set off are %s', c.credit_note_id, c.total_minor, c.status,
                  coalesce(o.amount_minor, 0))
    from credit_note c left join credit_offset o on o.credit_note_id = c.credit_note_id and o.status = 'APPROVED'
    where (c.status = 'OFFSET') <> (o.credit_offset_id is not null) or o.amount_minor <> c.total_minor
"""
# I7: the stock control account is what the books took in from numbered movements and from variances in flight.
_STOCK = """
    select format('agency %s: the stock control account is %s, its movements and variances sum to %s', agency_id,
                  balance, expected)
    from (
        select a.agency_id, a.balance, coalesce(p.posted, 0) + coalesce(v.open, 0) as expected
        from (select agency_id, sum(debit_minor - credit_minor)::bigint as balance from account_balance
              where account_code in (select account_code from account_mapping where role = 'INV')
              group by agency_id) a
        left join (select agency_id, sum(value_minor)::bigint as posted from stock_posting
                   where kind not in ('TRANSFER_OUT', 'TRANSFER_IN') group by 1) p using (agency_id)
        left join (select agency_id, sum(variance_minor)::bigint as open from stock_variance where not numbered
                   group by 1) v using (agency_id)
    ) control
    where balance <> expected
"""


_OF_AN_AGENCY = (
    ("F5", _F5),
    ("F6", _F6),
    ("F5", _GRNI),
    ("F5", _PAYABLES),
    ("F5", _DEBTS),
    ("I5", _ORDERS),
    ("I5", _CREDITS),
    ("I5", _SLIPS),
    ("I5", _INTEREST),
    ("I5", _OFFSETS),
    ("I7", _STOCK),
    ("I9", _MAKERS),
)
# A treasury withholds from, keeps penalties of and numbers the orders of every agency that it pays for: these are asked
# of all books together.
_OF_A_TREASURY = (("I5", _WITHHELD), ("I10", _NUMBERS))


def problems(connection: Connection) -> list[Problem]:
    """What does not hold, the first few of each kind."""
    return problems_of_an_agency(connection) + _asked(connection, _OF_A_TREASURY) + penalties.problems(connection)


def problems_of_an_agency(connection: Connection) -> list[Problem]:
    """The part of it that one agency's rows answer by themselves."""
    return _asked(connection, _OF_AN_AGENCY)


def _asked(connection: Connection, queries: Iterable[tuple[str, str]]) -> list[Problem]:
    found: list[Problem] = []
    for invariant, query in queries:
        rows = connection.execute(text(f"select * from ({query}) as found limit {PROBLEMS_MAX}"))  # noqa: S608
        found += [Problem(invariant, str(row[0])) for row in rows]
    return found
