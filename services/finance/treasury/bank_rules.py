"""What the bank's answers mean, what a statement must agree with, which orders an entry may belong to. Pure.

Domain rules §2 (rejected, returned, re-issued) and §4: the bank's answer is a fact, and the same fact twice has one
effect; "accepted" then "rejected" is a rejection, "debited" then "rejected" a return. Amounts are minor units.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from fractions import Fraction
from uuid import UUID

from chassis.errors import FailedPrecondition, InvalidArgument
from chassis.money import Money, total

SUGGESTIONS_MAX = 5


class StatementUnbalanced(InvalidArgument):
    """Opening balance and entries do not come to the closing balance."""

    reason = "STATEMENT_UNBALANCED"


class StatementGap(FailedPrecondition):
    """The statement does not follow the account's last one."""

    reason = "STATEMENT_GAP"


class StatementContradiction(FailedPrecondition):
    """The bank sent another statement under a name that it has used."""

    reason = "STATEMENT_CONTRADICTION"


class EntryNotMatchable(FailedPrecondition):
    """The entry is explained already, or the order does not explain it."""

    reason = "ENTRY_NOT_MATCHABLE"


class PaymentState(Enum):
    """Where one attempt at a payment stands, from the books' side."""

    NOT_SENT = "NOT_SENT"
    OPEN = "OPEN"
    DEBITED = "DEBITED"
    REJECTED = "REJECTED"
    RETURNED = "RETURNED"


class Outcome(Enum):
    """What a status or an entry of the bank comes to."""

    NOTED = "NOTED"
    ACCEPTED = "ACCEPTED"
    DEBITED = "DEBITED"
    REJECTED = "REJECTED"
    RETURNED = "RETURNED"
    CONFIRMED = "CONFIRMED"
    REPEATED = "REPEATED"
    # Two persons said that it is a fee or interest of the bank.
    BOOKED = "BOOKED"
    CONTRADICTED = "CONTRADICTED"
    UNMATCHED = "UNMATCHED"


# ISO 20022 external code set ExternalPaymentTransactionStatus1Code, by what they mean for an order. ACSC says that
# the bank has settled; that the treasury's account was debited is told by its statement alone.
ACCEPTING = frozenset({"ACCP", "ACSP", "ACWC", "ACWP", "ACSC", "ACCC", "ACFC"})
PENDING = frozenset({"RCVD", "PDNG", "ACTC", "PATC", "PART"})
REJECTING = frozenset({"RJCT", "CANC"})


@dataclass(frozen=True)
class Decision:
    """What follows from an answer, and why, in words for people."""

    outcome: Outcome
    explanation: str


def decide_status(code: str, state: PaymentState) -> Decision:
    """What a payment status means for a payment in `state`."""
    if code in PENDING:
        return Decision(Outcome.NOTED, f"the bank is still working on it ({code})")
    if code in ACCEPTING:
        return _decide_acceptance(code, state)
    if code not in REJECTING:
        return Decision(Outcome.NOTED, f"status code {code} has no effect")
    if state is PaymentState.OPEN:
        return Decision(Outcome.REJECTED, "rejected before the debit")
    if state is PaymentState.DEBITED:
        return Decision(Outcome.RETURNED, "rejected after the debit: the money comes back")
    if state is PaymentState.NOT_SENT:
        return Decision(Outcome.CONTRADICTED, "the bank speaks of a payment that was never sent")
    return Decision(Outcome.REPEATED, "the books have it already")


def _decide_acceptance(code: str, state: PaymentState) -> Decision:
    if state is PaymentState.OPEN:
        return Decision(Outcome.ACCEPTED, f"accepted ({code}); the debit has yet to come")
    if state is PaymentState.DEBITED:
        return Decision(Outcome.NOTED, "accepted, and debited before")
    if state is PaymentState.RETURNED:
        return Decision(Outcome.NOTED, "an acceptance that came after the return")
    if state is PaymentState.REJECTED:
        return Decision(
            Outcome.CONTRADICTED, "the bank accepts a payment that was rejected or stopped: clear it up with the bank"
        )
    return Decision(Outcome.CONTRADICTED, "the bank speaks of a payment that was never sent")


def decide_entry(*, debit: bool, state: PaymentState, debit_seen: bool, return_seen: bool) -> Decision:
    """What a booked entry means for the payment in `state` that it names with the right amount.

    `debit_seen`, `return_seen`: another entry of the bank stands for the debit, or for the return, already.
    """
    if debit:
        if state in (PaymentState.OPEN, PaymentState.NOT_SENT):
            return Decision(Outcome.DEBITED, "debited by the bank")
        if state is PaymentState.REJECTED:
            return Decision(
                Outcome.CONTRADICTED, "the bank debited a payment that was rejected or stopped: it has to pay it back"
            )
        if debit_seen:
            return Decision(Outcome.CONTRADICTED, "debited a second time: the bank has to pay one back")
        return Decision(Outcome.CONFIRMED, "confirms the debit that the books have")
    if state is PaymentState.DEBITED:
        return Decision(Outcome.RETURNED, "the payment came back")
    if state is PaymentState.RETURNED and not return_seen:
        return Decision(Outcome.CONFIRMED, "confirms the return that the books have")
    if state is PaymentState.RETURNED:
        return Decision(Outcome.CONTRADICTED, "came back a second time: find out whose money it is")
    return Decision(Outcome.CONTRADICTED, "money came back for a payment that was not debited")


