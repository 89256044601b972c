"""Acts in several books: pair, post in one transaction, keep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from uuid import UUID

from sqlmodel import Session

from chassis.errors import NotFound
from chassis.ids import new_id
from services.finance.classification import mapping
from services.finance.classification import store as classification
from services.finance.ledger import domain as ledger
from services.finance.ledger import usecases as posting
from services.finance.ledger.domain import EntryRejected, JournalEntry, Posted, Refused
from services.finance.ledger.joint import domain, store
from services.finance.ledger.joint.domain import JointEntry, Pair
from services.finance.ledger.joint.store import StoredAct
from services.finance.ledger.refusals import PeriodClosed


def create(session: Session, act: JointEntry) -> StoredAct:
    """Post an act: a balanced entry in each of its books, with the pair between them. All or none.

    Raises what an entry of one agency would be refused for, with the agency named; PERIOD_CLOSED when the day is not
    open in one of them; JOINT_ENTRY_UNPAIRED; ACCOUNT_NOT_MAPPED when the pack has no pair.
    """
    currency = _currency(session, act)
    accounts = mapping.accounts_for(session, [("RK-A", ""), ("RK-T", "")], on=act.effective_on)
    pair = Pair(accounts["RK-A", ""], accounts["RK-T", ""])
    legs = domain.paired(act.legs, act.treasury_agency_id, pair, currency)
    made = domain.entries(act, legs, {leg.agency_id: new_id() for leg in legs})
    return _post(session, made, joint_entry_id=act.joint_entry_id, treasury_agency_id=act.treasury_agency_id)


def get(session: Session, joint_entry_id: UUID) -> StoredAct:
    """One act with the legs that the caller sees; NOT_FOUND when he sees none."""
    found = store.acts(session, [joint_entry_id])
    if not found:
        raise NotFound.resource("joint entry", joint_entry_id)
    return found[0]


def reverse(
    session: Session,
    joint_entry_id: UUID,
    *,
    reversal_id: UUID,
    effective_on: date | None,
    reason: str,
    late_reason: str,
    person_id: UUID,
    may_reverse: Callable[[UUID], None],
) -> StoredAct:
    """Post the mirror of every entry of an act, as an act of its own. ENTRY_ALREADY_REVERSED at a second try.

    `may_reverse` refuses (raises) unless the caller may reverse in that agency; it is asked for each of the act's.
    """
    head = store.head(session, joint_entry_id)
    if head is None:
        raise NotFound.resource("joint entry", joint_entry_id)
    for agency_id in head.agency_ids:
        may_reverse(agency_id)
    store.lock(session, joint_entry_id)
    original = get(session, joint_entry_id)
    mirrors = [
        replace(
            ledger.reversal(
                one.entry,
                journal_entry_id=new_id(),
                effective_on=effective_on or one.entry.effective_on,
                description=reason,
                late_reason=late_reason,
            ),
            source_id=reversal_id,
            person_id=person_id,
        )
        for one in original.entries
    ]
    return _post(
        session,
        mirrors,
        joint_entry_id=reversal_id,
        treasury_agency_id=head.treasury_agency_id,
        reverses_id=joint_entry_id,
    )


def _currency(session: Session, act: JointEntry) -> str:
    """The one currency of all books that the act touches."""
    functional = classification.functional_currencies(session, act.agency_ids)
    for agency_id in sorted(act.agency_ids):
        if agency_id not in functional:
            raise PeriodClosed(
                f"agency {agency_id} has no books: create its fiscal year",
                metadata={"agency_id": str(agency_id), "state": "ABSENT"},
            )
    currencies = sorted(set(functional.values()))
    if len(currencies) > 1:
        raise EntryRejected(
            f"the agencies' books are in {', '.join(currencies)}: one act is in books of one currency",
            metadata={str(agency_id): currency for agency_id, currency in sorted(functional.items())},
        )
    return currencies[0]


def _post(
    session: Session,
    entries: Sequence[JournalEntry],
    *,
    joint_entry_id: UUID,
    treasury_agency_id: UUID,
    reverses_id: UUID | None = None,
) -> StoredAct:
    posted = []
    for verdict in posting.post_each(session, entries):
        if isinstance(verdict, Refused):
            # Raised, so that the transaction takes back the legs that were accepted.
            raise domain.of_agency(verdict.error, verdict.entry.agency_id)
        posted.append(verdict)
    _check_one_day(posted)
    person_id = entries[0].person_id
    assert person_id is not None, "an act by hand has its person"
    store.add(
        session,
        posted,
        joint_entry_id=joint_entry_id,
        treasury_agency_id=treasury_agency_id,
        reverses_id=reverses_id,
        person_id=person_id,
        recorded_at=posted[0].recorded_at,
    )
    return get(session, joint_entry_id)


def _check_one_day(posted: Sequence[Posted]) -> None:
    """An entry that moved to a later period would leave the pair unequal between the two days (domain rules §1)."""
    for one in posted:
        if one.accounting_on != one.entry.effective_on:
            raise PeriodClosed(
                f"agency {one.entry.agency_id}: {one.entry.effective_on} is closed there, and the entries of one act "
                "stand on one day: name a day that is open in every agency "
                f"(its next open one is {one.accounting_on})",
                metadata={
                    "agency_id": str(one.entry.agency_id),
                    "on": str(one.entry.effective_on),
                    "next_open_on": str(one.accounting_on),
                },
            )
