"""Acts in several books: pair, post in one transaction, keep."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from uuid import UUID

from sqlmodel import Session

from chassis.errors import NotFound
from chassis.ids import new_id
from services.finance.classification import mapping
from services.finance.classification import store as classification
from services.finance.classification.pack import fiscal_calendar
from services.finance.ledger import domain as ledger
from services.finance.ledger import usecases as posting
from services.finance.ledger.domain import EntryRejected, JournalEntry, Posted, Refused, reversal_day
from services.finance.ledger.joint import domain, store
from services.finance.ledger.joint.domain import JointEntry, Leg, Pair
from services.finance.ledger.joint.store import Record, StoredAct
from services.finance.ledger.refusals import CorrectedEntryUnknown, PeriodClosed


def create(session: Session, act: JointEntry) -> StoredAct:
    """Post an act: a balanced entry in each of its books, with the pair between them. All or none.

    Raises what an entry of one agency would be refused for, with the agency named; PERIOD_CLOSED when the day is not
    open in one of them; JOINT_ENTRY_UNPAIRED; ACCOUNT_NOT_MAPPED when the pack has no pair; CORRECTED_ENTRY_UNKNOWN
    when what it corrects has no entry in one of its books.
    """
    domain.check_purpose(act)
    currency = _currency(session, act)
    accounts = mapping.accounts_for(session, [("RK-A", ""), ("RK-T", "")], on=act.accounting_on)
    pair = Pair(accounts["RK-A", ""], accounts["RK-T", ""])
    legs = domain.paired(act.legs, act.treasury_agency_id, pair, currency)
    ids = {leg.agency_id: new_id() for leg in legs}
    made = domain.entries(act, legs, ids, _corrected(session, act, legs))
    record = Record(
        act.joint_entry_id,
        act.treasury_agency_id,
        corrects_id=act.corrects_id,
        reverse_on=reversal_day(act.accounting_on) if act.auto_reverse else None,
    )
    return post(session, made, record)


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
    in_adjustment_period: bool = False,
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
    calendar, stood_on = fiscal_calendar(), original.entries[0].accounting_on
    return post_mirror(
        session,
        original,
        reversal_id=reversal_id,
        effective_on=effective_on or original.entries[0].entry.effective_on,
        description=reason,
        late_reason=late_reason,
        adjustment_on=calendar.last_day(calendar.year_of(stood_on)) if in_adjustment_period else None,
        person_id=person_id,
    )


def post_mirror(
    session: Session,
    original: StoredAct,
    *,
    reversal_id: UUID,
    effective_on: date,
    description: str,
    late_reason: str = "",
    adjustment_on: date | None = None,
    person_id: UUID,
) -> StoredAct:
    """Post the mirror of an act, whose lock is held and whose every leg is seen; it is on no work list any more."""
    mirrors = [
        replace(
            ledger.reversal(
                one.entry,
                journal_entry_id=new_id(),
                effective_on=effective_on,
                description=description,
                late_reason=late_reason,
                adjustment_on=adjustment_on,
            ),
            source_id=reversal_id,
            person_id=person_id,
        )
        for one in original.entries
    ]
    record = Record(reversal_id, original.treasury_agency_id, reverses_id=original.joint_entry_id)
    done = post(session, mirrors, record)
    store.take_off(session, [original.joint_entry_id])
    return done


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


def _corrected(session: Session, act: JointEntry, legs: Sequence[Leg]) -> Mapping[UUID, UUID]:
    """By agency, the entry that a correction's entry corrects: that of the corrected act in the same books."""
    if act.corrects_id is None:
        return {}
    found = store.entry_ids(session, act.corrects_id)
    for leg in legs:
        if leg.agency_id not in found:
            raise CorrectedEntryUnknown(
                f"agency {leg.agency_id}: the act {act.corrects_id} has no entry in its books that could be corrected; "
                "reverse that act and post another, when it named the wrong agency",
                metadata={"agency_id": str(leg.agency_id), "corrects_joint_entry_id": str(act.corrects_id)},
            )
    return found


def post(session: Session, entries: Sequence[JournalEntry], record: Record) -> StoredAct:
    """Post the entries of an act and keep it, all or none. Raises the first refusal, with its agency named."""
    posted = []
    for verdict in posting.post_each(session, entries):
        if isinstance(verdict, Refused):
            # Raised, so that the transaction takes back the legs that were accepted.
            raise domain.of_agency(verdict.error, verdict.entry.agency_id)
        posted.append(verdict)
    _check_one_day(posted)
    person_id = entries[0].person_id
    assert person_id is not None, "an act by hand has its person"
    store.add(session, posted, record, person_id=person_id, recorded_at=posted[0].recorded_at)
    return get(session, record.joint_entry_id)


def _check_one_day(posted: Sequence[Posted]) -> None:
    """An entry that moved to a later period would leave the pair unequal between the two days (domain rules §1)."""
    for one in posted:
        if one.accounting_on != (one.entry.accounting_on or one.entry.effective_on):
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
