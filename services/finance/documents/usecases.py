"""Where documents stand, whose desk they are on, and who took a part in one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID

from sqlmodel import Session

from services.finance.approval import delegation_store as delegations
from services.finance.approval import store as routes
from services.finance.approval.domain import Route
from services.finance.documents import domain, store
from services.finance.documents.domain import Deputy, DocumentKind, Standing, State
from services.finance.documents.kinds import KINDS
from services.finance.documents.store import Desk, Duty

RolesOf = Callable[[str], tuple[str, ...]]


def get(session: Session, document_id: UUID, *, roles_of: RolesOf, on: date) -> Standing:
    """Where one document stands on a day; NOT_FOUND when the caller does not see it."""
    state = store.state(session, document_id)
    deputies = store.deputies(session, [state.agency_id], on)[state.agency_id]
    return _standing(session, state, routes.route(session, document_id), roles_of, deputies)


def read_permission(kind: DocumentKind) -> str:
    """What its reader has to hold in the document's agency."""
    return KINDS[kind].read_permission


def parties(session: Session, document_id: UUID) -> frozenset[UUID]:
    """Everybody who took a part in a document: none of them decides on its route."""
    state = store.find(session, document_id)
    return frozenset() if state is None else _known(session, state).everybody


def desk_of(
    session: Session,
    person_id: UUID,
    *,
    agencies_of: Callable[[str], frozenset[UUID]],
    grants: Iterable[tuple[str, Collection[UUID]]],
    on: date,
) -> Desk:
    """What a person may do: by the permissions of his grants, by their roles, and by roles delegated to him."""
    duties = [
        Duty(kind.kind, status, held, act.apart, act.routed, act.keeps_deciders_apart)
        for kind in KINDS.values()
        for status, acts in kind.acts.items()
        for act in acts
        if act.duty and act.onward and (held := agencies_of(act.permission))
    ]
    own = [(role, agency_id, None) for role, agencies in grants for agency_id in agencies]
    lent = [
        (one.role, agency_id, one.from_person_id)
        for agency_id, one in delegations.deputies(session, person_id, on, None)
    ]
    return Desk(person_id, duties, [*own, *lent])


def waiting(
    session: Session,
    desk: Desk,
    *,
    roles_of: RolesOf,
    agency_id: UUID | None,
    kind: DocumentKind | None,
    mine: bool,
    on: date,
    after: tuple[Any, ...] | None,
    limit: int,
) -> tuple[list[Standing], State | None]:
    """A page of documents that wait for a person (`mine`: that he has a part in), and its last row if more follow.

    What his own row does not say of a document, such as whose imprest it spends, is looked at here, so a page may be
    shorter than its size.
    """
    filters: dict[str, Any] = {"agency_id": agency_id, "kind": kind, "after": after, "limit": limit + 1}
    if mine:
        unfinished = {
            one.kind: [status for status, acts in one.acts.items() if any(act.duty and act.onward for act in acts)]
            for one in KINDS.values()
        }
        found = store.made_by(session, desk.person_id, unfinished, **filters)
    else:
        found = store.waiting(session, desk, **filters)
    shown = found[:limit]
    standings = _standings(session, shown, roles_of, on)
    if not mine:
        standings = [one for one in standings if _concerns(one, desk)]
    return standings, shown[-1] if len(found) > limit else None


def _concerns(one: Standing, desk: Desk) -> bool:
    roles = [role for role, agency_id, behalf in desk.roles if behalf is None and agency_id == one.state.agency_id]
    return domain.concerns(one, KINDS[one.state.kind], desk.person_id, roles)


def _standings(session: Session, states: Sequence[State], roles_of: RolesOf, on: date) -> list[Standing]:
    deputies = store.deputies(session, {state.agency_id for state in states}, on)
    known = {one.subject.document_id: one for one in routes.routes(session, [state.document_id for state in states])}
    return [
        _standing(session, state, known.get(state.document_id), roles_of, deputies[state.agency_id]) for state in states
    ]


def _standing(
    session: Session, state: State, route: Route | None, roles_of: RolesOf, deputies: Collection[Deputy]
) -> Standing:
    kind = KINDS[state.kind]
    carried_by = None if kind.carried_by is None else kind.carried_by(session, state.document_id)
    return domain.standing(
        kind,
        _known(session, state),
        route,
        roles_of=roles_of,
        deputies=deputies,
        carried_by=carried_by,
        due_on=None if kind.due_on is None else kind.due_on(session, state.document_id),
    )


def _known(session: Session, state: State) -> State:
    also = KINDS[state.kind].also
    if also is None:
        return state
    return replace(state, persons={**state.persons, **also(session, state.document_id)})
