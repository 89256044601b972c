"""Tokens that nobody issued: signed with the running issuer's own key, with whatever a test wants in them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from chassis import auth
from chassis.local.platform import Platform
from chassis.settings import ServiceSettings
from services.identity.token.keys import TokenKeys

ISSUER: str = ServiceSettings.model_fields["token_issuer"].default


class Tokens:
    """Signs for one platform."""

    def __init__(self, platform: Platform) -> None:
        self._issuer_key = TokenKeys.from_file(platform.directory / "identity" / "token_keys.json").signing
        self._platform = platform
        self.services = list(platform.services)

    def token(
        self,
        person_id: UUID | str,
        grants: Iterable[tuple[str, Iterable[UUID]]],
        *,
        audience: Iterable[str] | None = None,
        issuer: str = ISSUER,
        lifetime_seconds: int = 3600,
        now: float | None = None,
        key: auth.SigningKey | None = None,
        claims: Mapping[str, Any] | None = None,
    ) -> str:
        """A person's token."""
        return auth.issue_token(
            key or self._issuer_key,
            issuer=issuer,
            subject=str(person_id),
            audience=list(audience or self.services),
            lifetime_seconds=lifetime_seconds,
            claims={"grants": auth.grants_claim(grants), **(claims or {})},
            now=now,
        )

    def of_service(self, service: str, audience: str, *, person_id: UUID, agencies: Iterable[UUID]) -> str:
        """A service's own token."""
        key = auth.load_key(self._platform.keys.private(service))
        return auth.service_token(key, service=service, audience=audience, person_id=person_id, agencies=agencies)

    @staticmethod
    def unsigned(token: str) -> str:
        """The same claims, with `alg: none` and no signature (RFC 7519 §6)."""
        header, claims, _ = token.split(".")
        fields = json.loads(base64.urlsafe_b64decode(header + "=="))
        bare = json.dumps({**fields, "alg": "none"}).encode()
        return f"{base64.urlsafe_b64encode(bare).rstrip(b'=').decode()}.{claims}."

    def foreign_key(self) -> auth.SigningKey:
        """A key that nobody trusts, under the trusted key's own id."""
        return auth.new_key(str(self._issuer_key.kid))
