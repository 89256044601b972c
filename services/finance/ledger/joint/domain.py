"""How one act becomes a balanced entry in each of several books. Pure.

Domain rules §1: every entry balances per entity, basis and fund; an act that touches two entities posts two balanced
legs through the inter-entity pair RK-A (agency's side) and RK-T (treasury's side), equal and opposite at every instant.
Between two agencies it goes agency, treasury, agency. Permendagri 77/2020 names the accounts RK PPKD and RK SKPD.
An act is corrected, adjusted in period 13 (§7) and reversed by itself as a single entry is, in all its books or none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from uuid import UUID

from chassis.errors import InvalidArgument, KelolaError
from chassis.money import Money, checked
from services.finance.ledger.domain import (
    JOINT_ENTRY,
    Basis,
    CorrectionUnnamed,
    EntryRejected,
    EntryUnbalanced,
    JournalEntry,
    Line,
    imbalances,
)


class JointEntryUnpaired(InvalidArgument):
    """A leg that nothing passes to or from."""

    reason = "JOINT_ENTRY_UNPAIRED"


@dataclass(frozen=True)
class Leg:
    """What an act is in one agency's books."""

    agency_id: UUID
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class JointEntry:
    """An act to be posted; the legs are without the pair's lines.

    `corrects_id` makes it a correction of another act. With `adjustment_on`, the last day of a year, its entries stand
    in that year's adjustment period 13. `auto_reverse` has it reversed on the first day of the month after.
    """

    joint_entry_id: UUID
    treasury_agency_id: UUID
    effective_on: date
    description: str
    late_reason: str
    person_id: UUID
    legs: tuple[Leg, ...]
    corrects_id: UUID | None = None
    adjustment_on: date | None = None
    auto_reverse: bool = False

    @property
    def agency_ids(self) -> frozenset[UUID]:
        """Every agency whose books it touches, the treasury among them."""
        return frozenset({self.treasury_agency_id, *(leg.agency_id for leg in self.legs)})

    @property
    def accounting_on(self) -> date:
        """The day on which its entries stand, in every book."""
        return self.adjustment_on or self.effective_on


@dataclass(frozen=True)
class Pair:
    """The accounts of the inter-entity pair on a day."""

    agency_account_code: str  # RK-A
    treasury_account_code: str  # RK-T


def check_purpose(act: JointEntry) -> None:
    """Refuse an act of the adjustment period that corrects nothing, or that would reverse by itself."""
    if act.adjustment_on is None:
        return
    if act.corrects_id is None:
        raise CorrectionUnnamed(
            "the adjustment period is for corrections: name the act that this one corrects (corrects_joint_entry_id)"
        )
    if act.auto_reverse:
        raise EntryRejected("an act of the adjustment period does not reverse by itself: no month follows it")


def paired(legs: Sequence[Leg], treasury_agency_id: UUID, pair: Pair, currency: str) -> list[Leg]:
    """The legs with the lines of the pair behind their own, in the order given; the treasury's last when it had none.

    What an agency's debits exceed its credits by (its ACCRUAL lines, by fund, in the functional `currency`) it owes the
    treasury: Cr RK-A there, Dr RK-T here, the other way round below zero.
    """
    _check_named_once(legs)
    mirrored: list[Line] = []
    made: dict[UUID, Leg] = {}
    for leg in legs:
        if leg.agency_id == treasury_agency_id:
            continue
        owed = _crossing(leg, currency)
        if not owed:
            raise JointEntryUnpaired(
                f"agency {leg.agency_id}: its lines balance by themselves, nothing passes to or from it; "
                "post them as an entry of its own",
                metadata={"agency_id": str(leg.agency_id)},
            )
        own = [_side(pair.agency_account_code, fund, -amount, currency, treasury_agency_id) for fund, amount in owed]
        mirrored += [_side(pair.treasury_account_code, fund, amount, currency, leg.agency_id) for fund, amount in owed]
        made[leg.agency_id] = replace(leg, lines=(*leg.lines, *own))
    if not made:
        raise JointEntryUnpaired("the treasury alone is no act of several agencies: post an entry of its own")
    treasury = next((leg for leg in legs if leg.agency_id == treasury_agency_id), Leg(treasury_agency_id, ()))
    _crossing(treasury, currency)
    made[treasury_agency_id] = replace(treasury, lines=(*treasury.lines, *mirrored))
    _check_whole(legs, made[treasury_agency_id], currency)
    order = [leg.agency_id for leg in legs]
    if treasury_agency_id not in order:
        order.append(treasury_agency_id)
    return [made[agency_id] for agency_id in order]


