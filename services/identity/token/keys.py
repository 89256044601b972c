"""The issuer's own keys, and the keys of the clients that may ask it for tokens."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from chassis import auth
from services.identity import key_files
from services.identity.token import domain
from services.identity.token.domain import Assertion, Client, ClientAssertionInvalid


class KeyFileInvalid(ValueError):
    """A file of keys is not what it should be; the message names the file and no key."""


def _key_set(file: Path) -> list[dict[str, Any]]:
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))["keys"]
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise TypeError("`keys` is no list of objects")
    except (OSError, ValueError, KeyError, TypeError) as bad:
        # The exception's own words may hold a part of a key.
        raise KeyFileInvalid(f"{file} is no JSON Web Key Set ({type(bad).__name__})") from None
    return entries


def _key(entry: dict[str, Any], file: Path, *, private: bool) -> OKPKey:
    try:
        key = OKPKey.import_key(entry)
    except (JoseError, ValueError, TypeError, KeyError) as bad:
        raise KeyFileInvalid(f"{file} holds a key that is no Ed25519 JWK ({type(bad).__name__})") from None
    if key.curve_name != "Ed25519" or not key.kid or (private and not key.is_private):
        raise KeyFileInvalid(f"{file} holds a key without kid, or that is no {'private ' * private}Ed25519 key")
    return key


class TokenKeys:
    """The private keys of the issuer; the first signs, all are published."""

    def __init__(self, keys: Sequence[OKPKey]) -> None:
        self._keys = list(keys)

    @classmethod
    def from_file(cls, file: Path) -> TokenKeys:
        """The keys of a JWKS file, made with one fresh key when the file is missing."""
        key_files.ensure(file, _new_key_set)
        keys = [_key(entry, file, private=True) for entry in _key_set(file)]
        if not keys:
            raise KeyFileInvalid(f"{file} holds no key")
        return cls(keys)

    @property
    def signing(self) -> OKPKey:
        """The key that signs now."""
        return self._keys[0]

    def public(self) -> dict[str, list[dict[str, Any]]]:
        """The JWKS document of the public keys."""
        return auth.public_jwks(self._keys)


def _new_key_set() -> str:
    key = auth.new_key(f"token-{secrets.token_hex(4)}")
    return json.dumps({"keys": [dict(key.as_dict(private=True))]}, indent=1)


class Clients:
    """The registered clients, from a JWKS file that is read again when it changes. No file: no clients."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._state: tuple[int, dict[str, tuple[Client, OKPKey]]] = (0, {})
        if file is not None and file.exists():
            self._clients()

    def _clients(self) -> dict[str, tuple[Client, OKPKey]]:
        if self._file is None or not self._file.exists():
            return {}
        changed = self._file.stat().st_mtime_ns
        if changed != self._state[0]:
            found = {}
            for entry in _key_set(self._file):
                key = _key({name: entry[name] for name in entry if name != "subjects"}, self._file, private=False)
                found[str(key.kid)] = (domain.client(str(key.kid), entry.get("subjects")), key)
            self._state = (changed, found)
        return self._state[1]

    def assertion(self, text: str, *, issuer: str, at: datetime) -> Assertion:
        """The assertion in `text`, its signature checked. Raises CLIENT_ASSERTION_INVALID."""
        clients = self._clients()
        try:
            kid = str(jws.extract_compact(text.encode()).headers()["kid"])
            client, key = clients[kid]
            claims = dict(jwt.decode(text, key, algorithms=["Ed25519"]).claims)
        except (JoseError, ValueError, TypeError, KeyError):
            # One answer for all of them: whoever guesses clients learns nothing.
            raise ClientAssertionInvalid("the assertion is not signed by a registered client's key") from None
        return domain.assertion(client, claims, issuer=issuer, at=at)
