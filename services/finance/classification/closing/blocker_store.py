"""SQL of what stands in the way of a close (domain rules §7: GRNI unexplained, in flight, unposted runs, overrides).

It looks over the areas' fences on purpose: a close is one act over all of them, and asks one question.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from services.finance.classification.closing.domain import Blocker, BlockerKind
from services.finance.classification.domain import Area, FiscalPeriod

# Received-not-invoiced by document line: of an order line what was accepted less what went back and what approved
# invoices named, in the order's own currency, which its rate does not change (as payables/verify has it); of a service
# that was accepted by hand what its own movements expended, in that of the books. Both are kept as they are now, so a
# line counts with all that it has once it has anything by the period's end.
_GRNI = """
    select 'GRNI_UNEXPLAINED' as kind, 'PAYABLES' as area, document_line_id::text as subject,
           format('document line %s: received-not-invoiced is %s, accepted and not invoiced %s minor units',
                  document_line_id, balance, explained) as description
    from (
        select coalesce(l.document_line_id, o.purchase_order_line_id) as document_line_id,
               coalesce(case when o.purchase_order_line_id is not null then l.balance else l.worth end, 0) as balance,
               coalesce(l.first_on, o.first_on) as first_on,
               case when o.purchase_order_line_id is not null
                    then o.accepted_minor - o.returned_minor - o.cleared_minor
                    else coalesce((select sum(m.expended_minor)::bigint from funds_movement m
                                   where m.agency_id = :agency_id and m.document_line_id = l.document_line_id), 0)
               end as explained
        from (
            select j.document_line_id, min(j.accounting_on) as first_on,
                   sum(j.credit_minor - j.debit_minor)
                       filter (where j.currency = coalesce(f.foreign_currency, j.currency))::bigint as balance,
                   sum(coalesce(j.functional_credit_minor, j.credit_minor)
                       - coalesce(j.functional_debit_minor, j.debit_minor))::bigint as worth
            from journal_line j
            left join purchase_order_line f on f.purchase_order_line_id = j.document_line_id
            where j.agency_id = :agency_id and j.document_line_id is not null
              and j.account_code in (select account_code from account_mapping where role = 'GRNI')
            group by 1
        ) l
        full join (
            select o.*, (select min(g.accepted_on) from goods_receipt g
                         where g.purchase_order_id = o.purchase_order_id) as first_on
            from purchase_order_line o where o.agency_id = :agency_id
        ) o on o.purchase_order_line_id = l.document_line_id
    ) compared
    where balance <> explained and first_on <= :ends_on
"""
_INVOICES = """
    select 'INVOICE_UNSETTLED', 'PAYABLES', invoice_id::text,
           format('invoice %s of %s is %s', supplier_invoice_number, received_on, status)
    from invoice
    where agency_id = :agency_id and status in ('HELD', 'WAITING_RECEIPT') and received_on <= :ends_on
"""
# A movement above the cut rests on one below it that has not come; a variance waits for logistics' number.
_STOCK = """
    select 'STOCK_IN_FLIGHT', 'STOCK', p.stock_movement_number::text,
           format('stock movement %s is in the books, %s has not come', p.stock_movement_number, c.posted_number + 1)
    from stock_posting p
    join stock_cut c on c.agency_id = p.agency_id and p.stock_movement_number > c.posted_number
    left join journal_entry e on e.journal_entry_id = p.journal_entry_id
    where p.agency_id = :agency_id and coalesce(e.accounting_on, :ends_on) <= :ends_on
    union all
    select 'STOCK_IN_FLIGHT', 'STOCK', v.invoice_id::text || '/' || v.purchase_order_line_id,
           format('price variance of %s minor units on order line %s has no stock movement', v.variance_minor,
                  v.purchase_order_line_id)
    from stock_variance v join invoice i on i.invoice_id = v.invoice_id
    where v.agency_id = :agency_id and not v.numbered and i.received_on <= :ends_on
"""
# As far as finance knows: pay that is obligated for a month, and that no accepted run has used.
_PAYROLL = """
    select 'PAYROLL_UNPOSTED', 'PAYROLL', format('%s-%s', s.year, lpad(s.period_number::text, 2, '0')),
           format('pay of %s-%s: %s minor units of %s posts are obligated and no run has used them', s.year,
                  lpad(s.period_number::text, 2, '0'), sum(s.amount_minor), count(distinct s.document_line_id))
    from funds_schedule s
    join funds_position p on (p.document_line_id, p.budget_line_id) = (s.document_line_id, s.budget_line_id)
    where s.agency_id = :agency_id and s.year = :year and s.period_number <= :number and s.amount_minor > 0
      and p.document_kind = 'POSITION' and p.obligated_minor > 0 and not p.closed
    group by s.year, s.period_number
"""
_PARKED = """
    select 'EVENT_PARKED', case when topic like '%.stock.%' then 'STOCK'
                                when topic like 'kelola.logistics.%' then 'PAYABLES' else 'LEDGER' end,
           parked_id::text, format('event %s (%s) is parked: %s', coalesce(event_id::text, record_offset::text),
                                   coalesce(type, topic), left(error, 300))
    from parked
    where state = 'PARKED' and exists (
        select 1 from jsonb_array_elements(headers) h
        where h ->> 0 = 'ce_agency' and h ->> 1 = encode(convert_to(cast(:agency_id as text), 'UTF8'), 'base64'))
"""
# Overrides never outlive the year: they block its last month and its adjustment period.
_OVERRIDES = """
    select 'OVERRIDE_OPEN', 'LEDGER', budget_line_id::text,
           format('budget line %s %s is over its budget by %s minor units under an override', organisation_code,
                  account_code, override_minor)
    from budget_line
    where agency_id = :agency_id and override_minor > 0 and :number >= 12
      and :year between fiscal_year and coalesce(last_fiscal_year, fiscal_year)
"""

_ALL = f"""
    select kind, area, subject, description
    from ({" union all ".join((_GRNI, _INVOICES, _STOCK, _PAYROLL, _PARKED, _OVERRIDES))}) found
    where area = any (cast(:areas as text[]))
      and (cast(:after_kind as text) is null or (kind, subject) > (:after_kind, :after_subject))
    order by kind, subject limit :limit
"""  # noqa: S608  # constants of this module; values are bound


def blockers(
    session: Session,
    period: FiscalPeriod,
    areas: Iterable[Area],
    *,
    after: tuple[str, str] | None = None,
    limit: int,
) -> list[Blocker]:
    """What stands in the way of closing `areas` at the end of `period`, by kind and subject."""
    parameters: dict[str, Any] = {
        "agency_id": period.agency_id,
        "year": period.year,
        "number": period.number,
        "ends_on": period.ends_on,
        "areas": sorted(area.value for area in areas),
        "after_kind": after[0] if after else None,
        "after_subject": after[1] if after else None,
        "limit": limit,
    }
    return [
        Blocker(BlockerKind(kind), Area(area), subject, description)
        for kind, area, subject, description in session.execute(text(_ALL), parameters)
    ]
