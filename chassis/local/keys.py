"""The platform's keys, made once below `<home>/keys/`: one a service, and the operator's.

Private keys are JWK files that only our user may read. Beside them lie the public sets: `services.jwks.json` (for
the services' self-signed tokens, `kid` is the service's name) and `clients.jwks.json` (who may ask identity for
people's tokens; here the operator alone). Identity makes the keys that sign people's tokens itself.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chassis import auth
from chassis.local.databases import write_private

OPERATOR = "operator"
# The operator may ask for a token of any person and for one of its own: this is a machine for one developer.
_OPERATOR_SUBJECTS = ["operator", "persons"]


@dataclass(frozen=True)
class Keys:
    """Where the keys are."""

    folder: Path

    def private(self, name: str) -> Path:
        """The file of a private key: a service's name, or `operator`."""
        return self.folder / f"{name}.jwk"

    @property
    def services_jwks(self) -> Path:
        """The public keys of the services."""
        return self.folder / "services.jwks.json"

    @property
    def clients_jwks(self) -> Path:
        """The public keys of those who may ask for tokens."""
        return self.folder / "clients.jwks.json"

    def make(self, services: list[str]) -> None:
        """Make the keys that are missing, and write the public sets anew. Safe to repeat."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in [*services, OPERATOR]:
            if not self.private(name).exists():
                write_private(self.private(name), json.dumps(auth.new_key(name).as_dict(private=True)))
        write_private(self.services_jwks, json.dumps(self._public(services), indent=1))
        clients = self._public([OPERATOR])
        for entry in clients["keys"]:
            entry["subjects"] = _OPERATOR_SUBJECTS
        write_private(self.clients_jwks, json.dumps(clients, indent=1))

    def _public(self, names: list[str]) -> dict[str, list[dict[str, Any]]]:
        return auth.public_jwks(auth.load_key(self.private(name)) for name in names)
