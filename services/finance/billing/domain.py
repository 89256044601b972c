"""What a bill of a contract recovers, retains and claims. Pure; amounts are minor units of the contract's currency.

Domain rules §3 "Prepayment", N10, N11: recovery is the advance by the bill's share of the price, cumulative, so that
the last bill recovers the rest; retention is a share of the gross bill and stays owed until maintenance ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum
from fractions import Fraction
from uuid import UUID

from chassis.errors import FailedPrecondition, InvalidArgument
from chassis.money import Money, allocate, round_half_away


class ContractNotObligated(FailedPrecondition):
    """The contract holds no funds: it must be obligated first."""

    reason = "CONTRACT_NOT_OBLIGATED"


class PrepaymentExceeded(FailedPrecondition):
    """More is asked in advance than the law allows, or than the contract still obligates."""

    reason = "PREPAYMENT_EXCEEDED"


class GuaranteeInsufficient(FailedPrecondition):
    """The guarantee covers less than the advance, or ends too early."""

    reason = "GUARANTEE_INSUFFICIENT"


class BillExceedsContract(FailedPrecondition):
    """The bills of a line would pass its price."""

    reason = "BILL_EXCEEDS_CONTRACT"


class BillOutOfTurn(FailedPrecondition):
    """The bill is not in the state that the act needs."""

    reason = "BILL_OUT_OF_TURN"


class RetentionKind(Enum):
    """How defects are secured until maintenance ends."""

    WITHHELD = "WITHHELD"
    GUARANTEE = "GUARANTEE"


class BillStatus(Enum):
    """Where a bill stands."""

    REGISTERED = "REGISTERED"
    CERTIFIED = "CERTIFIED"
    REJECTED = "REJECTED"


@dataclass(frozen=True)
class TermsRule:
    """The law's limits for one class of creditors on a day (country pack)."""

    prepayment_share_max: Fraction
    retention_rate: Fraction

    def prepayment_limit(self, price: int) -> int:
        """The most that may be prepaid of a price: its share, rounded down, for a limit is never passed."""
        return int(price * self.prepayment_share_max)


@dataclass(frozen=True)
class ContractLine:
    """One line of a contract with its sums to date; `prepaid` is what the bank has debited."""

    document_line_id: UUID
    budget_line_id: UUID
    price: int
    prepaid: int = 0
    billed: int = 0
    recovered: int = 0
    retained: int = 0
    # What the advance that is not recovered stands at in the currency of the books.
    advance_worth: int = 0


@dataclass(frozen=True)
class BilledLine:
    """One line of a bill: gross = recovered + retained + claimed."""

    line: ContractLine
    gross: int
    recovered: int
    retained: int

    @property
    def claimed(self) -> int:
        """What the creditor may claim now."""
        return self.gross - self.recovered - self.retained


@dataclass(frozen=True)
class InBooks:
    """A line of a bill in the currency of the books: what it recovers, retains and leaves to claim.

    An advance is non-monetary: it keeps the rate of the day on which it was paid. What is owed is monetary, at the rate
    of the day of certification (IPSAS 4.27; for advances as IFRIC 22 has it, to verify). What was built is worth both.
    """

    recovered: int
    retained: int
    claimed: int

    @property
    def owed(self) -> int:
        """What is owed from now on: E."""
        return self.retained + self.claimed

    @property
    def gross(self) -> int:
        """What the work is worth."""
        return self.recovered + self.owed


@dataclass(frozen=True)
class Advanced:
    """What of an advance this budget year paid: in the contract's currency, and what that stands at (V)."""

    minor: int
    worth: int


def recovered_worth(one: BilledLine, this_year: Advanced, settled: int) -> int:
    """What the recovered advance stands at: `settled` of this year's V, then the share of what earlier years closed."""
    rest = one.recovered - min(one.recovered, this_year.minor)
    if not rest:
        return settled
    closed = one.line.prepaid - one.line.recovered - this_year.minor
    closed_worth = one.line.advance_worth - this_year.worth
    return settled + (closed_worth if rest == closed else round_half_away(Fraction(closed_worth * rest, closed)))


def billed(line: ContractLine, gross: int, *, retention_rate: Fraction, final: bool, currency: str) -> BilledLine:
    """One line of a bill of `gross`. BILL_EXCEEDS_CONTRACT beyond the price.

    Never more is recovered than the bill has left after retention: an advance that was debited late is caught up by the
    bills that follow.
    """
    cumulative = line.billed + gross
    if cumulative > line.price:
        raise BillExceedsContract(
            f"contract line {line.document_line_id}: {Money(gross, currency)} billed, "
            f"{Money(line.price - line.billed, currency)} of {Money(line.price, currency)} are left",
            metadata={
                "document_line_id": str(line.document_line_id),
                "price": str(Money(line.price, currency)),
                "billed": str(Money(line.billed, currency)),
            },
        )
    retained = round_half_away(gross * retention_rate)
    due = line.prepaid if final else round_half_away(Fraction(line.prepaid) * cumulative / line.price)
    return BilledLine(line, gross, min(max(due - line.recovered, 0), gross - retained), retained)


def prepayment_by_line(lines: Sequence[ContractLine], amount: int) -> dict[UUID, int]:
    """An advance shared over a contract's lines by their prices (largest remainder, domain rules §8)."""
    shares = allocate(amount, [line.price for line in lines])
    return {line.document_line_id: share for line, share in zip(lines, shares, strict=True) if share}


@dataclass(frozen=True)
class Guarantee:
    """What stands for an advance."""

    number: str
    amount: int
    valid_until: date


def check_prepayment(
    amount: int, earlier: int, *, limit: int, guarantee: Guarantee, claimed_on: date, currency: str
) -> None:
    """Refuse an advance beyond the law's share, all advances of the contract together, or without enough guarantee."""
    if amount <= 0:
        raise InvalidArgument.field("prepayment.amount", "must be above zero")
    if earlier + amount > limit:
        raise PrepaymentExceeded(
            f"{Money(amount, currency)} asked in advance, {Money(limit - earlier, currency)} of the legal "
            f"{Money(limit, currency)} are left",
            metadata={"limit": str(Money(limit, currency)), "prepaid": str(Money(earlier, currency))},
        )
    if guarantee.amount < amount or guarantee.valid_until <= claimed_on:
        raise GuaranteeInsufficient(
            f"guarantee {guarantee.number} covers {Money(guarantee.amount, currency)} until {guarantee.valid_until}; "
            f"an advance of {Money(amount, currency)} on {claimed_on} needs as much, beyond that day",
            metadata={"guarantee_number": guarantee.number},
        )


def tax_part(gross: int, tax_rate: Fraction) -> int:
    """The tax in a gross amount, gross - round(gross / (1 + rate)): what remains is the price without tax."""
    return gross - round_half_away(Fraction(gross) / (1 + tax_rate))


def same_lines(known: Mapping[UUID, ContractLine], named: Iterable[UUID]) -> None:
    """Refuse a bill that names a line twice or one that the contract does not have."""
    seen: set[UUID] = set()
    for nth, one in enumerate(named):
        if one in seen:
            raise InvalidArgument.field(f"bill.lines[{nth}].document_line_id", "named twice; add the amounts up")
        if one not in known:
            raise InvalidArgument.field(f"bill.lines[{nth}].document_line_id", "no line of this contract")
        seen.add(one)