def _check_named_once(legs: Sequence[Leg]) -> None:
    seen: set[UUID] = set()
    for leg in legs:
        if leg.agency_id in seen:
            raise EntryRejected(
                f"agency {leg.agency_id} has two legs: give all its lines in one",
                metadata={"agency_id": str(leg.agency_id)},
            )
        seen.add(leg.agency_id)


def _crossing(leg: Leg, currency: str) -> list[tuple[str, int]]:
    """What passes from or to a leg: (fund, debits less credits in minor units of `currency`), by fund.

    Refused: lines that the pair cannot settle, that is, BUDGET lines that do not balance by themselves (RK-A and RK-T
    are ACCRUAL accounts), and lines without an amount in the functional currency.
    """
    for number, line in enumerate(leg.lines, start=1):
        if line.functional(currency) is None:
            raise EntryRejected(
                f"agency {leg.agency_id}, line {number}: give its amount in {currency} (functional_amount); the "
                "pair between entities is kept in it",
                metadata={"agency_id": str(leg.agency_id), "line_no": str(number)},
            )
    owed = []
    for (basis, fund, _, _), difference in sorted(
        imbalances(leg.lines, currency), key=lambda one: (one[0][0].value, one[0][1])
    ):
        if basis is Basis.BUDGET:
            raise EntryUnbalanced(
                f"agency {leg.agency_id}, basis BUDGET, fund {fund}: debits less credits are "
                f"{Money(checked(difference), currency)}; only ACCRUAL lines pass between entities",
                metadata={"agency_id": str(leg.agency_id), "basis": basis.value, "fund_code": fund},
            )
        owed.append((fund, checked(difference)))
    return owed


def _side(account_code: str, fund_code: str, amount: int, currency: str, counterpart: UUID) -> Line:
    return Line(
        Basis.ACCRUAL,
        fund_code,
        account_code,
        max(amount, 0),
        max(-amount, 0),
        currency,
        counterpart_agency_id=counterpart,
    )


def _check_whole(legs: Sequence[Leg], treasury: Leg, currency: str) -> None:
    """The treasury's entry balances exactly when the legs together do; told as what the giver sees: the sum of legs."""
    for (_, fund, _, _), difference in imbalances(treasury.lines, currency):
        raise EntryUnbalanced(
            f"fund {fund}: over all {len(legs)} legs debits less credits are {Money(checked(difference), currency)}",
            metadata={"basis": Basis.ACCRUAL.value, "fund_code": fund, "difference_minor": str(difference)},
        )


def entries(
    act: JointEntry, legs: Sequence[Leg], ids: Mapping[UUID, UUID], corrected: Mapping[UUID, UUID]
) -> list[JournalEntry]:
    """The entries of the act's paired legs; they name the act.

    By agency: `ids` gives each entry its id, `corrected` the entry that it corrects (none but of a correction). That
    the act reverses by itself is not the single entry's affair: one leg alone is never reversed.
    """
    return [
        JournalEntry(
            journal_entry_id=ids[leg.agency_id],
            agency_id=leg.agency_id,
            effective_on=act.effective_on,
            accounting_on=act.adjustment_on,
            description=act.description,
            source_kind=JOINT_ENTRY,
            source_id=act.joint_entry_id,
            lines=leg.lines,
            late_reason=act.late_reason,
            person_id=act.person_id,
            corrects_id=corrected.get(leg.agency_id),
            adjusts=act.adjustment_on is not None,
        )
        for leg in legs
    ]


def of_agency(error: KelolaError, agency_id: UUID) -> KelolaError:
    """The same refusal, with the agency whose books refused in its words and figures."""
    error.message = f"agency {agency_id}: {error.message}"
    error.metadata.setdefault("agency_id", str(agency_id))
    error.args = (error.message,)
    return error
