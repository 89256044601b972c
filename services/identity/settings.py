"""What identity must be told beyond what every service is (environment, prefix `KELOLA_`)."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from chassis.settings import ServiceSettings


class IdentitySettings(ServiceSettings):
    """Keys, clients and the lives of tokens. Times are seconds."""

    service: str = "identity"

    # Where keys that are made at the first start are kept. Not needed when both files below are given.
    data_dir: Path | None = None
    # {"current": id, "master_keys": {id: base64}, "index_key": base64}: they seal personal data. Losing them loses
    # the data; a vault writes this file in production.
    sealing_keys_file: Path | None = None
    # A JWKS of private Ed25519 keys; the first signs, the others' tokens may still be alive.
    token_keys_file: Path | None = None
    # Where the public keys are written at start, for services that read them from a file.
    jwks_file: Path | None = None
    # A JWKS of public keys: who may ask for tokens. `kid` is the client's id; the member `subjects` says for whom:
    # ["persons"] (the default) and, for the operator's own key, ["operator", "persons"].
    client_jwks: Path | None = None

    token_lifetime_default_seconds: int = Field(default=300, ge=10)
    token_lifetime_max_seconds: int = Field(default=3600, ge=10)

    # The HTTP door's address as clients reach it, for the discovery document; its own host and port when not given.
    http_public_url: str | None = None
    # Written (as host:port) once the HTTP door is open.
    http_address_file: Path | None = None

    @model_validator(mode="after")
    def _keys_have_a_place(self) -> Self:
        if self.data_dir is None and (self.sealing_keys_file is None or self.token_keys_file is None):
            raise ValueError("set KELOLA_DATA_DIR, or KELOLA_SEALING_KEYS_FILE and KELOLA_TOKEN_KEYS_FILE")
        if self.token_lifetime_default_seconds > self.token_lifetime_max_seconds:
            raise ValueError("token_lifetime_default_seconds is above token_lifetime_max_seconds")
        return self

    def key_file(self, name: str) -> Path:
        """The file that holds `sealing_keys` or `token_keys`."""
        given: Path | None = getattr(self, f"{name}_file")
        if given is not None:
            return given
        assert self.data_dir is not None
        return self.data_dir / f"{name}.json"
