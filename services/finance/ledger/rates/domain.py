"""What a foreign amount is worth, and what a revaluation posts. Pure.

PP 71/2010 PSAP 02: transactions in foreign currency at the middle rate of the central bank on their day. Domain rules
§2 "Foreign currency": a last known rate on holidays, an error when it is too old; monetary balances are revalued at
each month end with Dr/Cr FXD. §8: rounding is half away from zero, and here is its one place for rate × amount.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from uuid import UUID

from chassis.errors import FailedPrecondition, InvalidArgument
from chassis.money import Money, checked, exponent, round_half_away
from services.finance.ledger.domain import LINES_MAX, Basis, JournalEntry, Line

# The only kind of entry that a revaluation posts; it is exempt from naming budget lines (ledger/domain.py).
EXCHANGE_DIFFERENCE = "EXCHANGE_DIFFERENCE"
_DECIMALS_MAX = 12
_RATE_MAX = Decimal(10) ** 12
# Two lines a balance: its account and the difference.
ITEMS_MAX = LINES_MAX // 2


class RateKind(Enum):
    """What kind of rate it is."""

    MIDDLE = "MIDDLE"


class ExchangeRateMissing(FailedPrecondition):
    """Neither the day nor one shortly before it has a rate."""

    reason = "EXCHANGE_RATE_MISSING"


class RevaluationPeriodNotOpen(FailedPrecondition):
    """The period takes no entry, so nothing can be revalued at its end."""

    reason = "PERIOD_CLOSED"


class RevaluationTooWide(FailedPrecondition):
    """More balances changed than one entry can carry."""

    reason = "REVALUATION_TOO_WIDE"


@dataclass(frozen=True)
class Rate:
    """What one unit of `currency` is worth in `functional_currency` on `rated_on`, as known since `recorded_at`."""

    exchange_rate_id: UUID
    currency: str
    functional_currency: str
    rated_on: date
    kind: RateKind
    rate: Decimal
    source: str
    recorded_at: datetime | None = None

    @property
    def key(self) -> tuple[str, str, str, date]:
        """What has one rate at a time."""
        return self.currency, self.functional_currency, self.kind.value, self.rated_on

    def same(self, other: Rate) -> bool:
        """Whether both say the same."""
        return (self.rate, self.source) == (other.rate, other.source)


def functional_amount(amount: Money, rate: Decimal, functional_currency: str) -> Money:
    """The foreign `amount` at `rate` in the functional currency, half away from zero to its minor unit.

    The one place where rate × amount is rounded (domain rules §8). `rate` is functional units for one foreign unit.
    """
    exact = Fraction(amount.minor, 10 ** exponent(amount.currency)) * Fraction(rate)
    return Money(round_half_away(exact * 10 ** exponent(functional_currency)), functional_currency)


def check_rate(rate: Rate, field: str) -> None:
    """Refuse a rate that no bank publishes: not above zero, too large, too fine, of a currency against itself."""
    if rate.currency == rate.functional_currency:
        raise InvalidArgument.field(f"{field}.currency", f"{rate.currency} against itself is always 1")
    exponent_of = rate.rate.normalize().as_tuple().exponent
    if not 0 < rate.rate < _RATE_MAX or not isinstance(exponent_of, int) or -exponent_of > _DECIMALS_MAX:
        raise InvalidArgument.field(
            f"{field}.rate", f"{rate.rate} is not above zero, below {_RATE_MAX:.0f} and of {_DECIMALS_MAX} decimals"
        )


def admit(wanted: Sequence[Rate], known: Mapping[tuple[str, str, str, date], Rate]) -> list[tuple[Rate, Rate | None]]:
    """What each wanted rate becomes: (the rate that holds now, the one that it corrects).

    The rate itself, without a corrected one, when it is known with the same content: it is in `known` then.
    """
    seen: set[tuple[str, str, str, date]] = set()
    outcome: list[tuple[Rate, Rate | None]] = []
    for index, rate in enumerate(wanted):
        check_rate(rate, f"exchange_rates[{index}]")
        if rate.key in seen:
            raise InvalidArgument.field(
                f"exchange_rates[{index}]", f"{rate.currency} on {rate.rated_on} stands in the batch already"
            )
        seen.add(rate.key)
        before = known.get(rate.key)
        outcome.append((before, None) if before is not None and before.same(rate) else (rate, before))
    return outcome


def holding(
    rate: Rate | None, *, currency: str, functional_currency: str, on: date, kind: RateKind, age_days_max: int
) -> tuple[Rate, int]:
    """The last known rate on or before `on`, and how many days older it is; refused when there is none, or too old."""
    age = None if rate is None else (on - rate.rated_on).days
    if rate is None or age is None or age > age_days_max:
        last = "there is none before it" if rate is None else f"the last one is of {rate.rated_on}, {age} days before"
        raise ExchangeRateMissing(
            f"no {kind.value} rate of {currency} in {functional_currency} for {on}: {last}, and one of up to "
            f"{age_days_max} days holds; record the rate",
            metadata={"currency": currency, "on": str(on), "age_days_max": str(age_days_max)},
        )
    return rate, age


@dataclass(frozen=True)
class Balance:
    """A monetary balance in a foreign currency, debits less credits, in minor units of both currencies.

    A debt of a budget line is a balance by itself, document line by document line, so that funds can follow it (F5).
    """

    account_code: str
    fund_code: str
    currency: str
    foreign_minor: int
    carrying_minor: int
    budget_line_id: UUID | None = None
    document_line_id: UUID | None = None

    @property
    def place(self) -> tuple[str, str, str, UUID | None, UUID | None]:
        """What it is the balance of."""
        return self.account_code, self.fund_code, self.currency, self.budget_line_id, self.document_line_id


@dataclass(frozen=True)
class Revalued:
    """A balance at the rate of a day."""

    balance: Balance
    rate: Rate
    revalued_minor: int

    @property
    def difference_minor(self) -> int:
        """What the account is short of, above zero, or has too much of."""
        return self.revalued_minor - self.balance.carrying_minor


def monetary(account_code: str, prefixes: Mapping[str, bool]) -> bool:
    """Whether an account's balance is money owed or held; the longest prefix (by whole levels) says so."""
    code = account_code
    while code:
        if code in prefixes:
            return prefixes[code]
        code = code.rpartition(".")[0]
    return False


