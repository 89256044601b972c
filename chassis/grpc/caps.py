"""The cap on what runs at once. Beyond it a call is refused at once, so that no queue grows unseen."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from chassis.errors import ResourceExhausted


class Cap:
    """At most `limit` holders at a time. `what` is said in the refusal."""

    def __init__(self, limit: int, what: str) -> None:
        self.limit, self._what = limit, what
        self._places = threading.BoundedSemaphore(limit)

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place for the block's length; RESOURCE_EXHAUSTED with RetryInfo when all are taken."""
        if not self._places.acquire(blocking=False):
            raise ResourceExhausted(
                f"{self.limit} {self._what} are already under way here; come back after the given delay",
                metadata={"limit": str(self.limit)},
                retry_after_seconds=1,
            )
        try:
            yield
        finally:
            self._places.release()
