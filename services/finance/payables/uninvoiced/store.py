"""SQL of what was accepted and not invoiced."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlmodel import Session

# Invoices and returns use up the oldest acceptance of an order line first, so what is left is as old as the first
# acceptance that they have not used up. Each acceptance credited GRNI under its order line, in its receipt's entry.
_UNINVOICED = """
    select l.purchase_order_line_id, l.agency_id, l.purchase_order_id, l.description, o.purchase_order_number,
           o.supplier_id, o.currency, r.accepted_on,
           l.accepted_minor - l.returned_minor - l.cleared_minor as amount_minor,
           l.accepted_quantity - l.returned_quantity - l.cleared_quantity as quantity
    from purchase_order_line l
    join purchase_order o using (purchase_order_id)
    cross join lateral (
        select min(accepted_on) as accepted_on
        from (select g.accepted_on, sum(j.credit_minor - j.debit_minor) over by_day as so_far
              from goods_receipt g join journal_line j using (journal_entry_id)
              where g.purchase_order_id = l.purchase_order_id and j.document_line_id = l.purchase_order_line_id
                and j.currency = o.currency
                and j.account_code in (select account_code from account_mapping where role = 'GRNI')
              window by_day as (order by g.accepted_on, g.receipt_id, j.line_no)) received
        where so_far > l.returned_minor + l.cleared_minor
    ) r
    where l.agency_id = :agency_id and l.accepted_minor > l.returned_minor + l.cleared_minor
      and r.accepted_on <= :last_day
      and (cast(:after_id as uuid) is null
           or (r.accepted_on, l.purchase_order_line_id) > (cast(:after_on as date), :after_id))
    order by r.accepted_on, l.purchase_order_line_id limit :limit
"""


def page(
    session: Session, *, agency_id: UUID, last_day: date, after: tuple[Any, ...] | None, limit: int
) -> Sequence[Row[Any]]:
    """Order lines with something accepted up to `last_day` and not invoiced, the oldest first."""
    return session.execute(
        text(_UNINVOICED),
        {
            "agency_id": agency_id,
            "last_day": last_day,
            "after_on": after[0] if after else None,
            "after_id": after[1] if after else None,
            "limit": limit,
        },
    ).all()
