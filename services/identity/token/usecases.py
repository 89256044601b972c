"""What goes into a token: load, decide."""

from __future__ import annotations

from collections.abc import Mapping, Set
from datetime import date
from uuid import UUID

from sqlmodel import Session

from chassis.errors import NotFound
from services.identity.access import store as access
from services.identity.person import store as persons
from services.identity.token import domain, store
from services.identity.token.domain import Assertion, TokenOrder


def token_grants(
    session: Session,
    order: TokenOrder,
    assertion: Assertion,
    *,
    children: Mapping[UUID, list[UUID]],
    agencies: Set[UUID],
    day: date,
) -> list[tuple[str, list[UUID]]]:
    """Use the assertion up and say what the token grants. The transaction must see all `agencies`."""
    store.use_assertion(session, assertion)
    held = []
    if order.person_id is not None:
        if not persons.person_exists(session, order.person_id):
            raise NotFound.resource("person", order.person_id)
        held = access.grants_of(session, order.person_id, day)
    return domain.grants(order, held=held, children=children, agencies=agencies, day=day)
