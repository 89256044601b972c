"""SQL of payables past their due date."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlmodel import Session


def page(
    session: Session, *, agency_id: UUID, as_of: date, after: tuple[Any, ...] | None, limit: int
) -> Sequence[Row[Any]]:
    """Suppliers' payables that were not paid on their due date: still owed on `as_of`, or paid late by then.

    `until` is the day of the bank's debit, or `as_of`. Received-not-invoiced has no due date (domain rules §3).
    """
    return session.execute(
        text(
            """
            select * from (
                select p.payable_id, p.agency_id, p.source, p.source_document_id, p.source_document_number, p.creditor,
                       p.currency, p.amount_minor, p.due_on, d.value_date as paid_on,
                       least(coalesce(d.value_date, :as_of), :as_of) as until
                from payable p
                left join lateral (
                    select o.value_date from payment_order_item i join payment_order o using (payment_order_id)
                    where i.payable_id = p.payable_id and o.status = 'DEBITED'
                ) d on true
                where p.agency_id = :agency_id and p.source in ('INVOICE', 'BILL') and p.status <> 'CREDITED'
                  and (cast(:after as uuid) is null or p.payable_id < :after)
            ) owed
            where until > due_on
            order by payable_id desc limit :limit
            """
        ),
        {"agency_id": agency_id, "as_of": as_of, "after": after[0] if after else None, "limit": limit},
    ).all()
