"""Penalties on the way of a payment: decided before it is requested, kept when it is ordered, realised at the debit.

Expenditure and funds stay gross; what is kept is revenue of the treasury on both bases (domain rules §2). A penalty is
in the currency of its payable; in the books it is worth what the rate of the order's day says.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlmodel import Session

from chassis.money import Money, round_half_away, total
from services.finance.classification import mapping
from services.finance.ledger.domain import Basis, Line
from services.finance.ledger.rates import usecases as rates
from services.finance.ledger.rates.domain import functional_amount
from services.finance.payables import journals
from services.finance.payables.payment_store import PayablePart
from services.finance.payables.penalties import domain, store


@dataclass(frozen=True)
class Worth:
    """A penalty in the currency of the books, minor units; of one in another currency that amount, and the rate."""

    amount: int
    foreign: Money | None = None
    rate: Decimal | None = None


@dataclass(frozen=True)
class Kept:
    """What an order keeps as penalties: by penalty, and by fund in minor units of the currency of the books."""

    by_penalty: Mapping[UUID, Worth]
    by_fund: Mapping[str, int]

    @property
    def amount(self) -> int:
        """All of it, in the currency of the books."""
        return total(one.amount for one in self.by_penalty.values())

    @property
    def foreign_minor(self) -> int:
        """All of it in the creditor's currency; nil when that is the currency of the books."""
        return total(one.foreign.minor for one in self.by_penalty.values() if one.foreign is not None)


def refuse_undecided(session: Session, payable_ids: Collection[UUID]) -> None:
    """No payment is requested while a penalty on it waits for its decision. The caller has locked the payables."""
    for row in store.live(session, payable_ids):
        if row.status == "PROPOSED":
            raise domain.PenaltyUndecided(
                f"a penalty on {row.source_document_number} for the delivery due on {row.due_on} is proposed; have it "
                "approved, rejected or recalled before its payment is requested",
                metadata={"late_delivery_penalty_id": str(row.late_delivery_penalty_id)},
            )


def amount(session: Session, payable_id: UUID, *, currency: str, on: date) -> int:
    """What of a payable is, or may be, kept as penalties: in the `currency` of the books, at the rate of a day.

    The caller has locked it.
    """
    return total(_worth(session, row, currency, on).amount for row in store.live(session, [payable_id]))


def of_order(
    session: Session,
    payable_ids: Sequence[UUID],
    parts: Sequence[PayablePart],
    withheld: Mapping[str, int],
    *,
    on: date,
) -> Kept:
    """What an order of these payables keeps: each penalty from the funds of its own payable, by what they have left.

    A penalty in another currency is revenue at the rate of the order's day, although the order itself is at what the
    debt stands at: the debit shows the difference (domain rules §2). PENALTY_ABOVE_PAYABLE when nothing would be left
    to pay, PENALTY_ABOVE_FUND when it would be less than nil in a fund.
    """
    rows = [row for row in store.live(session, payable_ids) if row.status == "APPROVED"]
    if not rows:
        return Kept({}, {})
    currency = parts[0].currency
    kept = {row.late_delivery_penalty_id: _worth(session, row, currency, on) for row in rows}
    _check_room(rows, kept, parts, total(withheld.values()))
    left: dict[str, int] = {}
    for part in parts:
        left[part.fund_code] = left.get(part.fund_code, 0) + part.amount_minor
    for shared in journals.withheld_by_fund(left, withheld).values():
        left = {fund: amount - shared[fund] for fund, amount in left.items()}
    by_fund: dict[str, int] = {}
    funds = {row.payable_id: {part.fund_code for part in parts if part.payable_id == row.payable_id} for row in rows}
    # A payable of few funds chooses first, for it has fewer to choose from.
    for row in sorted(rows, key=lambda one: (len(funds[one.payable_id]), one.late_delivery_penalty_id)):
        shares = domain.shares(
            kept[row.late_delivery_penalty_id].amount,
            {fund: left[fund] for fund in funds[row.payable_id]},
            currency=currency,
            number=row.source_document_number,
        )
        for fund, share in shares.items():
            by_fund[fund], left[fund] = by_fund.get(fund, 0) + share, left[fund] - share
    return Kept(kept, by_fund)


def net_abroad(parts: Sequence[PayablePart], withheld: int) -> Money | None:
    """What is left of payables in the creditor's currency when `withheld` is kept back at their own rate.

    None when they are in the currency of the books.
    """
    amounts = [part.foreign for part in parts if part.foreign is not None]
    if not amounts:
        return None
    gross = total(part.amount_minor for part in parts)
    minor = total(amount.minor for amount in amounts)
    return Money(round_half_away(Fraction(minor * (gross - withheld), gross)), amounts[0].currency)


def _worth(session: Session, row: Row[Any], currency: str, on: date) -> Worth:
    if row.currency == currency:
        return Worth(row.amount_minor)
    foreign = Money(row.amount_minor, row.currency)
    rate, _ = rates.rate_on(session, currency=row.currency, functional_currency=currency, on=on)
    return Worth(functional_amount(foreign, rate.rate, currency).minor, foreign, rate.rate)


def _check_room(
    rows: Sequence[Row[Any]], kept: Mapping[UUID, Worth], parts: Sequence[PayablePart], withheld: int
) -> None:
    """Something is left to pay, in the creditor's currency and in the one of the books."""
    number = ", ".join(sorted({row.source_document_number for row in rows}))
    abroad = net_abroad(parts, withheld)
    if abroad is not None:
        owed = total(part.foreign_minor or 0 for part in parts)
        domain.check_room(
            total(row.amount_minor for row in rows),
            owed=owed,
            withheld=owed - abroad.minor,
            currency=abroad.currency,
            number=number,
        )
    domain.check_room(
        total(one.amount for one in kept.values()),
        owed=total(part.amount_minor for part in parts),
        withheld=withheld,
        currency=parts[0].currency,
        number=number,
    )


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
