"""Where a document is, who has it, since when, and what may come next. Pure.

Every document answers these four questions, whether it takes a route through the approval matrix or has its fixed
persons alone. Who may do an act is said by role (the policies) and by person (who took an earlier part may not take
this one: Permendagri 77/2020 keeps the steps of a payment apart; ASVS 5.0 §2.3.5).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import Any
from uuid import UUID

from chassis.money import Money
from services.finance.approval.domain import ApprovalStatus, Route


class DocumentKind(Enum):
    """What kind of document it is."""

    BUDGET_CHANGE = "BUDGET_CHANGE"
    BUDGET_OVERRIDE = "BUDGET_OVERRIDE"
    BUDGET_CEILING = "BUDGET_CEILING"
    BUDGET_REQUEST = "BUDGET_REQUEST"
    BUDGET_CONTROL_CHANGE = "BUDGET_CONTROL_CHANGE"
    BUDGET_YEAR_END = "BUDGET_YEAR_END"
    MULTI_YEAR_AUTHORISATION = "MULTI_YEAR_AUTHORISATION"
    APPROPRIATION = "APPROPRIATION"
    INVOICE = "INVOICE"
    CREDIT_NOTE = "CREDIT_NOTE"
    BILL = "BILL"
    PAYMENT_REQUEST = "PAYMENT_REQUEST"
    PAYMENT_ORDER = "PAYMENT_ORDER"
    PAYMENT_RUN = "PAYMENT_RUN"
    PAYMENT_RETURN = "PAYMENT_RETURN"
    PAYEE_ACCOUNT = "PAYEE_ACCOUNT"
    IMPREST = "IMPREST"
    IMPREST_VOUCHER = "IMPREST_VOUCHER"
    FISCAL_PERIOD_REOPENING = "FISCAL_PERIOD_REOPENING"
    WITHHOLDING_REMITTANCE = "WITHHOLDING_REMITTANCE"
    LATE_INTEREST_CHARGE = "LATE_INTEREST_CHARGE"
    BANK_CHARGE = "BANK_CHARGE"
    CREDIT_OFFSET = "CREDIT_OFFSET"
    LATE_DELIVERY_PENALTY = "LATE_DELIVERY_PENALTY"
    APPROVAL_RULE_CHANGE = "APPROVAL_RULE_CHANGE"


@dataclass(frozen=True)
class NextAct:
    """An act that may come next, by its RPC.

    `apart`: whoever took one of these parts in the document may not. `only`: none but who took this part. `routed`:
    not before the document's route is approved. `deciders_apart`: nobody who decided on its route. `onward`: it brings
    the document further; others take it back. `duty`: it waits for somebody, and stands on his desk.
    """

    rpc: str
    permission: str
    apart: frozenset[str] = frozenset()
    only: str = ""
    routed: bool = False
    deciders_apart: bool = False
    onward: bool = True
    duty: bool = True

    @property
    def keeps_deciders_apart(self) -> bool:
        """Whether whoever decided on the document's route may not do it."""
        return self.routed or self.deciders_apart


@dataclass(frozen=True)
class DocumentType:
    """A kind of document as its area declares it: its resource, who reads it, what may come next in each state."""

    kind: DocumentKind
    collection: str
    read_permission: str
    acts: Mapping[str, tuple[NextAct, ...]]
    # Parts in the document that its own row does not name: the holder of the imprest that it fills. Of (session, id).
    also: Callable[[Any, UUID], Mapping[str, frozenset[UUID]]] | None = None
    # The document that carries this one on: an approved invoice is where its payment request is. Of (session, id).
    carried_by: Callable[[Any, UUID], UUID | None] | None = None
    # The last civil day for its next act by law, where the law sets one. Of (session, id).
    due_on: Callable[[Any, UUID], date | None] | None = None
    # States in which its next version is written or due: the route on record is that of the version before.
    written_anew: frozenset[str] = frozenset()


@dataclass(frozen=True)
class State:
    """A document as it stands; `persons` says who took which part in it."""

    document_id: UUID
    agency_id: UUID
    kind: DocumentKind
    number: str
    status: str
    since: datetime
    amount: Money | None
    persons: Mapping[str, frozenset[UUID]]

    @property
    def everybody(self) -> frozenset[UUID]:
        """Whoever took a part in it."""
        return frozenset(person for persons in self.persons.values() for person in persons)


@dataclass(frozen=True)
class Deputy:
    """A person to whom somebody delegated a role in the document's agency."""

    role: str
    person_id: UUID
    from_person_id: UUID


