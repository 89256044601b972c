"""When a storm is over: nothing under way, nothing unsent."""

from __future__ import annotations

import time

from chassis.local.services import service_names
from tests.faults.conftest import Town
from tests.faults.load import rows

_QUERIES = {
    "unsent events": "select count(*) from outbox where sent_at is null and parked_at is null",
    "open sagas": "select count(*) from saga where status in ('RUNNING', 'COMPENSATING')",
    "unchained audit rows": "select count(*) from audit where position is null",
}


def settle(town: Town, *, seconds: float = 120.0) -> None:
    """Wait until no saga is under way, no event is unsent and every audit row is chained; fail after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        left = {
            f"{service}: {what}": rows(town, service, query)[0][0]
            for service in service_names()
            for what, query in _QUERIES.items()
        }
        if not any(left.values()):
            return
        assert time.monotonic() < end, f"not settled: { {what: count for what, count in left.items() if count} }"
        time.sleep(0.5)
