"""Penalties on the way of a payment: decided before it is requested, kept when it is ordered, realised at the debit.

Expenditure and funds stay gross; what is kept is revenue of the treasury on both bases (domain rules §2).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlmodel import Session

from chassis.money import allocate, total
from services.finance.classification import mapping
from services.finance.ledger.domain import Basis, Line
from services.finance.payables import journals
from services.finance.payables.payment_store import PayablePart
from services.finance.payables.penalties import domain, store


@dataclass(frozen=True)
class Kept:
    """What an order keeps as penalties, in minor units: by penalty, and by fund."""

    by_penalty: Mapping[UUID, int]
    by_fund: Mapping[str, int]

    @property
    def amount(self) -> int:
        """All of it."""
        return total(self.by_penalty.values())


def refuse_undecided(session: Session, payable_ids: Collection[UUID]) -> None:
    """No payment is requested while a penalty on it waits for its decision. The caller has locked the payables."""
    for row in store.live(session, payable_ids):
        if row.status == "PROPOSED":
            raise domain.PenaltyUndecided(
                f"a penalty on {row.source_document_number} for the delivery due on {row.due_on} is proposed; have it "
                "approved, rejected or recalled before its payment is requested",
                metadata={"late_delivery_penalty_id": str(row.late_delivery_penalty_id)},
            )


def amount(session: Session, payable_id: UUID) -> int:
    """What of a payable is, or may be, kept as penalties. The caller has locked it."""
    return total(row.amount_minor for row in store.live(session, [payable_id]))


def of_order(
    session: Session, payable_ids: Sequence[UUID], parts: Sequence[PayablePart], withheld: Mapping[str, int]
) -> Kept:
    """What an order of these payables keeps: each penalty shared over the funds of its own payable, by gross amounts.

    PENALTY_ABOVE_PAYABLE when nothing would be left to pay.
    """
    rows = [row for row in store.live(session, payable_ids) if row.status == "APPROVED"]
    by_fund: dict[str, int] = {}
    for row in rows:
        gross: dict[str, int] = {}
        for part in parts:
            if part.payable_id == row.payable_id:
                gross[part.fund_code] = gross.get(part.fund_code, 0) + part.amount_minor
        funds = sorted(gross)
        for fund, share in zip(funds, allocate(row.amount_minor, [gross[one] for one in funds]), strict=True):
            by_fund[fund] = by_fund.get(fund, 0) + share
    kept = Kept({row.late_delivery_penalty_id: row.amount_minor for row in rows}, by_fund)
    if rows:
        domain.check_room(
            kept.amount,
            owed=total(part.amount_minor for part in parts),
            withheld=total(withheld.values()),
            currency=rows[0].currency,
            number=", ".join(sorted({row.source_document_number for row in rows})),
        )
    return kept


def realise(session: Session, order: Row[Any], *, value_date: date, person_id: UUID) -> None:
    """BUDGET T Dr SAL / Cr penalty revenue by what the order's own entry kept: money never left, yet it came in."""
    if not store.keeps(session, order.payment_order_id):
        return
    account = mapping.account_for(session, journals.PENALTY_LO, on=order.issued_on)
    by_fund = journals.net_by_fund(session, order.treasury_entry_id, account)
    found = mapping.accounts_for(session, [(journals.PENALTY_LRA, ""), ("SAL", "")], on=value_date)
    lines = []
    for fund, kept in by_fund.items():
        lines += [
            Line(Basis.BUDGET, fund, found["SAL", ""], kept, 0, order.currency),
            Line(Basis.BUDGET, fund, found[journals.PENALTY_LRA, ""], 0, kept, order.currency),
        ]
    journals.post_one(
        session,
        journals.entry(
            order.treasury_agency_id,
            value_date,
            f"Payment order {order.order_number} debited: penalties kept",
            "PAYMENT_ORDER",
            order.payment_order_id,
            lines,
            person_id=person_id,
        ),
    )