def revalue(balances: Iterable[Balance], rates: Mapping[str, Rate], functional_currency: str) -> list[Revalued]:
    """The balances whose worth changed, by fund, account, currency, budget line and document line."""
    changed = []
    for balance in balances:
        rate = rates[balance.currency]
        worth = functional_amount(Money(balance.foreign_minor, balance.currency), rate.rate, functional_currency)
        revalued = Revalued(balance, rate, worth.minor)
        checked(revalued.difference_minor)
        if revalued.difference_minor:
            changed.append(revalued)
    if len(changed) > ITEMS_MAX:
        raise RevaluationTooWide(
            f"{len(changed)} balances changed, one entry carries {ITEMS_MAX}; fold accounts or funds first",
            metadata={"balances": str(len(changed)), "limit": str(ITEMS_MAX)},
        )
    return sorted(
        changed,
        key=lambda one: (
            *(one.balance.fund_code, one.balance.account_code, one.balance.currency),
            *(str(one.balance.budget_line_id or ""), str(one.balance.document_line_id or "")),
        ),
    )


def merged(balances: Iterable[Balance], moved: Mapping[UUID, UUID]) -> list[Balance]:
    """Balances of lines of a year that ended count under the lines to which `moved` says their debts were carried."""
    sums: dict[tuple[str, str, str, UUID | None, UUID | None], Balance] = {}
    for balance in balances:
        line_id = balance.budget_line_id
        while line_id is not None and line_id in moved:
            line_id = moved[line_id]
        at_home = replace(balance, budget_line_id=line_id)
        present = sums.get(at_home.place)
        if present is not None:
            at_home = replace(
                at_home,
                foreign_minor=checked(present.foreign_minor + at_home.foreign_minor),
                carrying_minor=checked(present.carrying_minor + at_home.carrying_minor),
            )
        sums[at_home.place] = at_home
    return list(sums.values())


def entry(
    changed: Sequence[Revalued],
    *,
    journal_entry_id: UUID,
    agency_id: UUID,
    source_id: UUID,
    on: date,
    difference_account_code: str,
    functional_currency: str,
    person_id: UUID,
    movements: Mapping[int, UUID] | None = None,
) -> JournalEntry:
    """The entry of a revaluation: each account against FXD, in the functional currency, fund by fund.

    `movements` are the movements of funds that follow debts of budget lines, by the place in `changed`.
    """
    lines = []
    for nth, one in enumerate(changed):
        balance, gain, amount = one.balance, one.difference_minor > 0, abs(one.difference_minor)
        own = Line(
            basis=Basis.ACCRUAL,
            fund_code=balance.fund_code,
            account_code=balance.account_code,
            debit_minor=amount if gain else 0,
            credit_minor=0 if gain else amount,
            currency=functional_currency,
            budget_line_id=balance.budget_line_id,
            document_line_id=balance.document_line_id,
            funds_movement_id=(movements or {}).get(nth),
        )
        difference = replace(
            own.mirrored(), account_code=difference_account_code, budget_line_id=None, document_line_id=None
        )
        lines += [own, difference]
    return JournalEntry(
        journal_entry_id=journal_entry_id,
        agency_id=agency_id,
        effective_on=on,
        accounting_on=on,
        description=f"Revaluation of foreign balances on {on}",
        source_kind=EXCHANGE_DIFFERENCE,
        source_id=source_id,
        lines=tuple(lines),
        person_id=person_id,
    )


@dataclass(frozen=True)
class Revaluation:
    """A revaluation that was done."""

    foreign_revaluation_id: UUID
    agency_id: UUID
    year: int
    number: int
    revalued_on: date
    functional_currency: str
    items: tuple[Revalued, ...]
    journal_entry_id: UUID | None
    person_id: UUID
    recorded_at: datetime
