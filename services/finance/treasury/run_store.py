"""SQL of payment runs: what may go into one, its payments, its file."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlmodel import Session

from services.finance.treasury.domain import INSTRUCTIONS_MAX

# More than fit into one run are not looked at: the next run takes them.
CANDIDATES_MAX = 2 * INSTRUCTIONS_MAX


def candidates(
    session: Session, agency_id: UUID, *, currency: str, payment_order_ids: Collection[UUID]
) -> Sequence[Row[Any]]:
    """Orders of a treasury that wait for the bank (or those named, whatever their state), the first due first.

    A returned payment that was ordered anew stands for its order. Locked in id order, so that what was decided here
    still holds at the commit.
    """
    ids = list(payment_order_ids)
    session.execute(
        text(
            """
            select payment_order_id from payment_order
            where payment_order_id in (select payment_order_id from ({_waiting}) waiting)
            order by payment_order_id for update
            """.replace("{_waiting}", _NAMED if ids else _WAITING)
        ),
        {"agency_id": agency_id, "currency": currency, "ids": ids, "limit": CANDIDATES_MAX},
    )
    return session.execute(
        text(
            """
            select o.payment_order_id, o.agency_id as paying_agency_id, o.order_number, o.status,
                   coalesce(r.currency, o.foreign_currency, o.currency) as currency,
                   coalesce(r.amount_minor, o.foreign_minor, o.net_minor) as net_minor, o.issued_on,
                   r.payment_return_id, r.payee_account_id as return_payee_account_id, y.due_on, y.creditors, y.sources,
                   exists (select 1 from payment_instruction i
                           where i.payment_order_id = o.payment_order_id and i.live) as in_live_run
            from ({_waiting}) w join payment_order o using (payment_order_id)
            left join payment_return r on r.payment_order_id = o.payment_order_id and r.status = 'REISSUED'
            left join lateral (
                select min(p.due_on) as due_on, array_agg(distinct p.creditor order by p.creditor) as creditors,
                       array_agg(distinct p.source order by p.source) as sources
                from payment_order_item i join payable p using (payable_id)
                where i.payment_order_id = o.payment_order_id
            ) y on true
            order by o.payment_order_id
            """.replace("{_waiting}", _NAMED if ids else _WAITING)
        ),
        {"agency_id": agency_id, "currency": currency, "ids": ids, "limit": CANDIDATES_MAX},
    ).all()


_NAMED = """
    select payment_order_id from payment_order
    where treasury_agency_id = :agency_id and payment_order_id = any (cast(:ids as uuid[])) and :currency = :currency
    limit :limit
"""
_WAITING = """
    select o.payment_order_id from payment_order o
    left join payment_return r on r.payment_order_id = o.payment_order_id and r.status = 'REISSUED'
    where o.treasury_agency_id = :agency_id and coalesce(r.currency, o.foreign_currency, o.currency) = :currency
      and o.net_minor > 0
      and cardinality(cast(:ids as uuid[])) = 0
      and (o.status = 'ISSUED' or r.payment_return_id is not null)
      and not exists (select 1 from payment_instruction i where i.payment_order_id = o.payment_order_id and i.live)
    order by o.issued_on, o.payment_order_id limit :limit
"""


def instructions(session: Session, payment_run_ids: Collection[UUID]) -> dict[UUID, list[Row[Any]]]:
    """The payments of runs, in their order."""
    found: dict[UUID, list[Row[Any]]] = {}
    for row in session.execute(
        text(
            "select * from payment_instruction where payment_run_id = any (cast(:ids as uuid[]))"
            " order by payment_run_id, position"
        ),
        {"ids": list(payment_run_ids)},
    ):
        found.setdefault(row.payment_run_id, []).append(row)
    return found


def omissions(session: Session, payment_run_id: UUID) -> Sequence[Row[Any]]:
    """What stayed out of a run."""
    return session.execute(
        text("select * from payment_omission where payment_run_id = :id order by order_number, payment_order_id"),
        {"id": payment_run_id},
    ).all()


def move_instructions(session: Session, payment_run_id: UUID, status: str) -> None:
    """Write where the live payments of a run stand."""
    session.execute(
        text(
            "update payment_instruction set status = :status, live = :live, version = version + 1"
            " where payment_run_id = :id and live"
        ),
        {"id": payment_run_id, "status": status, "live": status in LIVE},
    )


LIVE = ("IN_RUN", "SENT", "ACCEPTED")


def not_payable(session: Session, payment_run_id: UUID) -> Sequence[Row[Any]]:
    """Payments of a run whose order does not wait for the bank any more; the orders are locked."""
    session.execute(
        text(
            "select 1 from payment_order where payment_order_id in"
            " (select payment_order_id from payment_instruction where payment_run_id = :id and live)"
            " order by payment_order_id for update"
        ),
        {"id": payment_run_id},
    )
    return session.execute(
        text(
            """
            select i.*, o.status as order_status
            from payment_instruction i left join payment_order o using (payment_order_id)
            left join payment_return r using (payment_return_id)
            where i.payment_run_id = :id and i.live
              and case when i.payment_return_id is null then o.status is distinct from 'ISSUED'
                       else r.status is distinct from 'REISSUED' end
            order by i.position
            """
        ),
        {"id": payment_run_id},
    ).all()


def live_instruction(session: Session, payment_order_id: UUID) -> Row[Any] | None:
    """The payment of an order that is in a live run, if any."""
    return session.execute(
        text("select * from payment_instruction where payment_order_id = :id and live"), {"id": payment_order_id}
    ).first()


def file_content(session: Session, payment_run_id: UUID) -> bytes | None:
    """The bytes that a run was exported as."""
    found = session.execute(
        text("select content from payment_run_file where payment_run_id = :id"), {"id": payment_run_id}
    ).scalar()
    return bytes(found) if found is not None else None
