"""Personal data at rest: sealed by envelope, found by a keyed hash.

Each row has a data key of its own (AES-256-GCM, 96-bit random nonce); the data key is wrapped by a master key
whose id stands in the row, so that changing the master key rewraps small keys and leaves the data alone. The
table and the primary key are authenticated with it (AAD): a sealed value copied into another row does not open.
The blind index is HMAC-SHA-256 under a key of its own: equal numbers have equal indexes, and nobody without the
key can try numbers.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_KEY_BYTES = 32
_NONCE_BYTES = 12


class KeyFileInvalid(ValueError):
    """The file of keys is not what it should be; the message names the file and no key."""


class SealBroken(ValueError):
    """A sealed value does not open: another key, another row, or altered bytes."""


@dataclass(frozen=True)
class Sealed:
    """A sealed value as a row keeps it."""

    key_id: str  # the master key that wraps the data key
    wrapped_key: bytes
    ciphertext: bytes


class Sealer:
    """Seals, opens and indexes with a set of master keys; the current one seals, all of them open."""

    def __init__(self, current_key_id: str, master_keys: dict[str, bytes], index_key: bytes) -> None:
        if current_key_id not in master_keys:
            raise KeyFileInvalid(f"the current key {current_key_id} is not among the keys")
        if any(len(key) != _KEY_BYTES for key in [*master_keys.values(), index_key]):
            raise KeyFileInvalid(f"every key has {_KEY_BYTES} bytes")
        self._current_key_id = current_key_id
        self._masters = {key_id: AESGCM(key) for key_id, key in master_keys.items()}
        self._index_key = index_key

    @property
    def index_key_id(self) -> str:
        """A name of the index key that tells nothing of it: rows under another one cannot be found with this."""
        return hmac.new(self._index_key, b"index-key-id", hashlib.sha256).hexdigest()[:16]

    @property
    def key_ids(self) -> frozenset[str]:
        """The master keys that this sealer can open with."""
        return frozenset(self._masters)

    def seal(self, table: str, key: UUID, plaintext: bytes) -> Sealed:
        """Seal `plaintext` for the row of `table` with primary key `key`."""
        data_key = AESGCM.generate_key(_KEY_BYTES * 8)
        place = _place(table, key)
        return Sealed(
            self._current_key_id,
            _encrypt(self._masters[self._current_key_id], data_key, b"key:" + place),
            _encrypt(AESGCM(data_key), plaintext, b"data:" + place),
        )

    def open(self, table: str, key: UUID, sealed: Sealed) -> bytes:
        """The plaintext; SealBroken when the key is not at hand, the row is another, or a byte was changed."""
        master = self._masters.get(sealed.key_id)
        if master is None:
            raise SealBroken(f"{table} {key} is sealed under key {sealed.key_id}, which is not in the key file")
        place = _place(table, key)
        try:
            data_key = _decrypt(master, sealed.wrapped_key, b"key:" + place)
            return _decrypt(AESGCM(data_key), sealed.ciphertext, b"data:" + place)
        except InvalidTag:
            raise SealBroken(f"{table} {key} does not open: another row's value, or altered") from None

    def blind_index(self, kind: str, value: str) -> bytes:
        """32 bytes by which an equal value of the same kind is found again."""
        return hmac.new(self._index_key, f"{kind}\x1f{value}".encode(), hashlib.sha256).digest()

    def __repr__(self) -> str:
        return f"Sealer(current={self._current_key_id!r})"


def _place(table: str, key: UUID) -> bytes:
    return table.encode() + b"\x1f" + key.bytes


def _encrypt(key: AESGCM, plaintext: bytes, aad: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + key.encrypt(nonce, plaintext, aad)


def _decrypt(key: AESGCM, sealed: bytes, aad: bytes) -> bytes:
    return key.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], aad)


def load(file: Path) -> Sealer:
    """The sealer with the keys of `file`: {"current": id, "master_keys": {id: base64}, "index_key": base64}."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        masters = {str(key_id): base64.b64decode(key, validate=True) for key_id, key in content["master_keys"].items()}
        return Sealer(content["current"], masters, base64.b64decode(content["index_key"], validate=True))
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError, binascii.Error) as bad:
        # The exception's own words may hold a part of a key.
        raise KeyFileInvalid(f"{file} is not a file of sealing keys ({type(bad).__name__})") from None


def new_key_file_content() -> str:
    """Fresh keys in the form that `load` reads."""
    return json.dumps(
        {
            "current": "1",
            "master_keys": {"1": base64.b64encode(os.urandom(_KEY_BYTES)).decode()},
            "index_key": base64.b64encode(os.urandom(_KEY_BYTES)).decode(),
        },
        indent=1,
    )
