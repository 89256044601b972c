"""Whether this thread has a database transaction open. While it has, no call leaves the process (`Peer` refuses):

a lock must never wait for a network.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_open = threading.local()


def transaction_is_open() -> bool:
    """Whether a transaction is open on this thread."""
    return getattr(_open, "depth", 0) > 0


@contextmanager
def open_transaction() -> Iterator[None]:
    """Mark this thread as one with an open transaction for the block's length; blocks may nest."""
    _open.depth = getattr(_open, "depth", 0) + 1
    try:
        yield
    finally:
        _open.depth -= 1
