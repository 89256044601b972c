"""How an entry over several funds of an agency balances in each of them. Pure.

Domain rules §1: between funds of one entity the inter-entity rule holds by a due-to/due-from pair: the fund that bore
something for another has a claim on it (due from), the other owes as much (due to), equal and opposite at every
instant. A pair is kept on each basis by itself, in the functional currency, fund by fund.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from chassis.errors import FailedPrecondition
from chassis.money import Money, checked
from services.finance.ledger.domain import (
    LINES_MAX,
    Basis,
    EntryRejected,
    EntryUnbalanced,
    FundBalancing,
    JournalEntry,
    Line,
    imbalances,
)


class InterfundNotOwed(FailedPrecondition):
    """A settlement between funds of more than the one owes the other."""

    reason = "INTERFUND_NOT_OWED"


@dataclass(frozen=True)
class PairAccounts:
    """The accounts of the pair on one basis and day."""

    due_from: str
    due_to: str


@dataclass(frozen=True)
class Due:
    """What one fund owes another by an entry, or pays back of it: minor units above zero."""

    basis: Basis
    debtor_fund_code: str
    creditor_fund_code: str
    minor: int


def dues(entry: JournalEntry, currency: str) -> list[Due]:
    """What the funds of `entry` come to owe one another so that each balances, or to owe less at a SETTLEMENT.

    A fund whose debits exceed its credits was borne for by those whose credits exceed their debits; of more than two
    funds, each in the order of its code takes what the next on the other side has left. None when every fund balances.
    Refused (JOURNAL_UNBALANCED): bases that do not balance over all their funds, and lines without an amount in the
    functional `currency` that do not balance by themselves, since the pair is kept in that currency.
    """
    differing: dict[Basis, list[tuple[str, int]]] = {}
    for (basis, fund, given, functional), difference in sorted(
        imbalances(entry.lines, currency), key=lambda one: (one[0][0].value, one[0][1:])
    ):
        if not functional:
            raise EntryUnbalanced(
                f"basis {basis.value}, fund {fund}: debits less credits are {Money(checked(difference), given)} on "
                f"lines without an amount in {currency}; what funds owe one another is kept in {currency}: give the "
                "lines' functional_amount",
                metadata=_figures(basis, fund, given, difference),
            )
        differing.setdefault(basis, []).append((fund, difference))
    made: list[Due] = []
    for basis, funds in differing.items():
        if over_all := sum(difference for _, difference in funds):
            raise EntryUnbalanced(
                f"basis {basis.value}: over the {len(funds)} funds that do not balance debits less credits are "
                f"{Money(checked(over_all), currency)}; what funds owe one another takes up nothing of that",
                metadata=_figures(basis, "", currency, over_all),
            )
        for positive, negative, minor in _matched(funds):
            # Who has received more than it gave owes it; when debts are paid back, it is the one that was owed to.
            debtor, creditor = (
                (negative, positive) if entry.balancing is FundBalancing.SETTLEMENT else (positive, negative)
            )
            made.append(Due(basis, debtor, creditor, checked(minor)))
    return made


def _figures(basis: Basis, fund_code: str, currency: str, difference: int) -> dict[str, str]:
    return {
        "basis": basis.value,
        "fund_code": fund_code,
        "currency": currency,
        "difference_minor": str(difference),
    }


def _matched(funds: Sequence[tuple[str, int]]) -> Iterable[tuple[str, str, int]]:
    """(fund above zero, fund below zero, amount) for differences by fund code that sum to zero."""
    below = [(fund, -difference) for fund, difference in funds if difference < 0]
    at = used = 0
    for fund, difference in funds:
        left = difference
        while left > 0:
            other, held = below[at]
            taken = min(left, held - used)
            yield fund, other, taken
            left, used = left - taken, used + taken
            if used == held:
                at, used = at + 1, 0


def balanced(
    entry: JournalEntry, made: Sequence[Due], accounts: Mapping[Basis, PairAccounts], currency: str
) -> JournalEntry:
    """`entry` with the lines of `made` behind its own, which stay as they are: two lines for each debt."""
    added = tuple(line for due in made for line in _pair(due, entry, accounts[due.basis], currency))
    if len(entry.lines) + len(added) > LINES_MAX:
        raise EntryRejected(
            f"lines: {len(entry.lines)} given, and {len(added)} that say what the funds owe one another; an entry has "
            f"at most {LINES_MAX}"
        )
    return replace(entry, lines=(*entry.lines, *added))


def _pair(due: Due, entry: JournalEntry, accounts: PairAccounts, currency: str) -> tuple[Line, Line]:
    sign = -1 if entry.balancing is FundBalancing.SETTLEMENT else 1

    def line(fund_code: str, account_code: str, amount: int, other: str) -> Line:
        return Line(
            due.basis,
            fund_code,
            account_code,
            max(amount, 0),
            max(-amount, 0),
            currency,
            counterpart_agency_id=entry.agency_id,
            counterpart_fund_code=other,
        )

    return (
        line(due.creditor_fund_code, accounts.due_from, sign * due.minor, due.debtor_fund_code),
        line(due.debtor_fund_code, accounts.due_to, -sign * due.minor, due.creditor_fund_code),
    )


def check_owed(agency_id: UUID, settled: Sequence[Due], owed: Mapping[Due, int], currency: str) -> None:
    """Refuse (INTERFUND_NOT_OWED) a settlement that pays back more than is `owed`: minor units, what each debtor of
    `settled` owes its creditor on that basis, less what that one owes it."""
    for due in settled:
        if due.minor > owed[due]:
            raise InterfundNotOwed(
                f"basis {due.basis.value}: fund {due.debtor_fund_code} owes fund {due.creditor_fund_code} of agency "
                f"{agency_id} {Money(owed[due], currency)}, and {Money(due.minor, currency)} would be settled; settle "
                "what is owed, and let the rest be DUE",
                metadata={
                    "basis": due.basis.value,
                    "debtor_fund_code": due.debtor_fund_code,
                    "creditor_fund_code": due.creditor_fund_code,
                    "currency": currency,
                    "owed_minor": str(owed[due]),
                    "settled_minor": str(due.minor),
                },
            )
