"""SQL of penalties for late delivery."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlmodel import Session

from chassis.errors import NotFound

if TYPE_CHECKING:
    from services.finance.payables.penalties.keeping import Worth

_LIVE = "status in ('PROPOSED', 'APPROVED', 'WAIVED')"
_READ = "select * from late_delivery_penalty where late_delivery_penalty_id = :id"


def lock_agreement(session: Session, agreement_id: UUID) -> None:
    """One assessment at a time on the payables of a purchase order or contract. Taken before any payable's lock."""
    session.execute(
        text("select pg_advisory_xact_lock(hashtextextended('penalties of:' || cast(:id as text), 0))"),
        {"id": str(agreement_id)},
    )


def insert(session: Session, values: Mapping[str, Any]) -> None:
    """Insert a penalty (`values` by column). The caller has locked the agreement and the payable."""
    session.execute(
        text(
            f"insert into late_delivery_penalty ({', '.join(values)})"  # noqa: S608
            f" values ({', '.join(f':{name}' for name in values)})"
        ),
        dict(values),
    )


def update(session: Session, late_delivery_penalty_id: UUID, **changes: Any) -> None:
    """Change columns of a penalty; its version goes up."""
    sets = ", ".join(f"{name} = :{name}" for name in changes)
    session.execute(
        text(
            f"update late_delivery_penalty set {sets}, version = version + 1"  # noqa: S608
            " where late_delivery_penalty_id = :id"
        ),
        {**changes, "id": late_delivery_penalty_id},
    )


def get(session: Session, late_delivery_penalty_id: UUID, *, lock: bool = False) -> Row[Any]:
    """One penalty; NOT_FOUND when the caller does not see it."""
    row = session.execute(text(f"{_READ} for update" if lock else _READ), {"id": late_delivery_penalty_id}).first()
    if row is None:
        raise NotFound.resource("late delivery penalty", late_delivery_penalty_id)
    return row


def live(session: Session, payable_ids: Collection[UUID]) -> Sequence[Row[Any]]:
    """The penalties of payables that are not rejected or recalled, in id order. The caller has locked the payables."""
    return session.execute(
        text(
            f"select * from late_delivery_penalty where payable_id = any (cast(:ids as uuid[])) and {_LIVE}"  # noqa: S608
            " order by late_delivery_penalty_id"
        ),
        {"ids": list(payable_ids)},
    ).all()


def elsewhere(session: Session, agreement_id: UUID, due_on: date, payable_id: UUID) -> Sequence[Row[Any]]:
    """The live penalties for what an agreement had due on a day, on other payables than this one."""
    return session.execute(
        text(
            "select source_document_number, base from late_delivery_penalty"  # noqa: S608
            f" where agreement_id = :agreement_id and due_on = :due_on and payable_id <> :payable_id and {_LIVE}"
            " order by late_delivery_penalty_id"
        ),
        {"agreement_id": agreement_id, "due_on": due_on, "payable_id": payable_id},
    ).all()


def page(
    session: Session,
    *,
    agency_id: UUID | None,
    payable_id: UUID | None,
    status: str,
    after: tuple[Any, ...] | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """Penalties, the newest id first."""
    return session.execute(
        text(
            """
            select * from late_delivery_penalty
            where (cast(:agency_id as uuid) is null or agency_id = :agency_id)
              and (cast(:payable_id as uuid) is null or payable_id = :payable_id)
              and (:status = '' or status = :status)
              and (cast(:after as uuid) is null or late_delivery_penalty_id < :after)
            order by late_delivery_penalty_id desc limit :limit
            """
        ),
        {
            "agency_id": agency_id,
            "payable_id": payable_id,
            "status": status,
            "after": after[0] if after else None,
            "limit": limit,
        },
    ).all()


def invoiced_price(session: Session, invoice_id: UUID) -> int:
    """The price without VAT of an invoice that is not paid, in its own currency, less what credit notes took of it."""
    found: int = session.execute(
        text(
            """
            select ((select coalesce(sum(net_minor), 0) from invoice_line where invoice_id = :id)
                    - (select coalesce(sum(l.amount_minor - l.tax_minor - l.rounding_minor), 0)
                       from credit_note c join credit_note_line l using (credit_note_id)
                       where c.invoice_id = :id and c.status = 'APPROVED'))::bigint
            """
        ),
        {"id": invoice_id},
    ).scalar_one()
    return found


def order_price(session: Session, purchase_order_id: UUID) -> int:
    """The price without VAT of a purchase order, in its own currency: each line's amount without its own rate."""
    found: int = session.execute(
        text(
            "select coalesce(sum(round(amount_minor / (1 + tax_rate))), 0)::bigint from purchase_order_line"
            " where purchase_order_id = :id"
        ),
        {"id": purchase_order_id},
    ).scalar_one()
    return found


def contract_price(session: Session, contract_id: UUID) -> int:
    """The price without VAT of a contract, in minor units of its own currency."""
    found: int = session.execute(
        text("select round(price_minor / (1 + tax_rate))::bigint from contract_terms where contract_id = :id"),
        {"id": contract_id},
    ).scalar_one()
    return found


def requested_for(session: Session, late_delivery_penalty_id: UUID) -> UUID | None:
    """The payment request that holds the penalty's payable, or has paid it; None while none asked."""
    found: UUID | None = session.execute(
        text(
            "select p.payment_request_id from late_delivery_penalty n join payable p using (payable_id)"
            " where n.late_delivery_penalty_id = :id"
        ),
        {"id": late_delivery_penalty_id},
    ).scalar()
    return found


def keep(session: Session, payment_order_id: UUID, agency_id: UUID, kept: Mapping[UUID, Worth]) -> None:
    """Write down what an order keeps, by penalty."""
    for penalty_id, worth in kept.items():
        session.execute(
            text(
                "insert into payment_order_penalty (payment_order_id, late_delivery_penalty_id, agency_id,"
                " amount_minor, foreign_currency, foreign_minor, exchange_rate)"
                " values (:order_id, :penalty_id, :agency_id, :amount, :currency, :foreign, :rate)"
            ),
            {
                "order_id": payment_order_id,
                "penalty_id": penalty_id,
                "agency_id": agency_id,
                "amount": worth.amount,
                "currency": None if worth.foreign is None else worth.foreign.currency,
                "foreign": None if worth.foreign is None else worth.foreign.minor,
                "rate": worth.rate,
            },
        )


def keeps(session: Session, payment_order_id: UUID) -> bool:
    """Whether an order keeps a penalty."""
    found: bool = session.execute(
        text("select exists (select from payment_order_penalty where payment_order_id = :id)"), {"id": payment_order_id}
    ).scalar_one()
    return found