@dataclass(frozen=True)
class Holder:
    """Who has the document: holders of `roles`, and of these the persons who are known to the service."""

    what: str
    roles: tuple[str, ...]
    since: datetime
    due_at: datetime | None = None
    approval_step_id: UUID | None = None
    deputies: tuple[UUID, ...] = ()
    only: tuple[UUID, ...] = ()
    apart: tuple[UUID, ...] = ()


@dataclass(frozen=True)
class Possible:
    """An act that may come next, and by whom; `waits_for` is what must come first."""

    rpc: str
    permission: str
    roles: tuple[str, ...]
    apart: tuple[UUID, ...] = ()
    only: tuple[UUID, ...] = ()
    waits_for: str = ""


@dataclass(frozen=True)
class Standing:
    """The answer to: where is it, who has it, since when, what next."""

    state: State
    collection: str
    route: Route | None
    holders: tuple[Holder, ...] = ()
    possible: tuple[Possible, ...] = ()
    carried_by: UUID | None = None
    due_on: date | None = None

    @property
    def due_at(self) -> datetime | None:
        """The earliest deadline of its open steps."""
        return min((one.due_at for one in self.holders if one.due_at is not None), default=None)


DECIDE = "finance.approval.decide"
ROUTE_OPEN, ROUTE_ENDED = "APPROVAL_ROUTE_OPEN", "APPROVAL_ROUTE_ENDED"


def standing(
    kind: DocumentType,
    state: State,
    route: Route | None,
    *,
    roles_of: Callable[[str], tuple[str, ...]],
    deputies: Collection[Deputy] = (),
    carried_by: UUID | None = None,
    due_on: date | None = None,
) -> Standing:
    """Where a document stands. `roles_of` says which roles hold a permission.

    A document that another one carries on is with nobody itself.
    """
    decided = route.persons if route is not None else frozenset()
    steps = _steps(route, state, deputies, state.everybody | decided)
    possible = [Possible(rpc, DECIDE, one.roles, one.apart) for one in steps for rpc in ("ApproveStep", "RejectStep")]
    waits_for = "" if state.status in kind.written_anew else _waits_for(route)
    onward: list[Possible] = []
    back: list[Possible] = []
    for act in kind.acts.get(state.status, ()):
        if carried_by is not None and act.onward:
            continue
        apart = frozenset(person for part in act.apart for person in state.persons.get(part, ()))
        if act.keeps_deciders_apart:
            apart |= decided
        blocked = waits_for if act.routed else ""
        one = Possible(
            act.rpc,
            act.permission,
            roles_of(act.permission),
            tuple(sorted(apart)),
            tuple(sorted(state.persons.get(act.only, ()))) if act.only else (),
            blocked,
        )
        possible.append(one)
        if not blocked:
            (onward if act.onward else back).append(one)
    # Once its route was rejected, the document is with those who may take it back.
    asked = back if waits_for == ROUTE_ENDED else onward
    holders = [*steps, *(Holder(one.rpc, one.roles, state.since, only=one.only, apart=one.apart) for one in asked)]
    return Standing(state, kind.collection, route, tuple(holders), tuple(possible), carried_by, due_on)


def _steps(route: Route | None, state: State, deputies: Collection[Deputy], taken: frozenset[UUID]) -> list[Holder]:
    """The open steps of a document's route: each is with its roles, and with the deputies of those who hold them."""
    if route is None or route.status is not ApprovalStatus.PENDING:
        return []
    return [
        Holder(
            step.display_name,
            step.roles,
            step.opened_at or state.since,
            step.due_at,
            step.approval_step_id,
            tuple(
                sorted(
                    {
                        one.person_id
                        for one in deputies
                        if one.role in step.roles and not {one.person_id, one.from_person_id} & taken
                    }
                )
            ),
            apart=tuple(sorted(taken)),
        )
        for step in route.open_steps
    ]


def concerns(one: Standing, kind: DocumentType, person_id: UUID, roles: Collection[str]) -> bool:
    """Whether the document waits for this person, who holds `roles` in its agency."""
    duties = {act.rpc for act in kind.acts.get(one.state.status, ()) if act.duty}
    for holder in one.holders:
        if person_id in holder.apart or (holder.only and person_id not in holder.only):
            continue
        if holder.approval_step_id is None and holder.what not in duties:
            continue
        if person_id in holder.deputies or set(roles) & set(holder.roles):
            return True
    return False


def _waits_for(route: Route | None) -> str:
    if route is None or route.status is ApprovalStatus.APPROVED:
        return ""
    return ROUTE_OPEN if route.status is ApprovalStatus.PENDING else ROUTE_ENDED
