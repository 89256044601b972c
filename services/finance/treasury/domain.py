"""Who may be paid where, and what goes into a run. Pure; `bank_rules` has what the bank's answers mean.

Domain rules §4: the cash limit counts orders, makers never check. Amounts are minor units.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from enum import Enum
from uuid import UUID

from chassis.errors import AlreadyExists, FailedPrecondition, InvalidArgument
from chassis.money import total

# Payments of one file: a message stays below what one call may carry.
INSTRUCTIONS_MAX = 2_000


class AccountNumberInvalid(InvalidArgument):
    """The account number has not the form of its kind."""

    reason = "ACCOUNT_NUMBER_INVALID"


class HolderNameInvalid(InvalidArgument):
    """The name has signs that bank messages cannot carry."""

    reason = "HOLDER_NAME_INVALID"


class BankAccountOverlap(AlreadyExists):
    """The number, or the cash account, is another bank account's on some of these days."""

    reason = "BANK_ACCOUNT_OVERLAP"


class BankAccountNotUsable(FailedPrecondition):
    """The bank account does not hold on the day."""

    reason = "BANK_ACCOUNT_NOT_USABLE"


class PayeeAccountInvalid(FailedPrecondition):
    """There is no approved payee account that holds on the day."""

    reason = "PAYEE_ACCOUNT_INVALID"


class RunEmpty(FailedPrecondition):
    """Nothing can be put into the run."""

    reason = "RUN_EMPTY"


class RunChanged(FailedPrecondition):
    """The run is not what its approver read."""

    reason = "RUN_CHANGED"


class RunAlreadyExported(FailedPrecondition):
    """The run has a file in another format; a second one could be paid twice."""

    reason = "RUN_ALREADY_EXPORTED"


class OrderNotPayable(FailedPrecondition):
    """An order of the run has been debited, rejected or stopped since."""

    reason = "ORDER_NOT_PAYABLE"


class OrderAtTheBank(FailedPrecondition):
    """The bank has the order: only its answer can end it."""

    reason = "ORDER_AT_THE_BANK"


class ReturnNotPossible(FailedPrecondition):
    """Only a debited payment that has not come back can come back, and only whole."""

    reason = "RETURN_NOT_POSSIBLE"


# --- accounts ------------------------------------------------------------------------------------------------------


class NumberKind(Enum):
    """How an account number is written."""

    IBAN = "IBAN"
    LOCAL = "LOCAL"


_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")
_LOCAL = re.compile(r"[0-9]{5,30}")
# The x character set of SWIFT's messages, which ISO 20022 payments keep to between banks.
_NAME = re.compile(r"[A-Za-z0-9/?:().,'+ -]+")


@dataclass(frozen=True)
class Account:
    """An account at a bank: a payee's or the treasury's."""

    holder_name: str
    account_number: str
    number_kind: NumberKind
    bic: str | None
    clearing_code: str | None
    currency: str


def check_account(account: Account, where: str) -> None:
    """Refuse an account that no bank could be told.

    IBAN: form and check digits of ISO 13616 (ISO 7064, mod 97-10). LOCAL: 5 to 30 digits. Name: SWIFT's x character
    set, neither beginning nor ending with a blank or a slash, no two slashes together. One of BIC and clearing code.
    """
    number = account.account_number
    if account.number_kind is NumberKind.IBAN and not (_IBAN.fullmatch(number) and _mod97(number) == 1):
        raise AccountNumberInvalid(
            f"{where}.account_number: {masked(number)} is no IBAN, or its check digits are wrong; copy it again"
        )
    if account.number_kind is NumberKind.LOCAL and not _LOCAL.fullmatch(number):
        raise AccountNumberInvalid(f"{where}.account_number: {masked(number)} is not 5 to 30 digits without signs")
    name = account.holder_name
    if not _NAME.fullmatch(name) or name != name.strip(" /") or "//" in name:
        raise HolderNameInvalid(
            f"{where}.holder_name: write it as the bank does, with letters from A to Z, digits, blanks and "
            "/ - ? : ( ) . , ' +, no slash at an end"
        )
    if not account.bic and not account.clearing_code:
        raise InvalidArgument.field(f"{where}.bic", "give the bank's BIC or its clearing code")


