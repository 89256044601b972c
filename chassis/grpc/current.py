"""The call that this thread works for, so that `Peer` can pass on its deadline, person and token."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from chassis.call import Call

_thread = threading.local()


@dataclass(frozen=True)
class Current:
    """A call and the token with which it came (None for a public one)."""

    call: Call
    token: str | None


def current() -> Current | None:
    """The call that this thread works for; None in loops, consumers and saga steps."""
    found: Current | None = getattr(_thread, "current", None)
    return found


@contextmanager
def working_for(call: Call, token: str | None) -> Iterator[None]:
    """Mark the thread as working for `call` during the block."""
    before = current()
    _thread.current = Current(call, token)
    try:
        yield
    finally:
        _thread.current = before
