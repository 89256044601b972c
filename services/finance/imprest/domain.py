"""Rules of imprests (domain rules §4: UP, GU, TU). Pure; amounts are minor units of the imprest's currency.

Cash in hand = ceiling - vouchers that are not validated; a purchase is expenditure of the budget only when validated
(PSAP 02 §31-32), so its budget is reserved when it is approved and cannot be overspent by cash.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import Enum

from chassis.errors import AlreadyExists, FailedPrecondition
from chassis.money import Money


class ImprestKind(Enum):
    """What an imprest is for."""

    STANDING = "STANDING"
    ADDITIONAL = "ADDITIONAL"


class VoucherStatus(Enum):
    """Where a voucher stands."""

    APPROVED = "APPROVED"
    PAID = "PAID"
    CLAIMED = "CLAIMED"
    VALIDATED = "VALIDATED"
    CANCELLED = "CANCELLED"


class ImprestKnown(AlreadyExists):
    """The unit has its standing imprest of the year."""

    reason = "IMPREST_KNOWN"


class ImprestOpen(FailedPrecondition):
    """An older additional imprest is not settled."""

    reason = "IMPREST_OPEN"


class ImprestExhausted(FailedPrecondition):
    """The cash in hand, or the imprest's line, does not cover the purchase."""

    reason = "IMPREST_EXHAUSTED"


class ImprestNotReady(FailedPrecondition):
    """Something of the imprest is under way that the act must wait for."""

    reason = "IMPREST_NOT_READY"


class VoucherOutOfTurn(FailedPrecondition):
    """The voucher is not in the state that the act needs."""

    reason = "IMPREST_VOUCHER_OUT_OF_TURN"


class NotTheHolder(FailedPrecondition):
    """Only who holds the cash pays from it."""

    reason = "NOT_THE_IMPREST_HOLDER"


@dataclass(frozen=True)
class Figures:
    """The sums of an imprest: what the bank brought, was approved and not paid, paid, of it not validated, returned."""

    brought: int = 0
    approved: int = 0
    paid: int = 0
    not_validated: int = 0
    returned: int = 0

    @property
    def cash_in_hand(self) -> int:
        """What the holder has in cash."""
        return self.brought - self.paid - self.returned

    @property
    def free(self) -> int:
        """What of the cash no approved purchase waits for."""
        return self.cash_in_hand - self.approved


def check_purchase(amount: int, free: int, what: str, currency: str) -> None:
    """IMPREST_EXHAUSTED when `what` (the cash in hand, the imprest's line) has less free than is asked."""
    if amount > free:
        raise ImprestExhausted(
            f"{Money(amount, currency)} asked, {what} has {Money(free, currency)} free: replenish the imprest, "
            "or pay the supplier directly",
            metadata={"asked": str(Money(amount, currency)), "free": str(Money(free, currency))},
        )


def due_on(claimed_on: date, usable_months: int | None) -> date | None:
    """By when an imprest must be settled: the same day `usable_months` later, or that month's last day."""
    if usable_months is None:
        return None
    months = claimed_on.year * 12 + claimed_on.month - 1 + usable_months
    year, month = months // 12, months % 12 + 1
    following = date(year + month // 12, month % 12 + 1, 1)
    last_day = (following - date(year, month, 1)).days
    return date(year, month, min(claimed_on.day, last_day))