def _mod97(iban: str) -> int:
    return int("".join(str(int(sign, 36)) for sign in iban[4:] + iban[:4])) % 97


def masked(number: str) -> str:
    """An account number for messages: its last four signs."""
    return f"…{number[-4:]}" if len(number) > 4 else "…"


# --- payment runs --------------------------------------------------------------------------------------------------


class OmissionReason(Enum):
    """Why an order is not in a run."""

    OVER_CASH_LIMIT = "OVER_CASH_LIMIT"
    NO_PAYEE_ACCOUNT = "NO_PAYEE_ACCOUNT"
    SEVERAL_CREDITORS = "SEVERAL_CREDITORS"
    IN_ANOTHER_RUN = "IN_ANOTHER_RUN"
    NOT_PAYABLE = "NOT_PAYABLE"
    OTHER_CURRENCY = "OTHER_CURRENCY"
    NOTHING_TO_PAY = "NOTHING_TO_PAY"
    RUN_FULL = "RUN_FULL"


@dataclass(frozen=True)
class Payee:
    """The approved account of a payee."""

    payee_account_id: UUID
    account: Account


@dataclass(frozen=True)
class Candidate:
    """An order (or a returned payment ordered anew) that may go into a run."""

    payment_order_id: UUID
    payment_return_id: UUID | None
    paying_agency_id: UUID
    order_number: str
    payable: bool
    in_live_run: bool
    currency: str
    amount: int
    priority: int
    due_on: date
    creditors: tuple[str, ...]
    payee: Payee | None


@dataclass(frozen=True)
class Selection:
    """What goes into the run, in its order, and what stays out."""

    included: tuple[Candidate, ...]
    omitted: tuple[tuple[Candidate, OmissionReason], ...]

    @property
    def total(self) -> int:
        """The run's control sum."""
        return total(one.amount for one in self.included)


def select(
    candidates: Iterable[Candidate], *, currency: str, cash_limit: int | None, urgent: Collection[UUID] = ()
) -> Selection:
    """Fill a run: urgent orders first, then by priority, due date and number.

    The cash limit counts orders (what their payees get), not requests. An order that does not fit stays out whole, and
    the next ones that fit go in: cash is not left idle for one large order, which has its place in the next run.
    """
    ordered = sorted(
        candidates,
        key=lambda one: (
            one.payment_order_id not in urgent,
            one.priority,
            one.due_on,
            one.order_number,
            one.payment_order_id,
        ),
    )
    included: list[Candidate] = []
    omitted: list[tuple[Candidate, OmissionReason]] = []
    left = cash_limit
    for one in ordered:
        reason = _never_fits(one, currency)
        if reason is None and len(included) == INSTRUCTIONS_MAX:
            reason = OmissionReason.RUN_FULL
        if reason is None and left is not None and one.amount > left:
            reason = OmissionReason.OVER_CASH_LIMIT
        if reason is not None:
            omitted.append((one, reason))
            continue
        included.append(one)
        if left is not None:
            left -= one.amount
    return Selection(tuple(included), tuple(omitted))


def _never_fits(one: Candidate, currency: str) -> OmissionReason | None:
    if one.in_live_run:
        return OmissionReason.IN_ANOTHER_RUN
    if not one.payable:
        return OmissionReason.NOT_PAYABLE
    if one.currency != currency:
        return OmissionReason.OTHER_CURRENCY
    if one.amount <= 0:
        return OmissionReason.NOTHING_TO_PAY
    if one.payee is None:
        return OmissionReason.SEVERAL_CREDITORS if len(one.creditors) != 1 else OmissionReason.NO_PAYEE_ACCOUNT
    return None
