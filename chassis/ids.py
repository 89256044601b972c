"""Identifiers. Ids are UUIDv7 (time-ordered, so that indexes stay tight); order of ids is never taken for truth."""

from __future__ import annotations

from uuid import UUID, uuid5

import uuid_utils

# The namespace of ids that are derived, so that a repeated act derives the same id. Made once, at random.
_KELOLA = UUID("5b0f6f0e-6a54-4d29-9e0a-6c6b6f9b1c11")


def new_id() -> UUID:
    """A fresh UUIDv7."""
    return UUID(int=uuid_utils.uuid7().int)


def derived_id(*parts: object) -> UUID:
    """The id that these parts always give (UUIDv5): for saga steps, repeatable runs and natural keys."""
    return uuid5(_KELOLA, "\x1f".join(str(part) for part in parts))
