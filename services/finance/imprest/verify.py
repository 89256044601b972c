"""Whether imprests hold, asked from outside: the cash in the books, I9, vouchers and funds."""

from __future__ import annotations

from sqlalchemy import Connection, text

from chassis.verify import PROBLEMS_MAX, Problem

# What the books hold as imprest of an agency is what ordered payments brought less what vouchers and returns took.
_CASH = """
    select format('agency %s: the imprest account holds %s, brought less paid and returned is %s', agency_id,
                  coalesce(booked, 0), coalesce(expected, 0))
    from (
        select agency_id, sum(debit_minor - credit_minor)::bigint as booked from account_balance
        where account_code in (select account_code from account_mapping where role = 'IMPREST') group by 1
    ) b
    full join (
        select agency_id, sum(amount)::bigint as expected from (
            select agency_id, amount_minor as amount from payable
            where source in ('IMPREST', 'REPLENISHMENT') and status in ('ORDERED', 'PAID')
            union all
            select agency_id, -paid_minor from imprest_voucher where status in ('PAID', 'CLAIMED', 'VALIDATED')
            union all
            select agency_id, -returned_minor from imprest
        ) moved group by 1
    ) e using (agency_id)
    where coalesce(booked, 0) <> coalesce(expected, 0)
"""
# Cash in hand = ceiling - vouchers not validated, once nothing is under payment (domain rules §4).
_CEILING = """
    select format('imprest %s: ceiling %s, not validated %s, brought less validated and returned %s', i.imprest_id,
                  i.amount_minor, v.open, i.amount_minor + r.brought - v.validated - i.returned_minor)
    from imprest i
    cross join lateral (
        select coalesce(sum(paid_minor) filter (where status in ('PAID', 'CLAIMED')), 0)::bigint as open,
               coalesce(sum(paid_minor) filter (where status = 'VALIDATED'), 0)::bigint as validated
        from imprest_voucher where imprest_id = i.imprest_id
    ) v
    cross join lateral (
        select coalesce(sum(y.amount_minor) filter (where y.status in ('ORDERED', 'PAID')), 0)::bigint as brought
        from imprest_replenishment p join payable y using (payable_id) where p.imprest_id = i.imprest_id
    ) r
    where i.status = 'OPEN' and r.brought <> v.validated
       or i.status = 'SETTLED' and (v.open <> 0 or i.amount_minor + r.brought - v.validated - i.returned_minor <> 0)
"""
# S of a line holds what vouchers paid and nobody validated, beside what is ordered from the bank.
_VOUCHERS = """
    select format('voucher %s is %s, its funds hold S %s, P %s of %s', v.imprest_voucher_id, v.status,
                  p.ordered_minor, p.paid_minor, v.paid_minor)
    from imprest_voucher v
    join funds_position p on p.document_line_id = v.document_line_id and p.budget_line_id = v.budget_line_id
    where v.document_line_id = v.imprest_voucher_id
      and (p.ordered_minor, p.paid_minor) <> (case when v.status in ('PAID', 'CLAIMED') then v.paid_minor else 0 end,
                                              case when v.status = 'VALIDATED' then v.paid_minor else 0 end)
"""
_MAKERS = """
    select format('voucher %s was paid by who approved it', imprest_voucher_id) from imprest_voucher
    where paid_by_person_id = created_by_person_id
    union all
    select format('imprest %s was settled by its holder', imprest_id) from imprest
    where settled_by_person_id in (holder_person_id, created_by_person_id)
    union all
    select format('payment request %s brings cash to the imprest of who checked it', r.payment_request_id)
    from payment_request r join payment_request_item t using (payment_request_id)
    left join imprest_replenishment p using (payable_id)
    join imprest i on i.payable_id = t.payable_id or i.imprest_id = p.imprest_id
    left join payment_order o on o.payment_request_id = r.payment_request_id
    where i.holder_person_id in (r.verified_by_person_id, r.authorised_by_person_id, o.issued_by_person_id)
"""


def problems(connection: Connection) -> list[Problem]:
    """What does not hold, the first few of each kind."""
    found: list[Problem] = []
    for invariant, query in (("F5", _CASH), ("F5", _CEILING), ("F4", _VOUCHERS), ("I9", _MAKERS)):
        rows = connection.execute(text(f"select * from ({query}) as found limit {PROBLEMS_MAX}"))  # noqa: S608
        found += [Problem(invariant, str(row[0])) for row in rows]
    return found
