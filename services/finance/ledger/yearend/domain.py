"""Which balances a year's end closes, and to which account. Pure.

PP 71/2010 PSAP 12 and PSAP 02: results of the accrual basis go to equity, those of the budget basis to the surplus;
domain rules §2 ("after final statements, equity (ACCRUAL) and SAL (BUDGET)") and §11 (SAL is never computed from
ACCRUAL accounts). Balances are kept over the years, so nothing is posted to open the next one.

A budget that outlives its first year (a project's, `budget/span.py`) is estimated once, for its whole span. The closing
of a year within the span takes back what the year realised of it; what is neither realised nor taken back stands on as
the next year's estimate, in the same fund.

    estimate that stands on = authority - paid - advanced, of the lines that outlive the year, by its last day
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from uuid import UUID

from chassis.errors import FailedPrecondition
from chassis.money import checked
from services.finance.classification.domain import ADJUSTMENT_PERIOD, FiscalPeriod, PeriodState
from services.finance.ledger.domain import LINES_MAX, Basis, JournalEntry, Line

CLOSING = "CLOSING"
# Kinds of accounts that hold a year's results; the budget basis has estimates in equity accounts beside them.
RESULTS = frozenset({"REVENUE", "EXPENSE", "EXPENDITURE", "FINANCING"})
_EQUITY = "EQUITY"
# A balance takes two lines at most, and what it is closed to one more for each fund and currency of the entry.
_BALANCES_AN_ENTRY = LINES_MAX // 4


class YearNotReady(FailedPrecondition):
    """A month may still change, or the adjustment period does not take the closing."""

    reason = "YEAR_NOT_READY"


@dataclass(frozen=True)
class Balance:
    """What an account holds, debits less credits. `functional_minor` None: of lines without functional amounts."""

    basis: Basis
    fund_code: str
    account_code: str
    kind: str
    currency: str
    minor: int
    functional_minor: int | None


@dataclass(frozen=True)
class OpenEstimate:
    """What the budgets that outlive a year have left at its end, in one fund and currency: their estimate stands on.

    Below zero where more was paid than they were given, which the next year's estimate bears.
    """

    fund_code: str
    currency: str
    minor: int


@dataclass(frozen=True)
class Targets:
    """The accounts that take the results: by role of the account mapping."""

    equity: str  # EQUITY
    surplus: str  # SAL-RESULT
    estimate: str  # SAL

    def of(self, balance: Balance) -> str | None:
        """Where a balance is closed to; None for one that stands on in the next year."""
        if balance.basis is Basis.ACCRUAL:
            return self.equity if balance.kind in RESULTS else None
        if balance.kind in RESULTS:
            return self.surplus
        estimates = balance.kind == _EQUITY and balance.account_code not in (self.surplus, self.estimate)
        return self.estimate if estimates else None


@dataclass(frozen=True)
class Result:
    """What a closing carried to an account: debits less credits."""

    basis: Basis
    fund_code: str
    account_code: str
    currency: str
    minor: int


def check_ready(periods: Iterable[FiscalPeriod]) -> None:
    """Refuse while a month of the ledger may still change, or the adjustment period is not open."""
    for period in sorted(periods, key=lambda one: one.number):
        wanted = PeriodState.OPEN if period.number == ADJUSTMENT_PERIOD else PeriodState.HARD_CLOSED
        if period.state is not wanted:
            raise YearNotReady(
                f"the ledger's {period.year}-{period.number:02} is {period.state.value}; a year is closed when its "
                f"months are HARD_CLOSED and period {ADJUSTMENT_PERIOD} is OPEN",
                metadata={"number": str(period.number), "state": period.state.value, "needed": wanted.value},
            )


def _line(
    basis: Basis, fund_code: str, account_code: str, currency: str, amount: int, functional_minor: int | None = None
) -> Line:
    """A debit of `amount`, or a credit of one below zero."""
    debit, credit = max(amount, 0), max(-amount, 0)
    return Line(basis, fund_code, account_code, debit, credit, currency, functional_minor)


def _closing_lines(balance: Balance, functional_currency: str) -> Iterator[Line]:
    """The lines that bring a balance to nil, in its currency and in the functional one."""
    at = (balance.basis, balance.fund_code, balance.account_code)
    functional = balance.functional_minor
    if balance.currency == functional_currency or functional is None:
        if balance.minor:
            yield _line(*at, balance.currency, -balance.minor)
        return
    # A line has both amounts on one side; what does not fit that goes in the functional currency alone.
    together = balance.minor * functional > 0
    if balance.minor:
        yield _line(*at, balance.currency, -balance.minor, abs(functional) if together else 0)
    if functional and not together:
        yield _line(*at, functional_currency, -functional)


def without_open(
    balances: Iterable[Balance], open_estimates: Iterable[OpenEstimate], appropriations: str, functional_currency: str
) -> list[Balance]:
    """The balances as they are closed: the account of the appropriations less what of it stands on.

    Appropriations are credits. An account that holds too little of an open estimate is filled up to it, so that years
    that were closed before open estimates were told apart come right with the next one.
    """

    def functional(currency: str, minor: int) -> int | None:
        # Appropriations are posted without functional amounts (budget/journals.py).
        return minor if currency == functional_currency else None

    left = {(one.fund_code, one.currency): one.minor for one in open_estimates}
    found = []
    for balance in balances:
        key = (balance.fund_code, balance.currency)
        holds = (balance.basis, balance.account_code) == (Basis.BUDGET, appropriations)
        if holds and key in left and balance.functional_minor == functional(balance.currency, balance.minor):
            minor = balance.minor + left.pop(key)
            found.append(replace(balance, minor=minor, functional_minor=functional(balance.currency, minor)))
        else:
            found.append(balance)
    found += [
        Balance(Basis.BUDGET, fund_code, appropriations, _EQUITY, currency, minor, functional(currency, minor))
        for (fund_code, currency), minor in sorted(left.items())
    ]
    return found


def close(
    balances: Sequence[Balance], targets: Targets, functional_currency: str
) -> tuple[list[tuple[Line, ...]], list[Result]]:
    """(the lines of each closing entry, what went where). Each entry balances by basis, fund and currency."""
    closed = [(balance, target) for balance in balances if (target := targets.of(balance)) is not None]
    entries: list[tuple[Line, ...]] = []
    results: dict[tuple[Basis, str, str, str], int] = defaultdict(int)
    for start in range(0, len(closed), _BALANCES_AN_ENTRY):
        lines: list[Line] = []
        taken: dict[tuple[Basis, str, str, str], int] = defaultdict(int)
        for balance, target in closed[start : start + _BALANCES_AN_ENTRY]:
            lines += _closing_lines(balance, functional_currency)
            functional = balance.functional_minor
            if balance.currency == functional_currency:
                functional = balance.minor
            elif functional == 0:
                # Worth nothing in the functional currency: the foreign amount itself goes over.
                lines.append(
                    _line(balance.basis, balance.fund_code, target, balance.currency, balance.minor, functional)
                )
            currency, amount = (
                (balance.currency, balance.minor) if functional is None else (functional_currency, functional)
            )
            taken[balance.basis, balance.fund_code, target, currency] += amount
        for key, amount in sorted(taken.items(), key=lambda one: (one[0][0].value, *one[0][1:])):
            results[key] += amount
            if amount:
                basis, fund_code, account_code, currency = key
                lines.append(_line(basis, fund_code, account_code, currency, checked(amount)))
        if lines:
            entries.append(tuple(lines))
    return entries, [Result(*key, checked(amount)) for key, amount in results.items() if amount]


def entry(
    lines: tuple[Line, ...],
    *,
    journal_entry_id: UUID,
    agency_id: UUID,
    source_id: UUID,
    year: int,
    last_day: date,
    person_id: UUID,
) -> JournalEntry:
    """A closing entry, in the adjustment period, which is the year's last day."""
    return JournalEntry(
        journal_entry_id=journal_entry_id,
        agency_id=agency_id,
        effective_on=last_day,
        accounting_on=last_day,
        description=f"Closing of {year}",
        source_kind=CLOSING,
        source_id=source_id,
        lines=lines,
        person_id=person_id,
        adjusts=True,
    )


@dataclass(frozen=True)
class YearRun:
    """What was done over an agency's year, with the entries that it posted. Its id is of its kind's own table."""

    run_id: UUID
    agency_id: UUID
    year: int
    journal_entry_ids: tuple[UUID, ...]
    person_id: UUID
    recorded_at: datetime


@dataclass(frozen=True)
class YearClosing(YearRun):
    """A closing that was done; what of the estimates stands on after it."""

    results: tuple[Result, ...]
    open_estimates: tuple[OpenEstimate, ...] = ()
