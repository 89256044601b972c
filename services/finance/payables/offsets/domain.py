"""When a creditor's debt may be set off against what he is owed, and what is left to pay. Pure.

Domain rules §3: offsetting nets cash only; each line keeps its own gross movements; same payee, fund and year.
Both papers are in one currency. When that is not the books', both count as if they were paid at the rate of the day
(domain rules §2: each movement at the rate of its date); the payable and the receivable leave the books at what they
stand at, and what differs is realised (IPSAS 4.32, to verify).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from chassis.errors import FailedPrecondition
from chassis.money import Money, allocate
from services.finance.payables.credit_notes.exchange.domain import share


class OffsetNotAllowed(FailedPrecondition):
    """The two are not of one creditor, agency, currency, fund and year, or not in the state that it takes."""

    reason = "OFFSET_NOT_ALLOWED"


class OffsetExceedsPayable(FailedPrecondition):
    """What is left to pay would not bear what is withheld from the whole, or nothing would be left."""

    reason = "OFFSET_EXCEEDS_PAYABLE"


@dataclass(frozen=True)
class Claim:
    """What the creditor owes back: an approved credit note on a paid invoice."""

    number: str
    status: str
    agency_id: UUID
    creditor: str
    amount: int
    currency: str


@dataclass(frozen=True)
class Debt:
    """What the creditor is owed: an open payable, `amount` of it still to be paid in his currency.

    `worth` is what that stands at in `books_currency`; both are the same when the creditor's is that one.
    """

    number: str
    source: str
    status: str
    agency_id: UUID
    creditor: str
    amount: int
    currency: str
    worth: int
    books_currency: str


def check(claim: Claim, debt: Debt) -> None:
    """Refuse what cannot be set off, with the fact that stands in the way."""
    if claim.status != "RECEIVABLE":
        raise _not_allowed(claim, debt, f"credit note {claim.number} is {claim.status}; only a RECEIVABLE one is owed")
    if debt.source != "INVOICE" or debt.status != "OPEN":
        raise _not_allowed(
            claim,
            debt,
            f"payable {debt.number} is {debt.status} of {debt.source}; only an OPEN one of an invoice is set off",
        )
    if (claim.agency_id, claim.creditor) != (debt.agency_id, debt.creditor):
        raise _not_allowed(claim, debt, "they are of two agencies or two creditors")
    if claim.currency != debt.currency:
        raise _not_allowed(claim, debt, f"the credit note is in {claim.currency}, the payable in {debt.currency}")


def check_same_fund(claim: Claim, debt: Debt, funds: Collection[str]) -> None:
    """Both stand on one fund: between funds nothing is set off."""
    if len(set(funds)) > 1:
        raise _not_allowed(claim, debt, f"they stand on the funds {', '.join(sorted(set(funds)))}")


def check_same_year(claim: Claim, debt: Debt, *, earlier_year: bool) -> None:
    """A refund of an earlier year's expenditure is revenue, so it comes as money (PSAP 10 §14)."""
    if earlier_year:
        raise _not_allowed(
            claim, debt, f"the expenditure of credit note {claim.number} is an earlier year's: have it refunded"
        )


def taken(claim: Claim, debt: Debt, withheld: int) -> int:
    """What the payable falls by, in the currency of the books; the rest bears what is withheld from the whole of it."""
    gone = share(debt.worth, claim.amount, debt.amount)
    left = debt.worth - gone
    if left <= withheld:
        raise OffsetExceedsPayable(
            f"{Money(claim.amount, claim.currency)} of credit note {claim.number} against "
            f"{Money(debt.amount, debt.currency)} of {debt.number}, of which {Money(withheld, debt.books_currency)} "
            "are withheld for others or kept as penalties: something has to be left; set it off against a larger "
            "payable, or have it refunded",
            metadata={"left_minor": str(left), "withheld_minor": str(withheld)},
        )
    return gone


@dataclass(frozen=True)
class Owed:
    """One part of the payable: its amount in the creditor's currency, and what it stands at in the books."""

    amount: int
    worth: int


@dataclass(frozen=True)
class SetOff:
    """What is set off of one part: in the creditor's currency, at what it stood at, and at the rate of the day."""

    amount: int
    carried: int
    paid: int


def shares(amount: int, parts: Sequence[Owed], paid: int) -> list[SetOff]:
    """How much of each part of the payable is set off: by the parts' amounts, largest remainders (§8).

    `paid` is what `amount` is worth at the rate of the day.
    """
    own = allocate(amount, [part.amount for part in parts])
    today = allocate(paid, own)
    return [
        SetOff(minor, share(part.worth, minor, part.amount), worth)
        for part, minor, worth in zip(parts, own, today, strict=True)
    ]


def _not_allowed(claim: Claim, debt: Debt, why: str) -> OffsetNotAllowed:
    return OffsetNotAllowed(
        f"credit note {claim.number} is not set off against {debt.number}: {why}",
        metadata={"credit_note_status": claim.status, "payable_status": debt.status},
    )
