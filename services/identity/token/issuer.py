"""The issuer: its name, its keys, its clients, the lives of its tokens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from chassis import auth
from services.identity.settings import IdentitySettings
from services.identity.token import domain
from services.identity.token.domain import Assertion, TokenOrder
from services.identity.token.keys import Clients, TokenKeys


class Issuer:
    """Checks who asks and signs what is granted. Safe to use from many threads."""

    def __init__(self, settings: IdentitySettings) -> None:
        self.name = settings.token_issuer
        self.keys = TokenKeys.from_file(settings.key_file("token_keys"))
        self._clients = Clients(settings.client_jwks)
        self._lifetime_default = timedelta(seconds=settings.token_lifetime_default_seconds)
        self._lifetime_max = timedelta(seconds=settings.token_lifetime_max_seconds)

    def assertion(self, text: str, *, at: datetime) -> Assertion:
        """The client assertion in `text`. Raises CLIENT_ASSERTION_INVALID."""
        return self._clients.assertion(text, issuer=self.name, at=at)

    def lifetime(self, order: TokenOrder) -> timedelta:
        """How long the token lives; INVALID_ARGUMENT beyond the longest."""
        return domain.lifetime(order, default=self._lifetime_default, longest=self._lifetime_max)

    def sign(
        self, order: TokenOrder, grants: Sequence[tuple[str, Sequence[UUID]]], lifetime: timedelta, at: datetime
    ) -> str:
        """The token; TOKEN_TOO_LARGE when a call could not carry it."""
        token = auth.issue_token(
            self.keys.signing,
            issuer=self.name,
            subject=order.subject,
            audience=order.audiences,
            lifetime_seconds=int(lifetime.total_seconds()),
            claims={"grants": auth.grants_claim(grants)},
            now=at.timestamp(),
        )
        domain.require_size(len(token))
        return token
