"""Used client assertions."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session

from services.identity.token.domain import Assertion, ClientAssertionInvalid
from services.identity.token.tables import ClientAssertionRow


def use_assertion(session: Session, assertion: Assertion) -> None:
    """Mark the assertion as used; CLIENT_ASSERTION_INVALID when it was."""
    added = session.execute(
        insert(ClientAssertionRow)
        .values(client_id=assertion.client.client_id, jti=assertion.jti, expires_at=assertion.expires_at)
        .on_conflict_do_nothing()
        .returning(ClientAssertionRow.jti)
    ).first()
    if added is None:
        raise ClientAssertionInvalid("the assertion was used before; sign one with a fresh jti for each call")


def forget_assertions(session: Session, before: datetime) -> None:
    """Delete assertions that expired before `before`: they are refused by their exp."""
    session.execute(delete(ClientAssertionRow).where(ClientAssertionRow.expires_at < before))
