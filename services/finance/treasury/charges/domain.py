"""Which entry of the bank is a fee or interest, and who bears it. Pure.

The bank says what an entry is by the code of ISO 20022's BankTransactionCode (domain / family / sub-family, external
code sets); which codes are fees and which interest is dated data of the country pack.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from chassis.errors import FailedPrecondition, InvalidArgument
from chassis.money import Money


class ChargeKind(Enum):
    """What an entry is when it is no payment."""

    # The bank took it: an expenditure of the budget line named.
    FEE = "FEE"
    # The bank paid it: revenue of the treasury.
    INTEREST = "INTEREST"

    @property
    def is_debit(self) -> bool:
        """Which way its money goes, seen from the treasury."""
        return self is ChargeKind.FEE


class EntryNotChargeable(FailedPrecondition):
    """The entry is explained already, or is no fee and no interest by the rules of its day."""

    reason = "BANK_ENTRY_NOT_CHARGEABLE"


class ChargeLineNotAllowed(FailedPrecondition):
    """Fees of this kind are not borne by that expenditure account."""

    reason = "BANK_CHARGE_LINE_NOT_ALLOWED"


@dataclass(frozen=True)
class ChargeRule:
    """What one transaction code of the bank means (dated data). `expenditure_prefix` limits who bears a fee."""

    transaction_code: str
    kind: ChargeKind
    expenditure_prefix: str


@dataclass(frozen=True)
class InBooks:
    """A charge in the currency of the books, at the `rate` of its value day; None when the bank account is in it."""

    amount: Money
    rate: Decimal | None = None

    @property
    def functional_minor(self) -> int | None:
        """What a line in the account's own currency is worth; None when that is the currency of the books."""
        return None if self.rate is None else self.amount.minor


@dataclass(frozen=True)
class Entry:
    """An entry of the bank as this rule sees it."""

    bank_entry_id: str
    transaction_code: str
    is_debit: bool
    matched: bool


def kind_of(entry: Entry, rules: Sequence[ChargeRule], said: ChargeKind) -> ChargeRule:
    """The rule by which an entry is of the kind `said`; refused when it is not.

    An entry to which the bank gave no code is what two persons say that it is, under the first rule of that kind.
    """
    if entry.matched:
        raise EntryNotChargeable(
            f"bank entry {entry.bank_entry_id} is explained already", metadata={"bank_entry_id": entry.bank_entry_id}
        )
    fitting = [rule for rule in rules if rule.kind is said and entry.transaction_code in ("", rule.transaction_code)]
    if not fitting or entry.is_debit is not said.is_debit:
        direction = "debit" if entry.is_debit else "credit"
        raise EntryNotChargeable(
            f"bank entry {entry.bank_entry_id} is a {direction} of kind {entry.transaction_code or 'unsaid'}, which is "
            f"no {said.value} by the country pack: add its code to bank_charges.csv, or match it with a payment",
            metadata={"transaction_code": entry.transaction_code, "kind": said.value},
        )
    return fitting[0]


def check_line(rule: ChargeRule, account_code: str) -> None:
    """A fee is borne by an expenditure account under the rule's prefix; an empty prefix allows all."""
    prefix = rule.expenditure_prefix
    if prefix and account_code != prefix and not account_code.startswith(prefix + "."):
        raise ChargeLineNotAllowed(
            f"a fee of the kind {rule.transaction_code} is borne by accounts under {prefix}, not by {account_code}",
            metadata={"expenditure_prefix": prefix, "account_code": account_code},
        )


def check_bearer(kind: ChargeKind, *, agency: bool, budget_line: bool, fund: bool) -> None:
    """A fee names the budget line that bears it and whose it is, interest the fund that earns it for the treasury."""
    if kind is ChargeKind.FEE and (not budget_line or fund):
        raise InvalidArgument.field("bank_charge.budget_line_id", "a fee names its budget line, and no fund")
    if kind is ChargeKind.INTEREST and (budget_line or not fund):
        raise InvalidArgument.field("bank_charge.fund_code", "interest names its fund, and no budget line")
    if kind is ChargeKind.INTEREST and agency:
        raise InvalidArgument.field("bank_charge.bearing_agency_id", "interest is the treasury's: leave it empty")
