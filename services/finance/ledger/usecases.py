"""Posting: check, number the periods, write, tell. One way for every entry, whoever brings it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlmodel import Session

from chassis import outbox
from chassis.errors import KelolaError, NotFound
from services.finance.attachments import usecases as attachments
from services.finance.budget import store as funds
from services.finance.budget.domain import User
from services.finance.budget.overrides import over_limits
from services.finance.classification import store as classification
from services.finance.classification.carryover.following import reversals_followed
from services.finance.classification.pack import fiscal_calendar
from services.finance.ledger import domain, refusals, report_store, store
from services.finance.ledger.domain import FundBalancing, JournalEntry, OverLimit, Posted, Refused, Verdict
from services.finance.ledger.events import EntriesPosted
from services.finance.ledger.interfund import store as interfund_store
from services.finance.ledger.interfund import usecases as interfund
from services.finance.ledger.reports import Scope, TrialBalance

# Lines that entries told together may have in all, well below what an event holds; a longer entry is told alone.
_TOLD_LINES_MAX = 1_000


def post(session: Session, entries: Sequence[JournalEntry], *, at: datetime, person_id: UUID | None) -> list[UUID]:
    """Post `entries` in the caller's transaction, all or none; their ids, in order.

    For documents (invoices, receipts, payments, payroll), which have moved their funds and name the movements on
    the lines. Raises the first refusal (PERIOD_CLOSED, ACCOUNT_UNKNOWN, FUNDS_MISSING, JOURNAL_UNBALANCED, …).
    `recorded_at` is the transaction's start by the database clock; `at` is the call's own time, kept by the
    document, and does not decide anything here.
    """
    for verdict in post_each(session, [replace(entry, person_id=person_id) for entry in entries]):
        if isinstance(verdict, Refused):
            raise verdict.error
    return [entry.journal_entry_id for entry in entries]


def post_each(session: Session, entries: Sequence[JournalEntry]) -> list[Verdict]:
    """Post `entries` in order, each judged by itself; one verdict each. A refused entry leaves nothing.

    Where the chart has changed since, a reversal stands on the codes that followed: its verdict has it as it stands.
    """
    followed = reversals_followed(session, entries)
    return [verdict for group in interfund.in_turn(session, followed) for verdict in _post_group(session, group)]


def _post_group(session: Session, asked: Sequence[JournalEntry]) -> list[Verdict]:
    entries = list(asked)
    functional = classification.functional_currencies(session, {entry.agency_id for entry in entries})
    # Nothing is asked when no entry names a file.
    files = attachments.known(session, [(entry.agency_id, entry.attachments) for entry in entries if entry.attachments])
    verdicts: dict[int, Verdict] = {}
    sound: list[int] = []
    pairs: interfund.Known = {}
    for index, entry in enumerate(asked):
        try:
            if entry.balancing is not FundBalancing.GIVEN:
                entry = interfund.balanced(session, entry, functional.get(entry.agency_id, ""), pairs)  # noqa: PLW2901
                entries[index] = entry
            domain.check(entry, functional.get(entry.agency_id, ""))
            attachments.check_named(entry.agency_id, entry.attachments, files)
        except KelolaError as error:
            verdicts[index] = Refused(entry, error)
        else:
            sound.append(index)
    if sound:
        raw = store.post(session, [entries[index] for index in sound], functional)
        users = _users(session, raw)
        for index, row in zip(sound, raw, strict=True):
            entry = entries[index]
            verdicts[index] = _verdict(entry, row, functional.get(entry.agency_id, ""), users)
    posted = [one for one in verdicts.values() if isinstance(one, Posted)]
    interfund_store.add(session, [one.entry for one in posted if one.entry.balancing is not FundBalancing.GIVEN])
    over_limits.record(session, [one for one in posted if one.over_limits])
    outbox.emit_all(session, _postings(posted))
    attachments.attach_named(session, [_naming(one) for one in posted if one.entry.attachments], files)
    return [verdicts[index] for index in range(len(entries))]


def _users(session: Session, raw: Iterable[store.RawVerdict]) -> dict[str, Sequence[User]]:
    """By line or node that was short: who used it up. Nothing is asked when nothing was refused for its funds."""
    short = {row.figures["budget_line_id"] for row in raw if row.reason == "BUDGET_EXCEEDED" and row.figures}
    return {line_id: funds.biggest_users(session, UUID(line_id)) for line_id in sorted(short)}


def _verdict(
    entry: JournalEntry, row: store.RawVerdict, functional_currency: str, users: Mapping[str, Sequence[User]]
) -> Verdict:
    if row.reason is not None:
        figures = dict(row.figures or {})
        figures["users"] = users.get(figures.get("budget_line_id", ""), ())
        if entry.adjusts and entry.accounting_on is not None:
            figures["adjustment_year"] = fiscal_calendar().year_of(entry.accounting_on)
        if entry.reverses_id is not None:
            figures["reverses_journal_entry_id"] = str(entry.reverses_id)
        return Refused(entry, refusals.refusal(row.reason, figures))
    assert row.accounting_on is not None, "an accepted entry has its day"
    assert row.fiscal_year is not None, "and its year"
    assert row.period_number is not None, "and its period"
    return Posted(
        # As it stands in the books: with what the statement chose for a manual entry's budget lines.
        domain.with_spending(entry, row.spent) if row.spent else entry,
        row.accounting_on,
        row.fiscal_year,
        row.period_number,
        row.recorded_at,
        functional_currency,
        row.spent,
        _over_limits(row.figures) if row.figures else (),
    )


def _naming(posted: Posted) -> attachments.Naming:
    entry = posted.entry
    assert entry.person_id is not None, "whoever names files is a person"
    return attachments.Naming(
        entry.agency_id, entry.journal_entry_id, entry.attachments, entry.person_id, posted.recorded_at
    )


def _over_limits(figures: Mapping[str, Any]) -> tuple[OverLimit, ...]:
    return tuple(
        OverLimit(UUID(one["budget_line_id"]), one["asked_minor"], one["available_minor"])
        for one in figures.get("over_limits", ())
    )


def _postings(posted: Iterable[Posted]) -> list[EntriesPosted]:
    """What happened, told once for each agency: entries of one transaction travel together, as far as they fit."""
    postings: list[EntriesPosted] = []
    filling: dict[UUID, tuple[list[Posted], int]] = {}
    for one in posted:
        held, lines = filling.get(one.entry.agency_id, ([], _TOLD_LINES_MAX))
        lines += len(one.entry.lines)
        if lines > _TOLD_LINES_MAX:
            held, lines = [], len(one.entry.lines)
            postings.append(EntriesPosted(held))
        held.append(one)
        filling[one.entry.agency_id] = held, lines
    return postings


def reverse(
    session: Session,
    journal_entry_id: UUID,
    *,
    reversal_id: UUID,
    effective_on: date | None,
    reason: str,
    late_reason: str,
    in_adjustment_period: bool = False,
    person_id: UUID,
    may_post_late: Callable[[UUID], None],
) -> Posted:
    """Post the mirror of a manual entry. Refused: reversed before, or the entry of a document.

    `may_post_late` refuses (raises) unless the caller may post into softly closed periods of that agency.
    """
    original = get(session, journal_entry_id)
    if late_reason:
        may_post_late(original.entry.agency_id)
    if original.entry.source_kind != domain.MANUAL:
        raise domain.EntryNotReversible(
            f"the entry came from {original.entry.source_kind} {original.entry.source_id}: put that document right, "
            "its own reversal follows",
            metadata={"source_kind": original.entry.source_kind, "source_id": str(original.entry.source_id)},
        )
    store.lock_for_reversal(session, journal_entry_id)
    calendar = fiscal_calendar()
    mirrored = domain.reversal(
        original.entry,
        journal_entry_id=reversal_id,
        effective_on=effective_on or original.entry.effective_on,
        description=reason,
        late_reason=late_reason,
        adjustment_on=calendar.last_day(calendar.year_of(original.accounting_on)) if in_adjustment_period else None,
    )
    verdict = post_each(session, [replace(mirrored, person_id=person_id)])[0]
    if isinstance(verdict, Refused):
        raise verdict.error
    return verdict


def get(session: Session, journal_entry_id: UUID) -> store.StoredEntry:
    """One entry; NOT_FOUND when it is not there or belongs to an agency that the caller does not see."""
    found = store.entries(session, [journal_entry_id])
    if not found:
        raise NotFound.resource("journal entry", journal_entry_id)
    return found[0]


def trial_balance(session: Session, scope: Scope, *, after: tuple[Any, ...] | None, limit: int) -> TrialBalance:
    """A page of the trial balance; with `known_at` the answer says which instant's knowledge it is."""
    scope = replace(scope, known_at=report_store.knowledge(session, scope.known_at, after))
    rows, totals = report_store.trial_balance(session, scope, after=after, limit=limit)
    currencies = classification.functional_currencies(session, [scope.agency_id] if scope.agency_id else None)
    # Without a fiscal year there are no books, hence no rows that would need a currency.
    functional = next(iter(sorted(set(currencies.values()))), "")
    return TrialBalance(rows, totals, functional, scope.known_at)
