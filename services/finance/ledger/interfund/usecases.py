"""Entries over several funds: find what the funds owe one another, and let each balance."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import pairwise

from sqlmodel import Session

from services.finance.classification import mapping
from services.finance.ledger.domain import Basis, FundBalancing, JournalEntry
from services.finance.ledger.interfund import domain, store
from services.finance.ledger.interfund.domain import PairAccounts
from services.finance.ledger.refusals import PeriodClosed

# The roles of the account mapping: which account has what a fund is owed, and which what it owes.
_ROLES = {Basis.ACCRUAL: ("DUE-FROM", "DUE-TO"), Basis.BUDGET: ("DUE-FROM-BUDGET", "DUE-TO-BUDGET")}

# The accounts of each basis and day that were asked for, so that a group asks once.
Known = dict[tuple[Basis, date], PairAccounts]


def in_turn(session: Session, entries: Sequence[JournalEntry]) -> list[Sequence[JournalEntry]]:
    """`entries` as groups to be posted one after the other: a settlement begins one, since it may take what is owed
    when its turn comes. One group when nothing is settled."""
    settling = [index for index, entry in enumerate(entries) if entry.balancing is FundBalancing.SETTLEMENT]
    if not settling:
        return [entries]
    # Before anything is posted, so that nobody waits for a settlement's turn while holding what it waits for.
    store.lock(session, {entries[index].agency_id for index in settling})
    return [entries[start:end] for start, end in pairwise(sorted({0, *settling, len(entries)}))]


def balanced(session: Session, entry: JournalEntry, currency: str, known: Known) -> JournalEntry:
    """The entry with what its funds owe one another; itself when each balances already, as in a reversal.

    Raises JOURNAL_UNBALANCED, INTERFUND_NOT_OWED, ACCOUNT_NOT_MAPPED when the pack has no pair on that basis.
    """
    if not currency:
        raise PeriodClosed(
            f"agency {entry.agency_id} has no books: create its fiscal year",
            metadata={"agency_id": str(entry.agency_id), "state": "ABSENT"},
        )
    made = domain.dues(entry, currency)
    if not made:
        return entry
    if entry.balancing is FundBalancing.SETTLEMENT:
        domain.check_owed(entry.agency_id, made, store.owed(session, entry.agency_id, made), currency)
    on = entry.accounting_on or entry.effective_on
    accounts = {basis: _accounts(session, basis, on, known) for basis in {due.basis for due in made}}
    return domain.balanced(entry, made, accounts, currency)


def _accounts(session: Session, basis: Basis, on: date, known: Known) -> PairAccounts:
    if (basis, on) not in known:
        due_from, due_to = _ROLES[basis]
        found = mapping.accounts_for(session, [(due_from, ""), (due_to, "")], on=on)
        known[basis, on] = PairAccounts(found[due_from, ""], found[due_to, ""])
    return known[basis, on]