# --- statements ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Booked:
    """One booked entry of a bank file. `amount` is above zero; `key` names the entry within its account.

    `transaction_code` is what the bank calls the entry: ISO 20022's domain/family/sub-family, else its own code.
    """

    key: str
    debit: bool
    amount: int
    currency: str
    booked_on: date
    value_on: date
    bank_reference: str
    end_to_end_id: str
    instruction_reference: str
    remittance: str
    reason: str
    transaction_code: str = ""

    @property
    def signed(self) -> int:
        """Below zero: out of the account."""
        return -self.amount if self.debit else self.amount


@dataclass(frozen=True)
class Statement:
    """One statement of a bank file."""

    statement_reference: str
    sequence_number: str | None
    currency: str
    opened_on: date
    closed_on: date
    opening: int
    closing: int
    entries: tuple[Booked, ...] = field(default=())


@dataclass(frozen=True)
class LastStatement:
    """The newest statement that the account has."""

    statement_reference: str
    sequence_number: str | None
    position: int
    closed_on: date
    closing: int


def check_balances(statement: Statement) -> None:
    """opening + Σ entries = closing, exactly (STATEMENT_UNBALANCED)."""
    found = total([statement.opening, *(entry.signed for entry in statement.entries)])
    if found != statement.closing:
        currency = statement.currency
        raise StatementUnbalanced(
            f"statement {statement.statement_reference}: {Money(statement.opening, currency)} and "
            f"{len(statement.entries)} booked entries come to {Money(found, currency)}, it closes at "
            f"{Money(statement.closing, currency)}; ask the bank for a whole statement",
            metadata={"computed": str(Money(found, currency)), "closing": str(Money(statement.closing, currency))},
        )


def check_continuity(statement: Statement, last: LastStatement | None) -> None:
    """A statement opens where the one before it closed, and numbers have no hole (STATEMENT_GAP).

    The bank's numbers are compared when both are whole numbers; they may start again at 1 with a year.
    """
    if last is None:
        return
    currency = statement.currency
    if statement.opening != last.closing:
        raise StatementGap(
            f"statement {statement.statement_reference} opens at {Money(statement.opening, currency)}, the last one, "
            f"{last.statement_reference} of {last.closed_on}, closed at {Money(last.closing, currency)}: import what "
            "lies between them first",
            metadata={
                "expected": str(Money(last.closing, currency)),
                "opening": str(Money(statement.opening, currency)),
            },
        )
    mine, before = statement.sequence_number or "", last.sequence_number or ""
    if mine.isdecimal() and before.isdecimal() and int(mine) not in (int(before) + 1, 1):
        raise StatementGap(
            f"statement {statement.statement_reference} is the bank's number {mine}, the last one is {before}: import "
            "what lies between them first",
            metadata={"sequence_number": mine, "last_sequence_number": before},
        )


# --- suggestions ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tolerance:
    """How far a suggestion may be from an entry (dated data of the country pack).

    `exchange_share`: how far the bank's rate may be from the books', as a share, for a debit in the currency of the
    books to be taken by itself for that of an order in another one.
    """

    amount: int
    days: int
    exchange_share: Fraction = Fraction(0)

    def allows_rate(self, *, net: int, left: int) -> bool:
        """Whether `left` may be what the bank's rate made of a payment that stands at `net`."""
        return abs(left - net) <= net * self.exchange_share


@dataclass(frozen=True)
class PossibleOrder:
    """An order of the treasury that an entry may belong to: at the bank, or debited."""

    payment_order_id: UUID
    agency_id: UUID
    order_number: str
    amount: int
    on: date
    debited: bool


@dataclass(frozen=True)
class Suggestion:
    """How near an order is to an entry."""

    order: PossibleOrder
    amount_difference: int
    day_distance: int
    reference_matches: bool


def suggest(
    *, debit: bool, amount: int, on: date, text: str, orders: Iterable[PossibleOrder], tolerance: Tolerance
) -> list[Suggestion]:
    """The likeliest orders first: named in the text, nearest amount, nearest day.

    A debit may be an order at the bank, a credit the return of a debited one.
    """
    found = []
    for order in orders:
        if order.debited is debit:
            continue
        one = Suggestion(order, amount - order.amount, abs((on - order.on).days), names(text, order.order_number))
        if abs(one.amount_difference) <= tolerance.amount and (
            one.reference_matches or one.day_distance <= tolerance.days
        ):
            found.append(one)
    found.sort(
        key=lambda one: (
            not one.reference_matches,
            abs(one.amount_difference),
            one.day_distance,
            one.order.order_number,
        )
    )
    return found[:SUGGESTIONS_MAX]


def names(text: str, order_number: str) -> bool:
    """Whether a text names an order: its number stands in it, not as a part of a longer one."""
    return re.search(rf"(?<![0-9A-Za-z]){re.escape(order_number)}(?![0-9A-Za-z])", text) is not None


# --- reconciliation ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reconciliation:
    """Books and bank on a day. Signed: above zero is money in the account."""

    ledger: int
    statement: int
    opening: int
    in_books_only: int
    on_statement_only: int

    @property
    def difference(self) -> int:
        """Ledger less statement."""
        return self.ledger - self.statement

    @property
    def unexplained(self) -> int:
        """Nil, or an entry of the bank and its entry in the books differ."""
        return self.difference - self.in_books_only + self.on_statement_only + self.opening
