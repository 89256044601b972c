"""What of withheld amounts is remitted, by when, and in which order. Pure.

Domain rules §2: T Dr WHT / Cr TRANSIT, then CASH; transitory, so none on funds. Amounts are minor units.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from chassis.errors import AlreadyExists, FailedPrecondition, InvalidArgument
from chassis.money import allocate

# Amounts of one remittance: the oldest; what lies beyond has the next one.
ITEMS_MAX = 2_000


class NothingToRemit(FailedPrecondition):
    """Everything that was withheld up to the day is remitted, or on its way."""

    reason = "NOTHING_TO_REMIT"


class ReceiptRecorded(FailedPrecondition):
    """The remittance has the number of another receipt."""

    reason = "REMITTANCE_RECEIPT_RECORDED"


class ReceiptKnown(AlreadyExists):
    """The receipt is another remittance's."""

    reason = "REMITTANCE_RECEIPT_KNOWN"


@dataclass(frozen=True)
class Remitter:
    """Where what is withheld as a code goes: to whom, and on which day of the next month (dated data)."""

    creditor: str
    due_day: int


@dataclass(frozen=True)
class Withheld:
    """What one debited payment order withheld of one kind, and its gross amount by fund."""

    payment_order_id: UUID
    order_number: str
    withheld_on: date
    amount: int
    gross_by_fund: Mapping[str, int]


@dataclass(frozen=True)
class Item:
    """What one payment order withheld of one kind in one fund."""

    payment_order_id: UUID
    order_number: str
    withheld_on: date
    fund_code: str
    amount: int


def shares(withheld: Withheld) -> list[Item]:
    """A payment's withheld amount by fund, as its order posted it: shared by the funds' gross amounts (§8)."""
    funds = dict(sorted(withheld.gross_by_fund.items()))
    return [
        Item(withheld.payment_order_id, withheld.order_number, withheld.withheld_on, fund, share)
        for fund, share in zip(funds, allocate(withheld.amount, list(funds.values())), strict=True)
        if share
    ]


def outstanding(found: Sequence[Withheld], remitted: Collection[tuple[UUID, str]]) -> list[Item]:
    """What is in no live remittance yet, the oldest first; `remitted` are (payment order, fund)."""
    items = [item for one in found for item in shares(one) if (item.payment_order_id, item.fund_code) not in remitted]
    return sorted(items, key=lambda item: (item.withheld_on, item.order_number, item.fund_code))


def due_on(withheld_to: date, due_day: int) -> date:
    """The day of the month after `withheld_to`'s; `due_day` is 1 to 28, so that every month has it."""
    year, month = divmod(withheld_to.year * 12 + withheld_to.month, 12)
    return date(year, month + 1, due_day)


def check_receipt(
    number: str, recorded: str | None, other: UUID | None, *, received_on: date, remitted_on: date
) -> None:
    """One receipt for one remittance, once: in `id` the NTPN that the state treasury gives for what it received
    (PMK 225/PMK.05/2020, to verify). `other` is the remittance that has the number already."""
    if recorded is not None:
        raise ReceiptRecorded(
            f"the remittance has receipt {recorded}; a receipt is recorded once",
            metadata={"receipt_number": recorded},
        )
    if other is not None:
        raise ReceiptKnown(
            f"receipt {number} is of remittance {other}; read the number again",
            metadata={"withholding_remittance_id": str(other)},
        )
    if received_on < remitted_on:
        raise InvalidArgument.field("received_on", f"before the bank's debit of {remitted_on}")
