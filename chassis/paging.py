"""Pages of a list: keyset tokens that stay right while rows are inserted (AIP-158).

A token carries the last key of the page before and a mark of the list it belongs to (request type and
filters), so a token of another list or filter is refused. It is no secret and no authority: whoever forges
one only chooses where a page of rows that he may see begins.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from chassis.errors import InvalidArgument

PAGE_SIZE_DEFAULT = 50
PAGE_SIZE_MAX = 500
_MARK_BYTES = 12
_TOKEN_CHARACTERS_MAX = 4096

Key = UUID | datetime | date | int | str | None


class PageTokenInvalid(InvalidArgument):
    """The page token is not one of this list's."""

    reason = "PAGE_TOKEN_INVALID"


def _plain(key: Key) -> list[Any]:
    # A datetime is a date too, so it is asked first.
    if isinstance(key, bool) or (key is not None and not isinstance(key, UUID | datetime | date | int | str)):
        raise TypeError(f"a page key is a UUID, instant, day, whole number or text, not {type(key).__name__}")
    if isinstance(key, UUID):
        return ["u", str(key)]
    if isinstance(key, datetime):
        return ["t", key.isoformat()]
    if isinstance(key, date):
        return ["d", key.isoformat()]
    if isinstance(key, int):
        return ["i", key]
    return ["s", key] if key is not None else ["n", 0]


def _key(kind: str, value: Any) -> Key:
    if kind == "u":
        return UUID(value)
    if kind == "t":
        return datetime.fromisoformat(value)
    if kind == "d":
        return date.fromisoformat(value)
    if kind == "i" and type(value) is int:
        return value
    if kind == "s" and isinstance(value, str):
        return value
    if kind == "n":
        return None
    raise ValueError(f"no key kind {kind!r}")


@dataclass(frozen=True)
class Page:
    """One page that was asked for: up to `size` rows whose key comes after `after` (None: from the start)."""

    size: int
    after: tuple[Any, ...] | None
    _list_mark: bytes

    @classmethod
    def of(cls, request: Any, filters: Mapping[str, object] | None = None) -> Page:
        """The page that `request` (with `page_size` and `page_token`) asks for.

        `filters` are the values that decide which rows are in the list; their text must be stable. Size 0 is
        the default of 50, more than 500 becomes 500. Raises INVALID_ARGUMENT for a negative size, and
        PAGE_TOKEN_INVALID for a token that this list with these filters did not give.
        """
        if request.page_size < 0:
            raise InvalidArgument.field("page_size", f"{request.page_size} is negative; 0 asks for the default")
        described = json.dumps([request.DESCRIPTOR.full_name, sorted((k, str(v)) for k, v in (filters or {}).items())])
        list_mark = hashlib.sha256(described.encode()).digest()[:_MARK_BYTES]
        size = min(request.page_size or PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)
        after = _opened(request.page_token, list_mark) if request.page_token else None
        return cls(size, after, list_mark)

    def token(self, last_key: Sequence[Key]) -> str:
        """The token of the page that follows the row with `last_key`, the values the list is ordered by."""
        body = json.dumps([_plain(part) for part in last_key], separators=(",", ":")).encode()
        mark = hashlib.sha256(self._list_mark + body).digest()[:_MARK_BYTES]
        return _encoded(mark + body)


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _opened(token: str, list_mark: bytes) -> tuple[Any, ...]:
    try:
        if len(token) > _TOKEN_CHARACTERS_MAX:
            raise ValueError("too long")
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        if _encoded(raw) != token:
            # base64 has several spellings of one text; a token has one.
            raise ValueError("not as it was given")
        mark, body = raw[:_MARK_BYTES], raw[_MARK_BYTES:]
        if mark != hashlib.sha256(list_mark + body).digest()[:_MARK_BYTES]:
            raise ValueError("foreign or altered")
        return tuple(_key(kind, value) for kind, value in json.loads(body))
    except (ValueError, TypeError) as bad:
        raise PageTokenInvalid(
            "page_token: not a token of this list with these filters; start again without one"
        ) from bad
