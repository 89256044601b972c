"""Takes the steps of sagas: claims what is due by a lease, runs it, and decides about what failed."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog
from nameko.extensions import SharedExtension
from sqlalchemy import text

from chassis import telemetry
from chassis.call import TransactionConflict
from chassis.database import Transactions, transactions_of
from chassis.errors import Aborted, DeadlineExceeded, KelolaError, ResourceExhausted, Unavailable
from chassis.ids import new_id

if TYPE_CHECKING:
    from chassis.saga import SagaStep

log = structlog.get_logger("chassis.saga")

# Set after the commit of whatever gives the runners of this process work.
WAKE = threading.Event()

# Steps that run at once in a process: each waits for its peer most of the time.
RUNNERS = 4
_LOOK_EVERY_SECONDS = 0.3
# A step that takes longer than its lease is run by another, and its own outcome is refused.
LEASE_SECONDS = 60
_BACKOFF_FIRST_SECONDS = 0.2
_BACKOFF_LAST_SECONDS = 30.0
# Tries of one step whose outcome is not known, and failures that no waiting explains.
TRIES_MAX = 200
FAILURES_MAX = 5

_TRANSIENT = (Unavailable, DeadlineExceeded, Aborted, ResourceExhausted, TransactionConflict)

_CLAIM = text(
    """
    update saga set lease_id = :lease_id, tries = tries + 1,
                    leased_until = clock_timestamp() + make_interval(secs => :lease)
    where saga_id in (select saga_id from saga
                      where status in ('RUNNING', 'COMPENSATING') and retry_at <= clock_timestamp()
                            and (leased_until is null or leased_until < clock_timestamp())
                            and kind = any (:kinds)
                      order by retry_at limit :free for update skip locked)
    returning *
    """
)

_LATER = text(
    """
    update saga set error = :error, failures = failures + :failed, lease_id = null, leased_until = null,
                    retry_at = clock_timestamp() + make_interval(secs => :pause),
                    status = case when tries >= :tries_max or failures + :failed >= :failures_max
                                       or deadline_at < clock_timestamp()
                                  then 'STUCK' else status end
    where saga_id = :saga_id and lease_id = :lease_id
    returning status
    """
)


class SagaRunner(SharedExtension):
    """Runs every `@saga_step` method of the service."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._steps: dict[tuple[str, bool], SagaStep] = {}
        self._stopping = threading.Event()

    def register(self, step: SagaStep) -> None:
        """Take a method in; two of one kind are a mistake."""
        key = (step.kind, step.compensation)
        if self._steps.setdefault(key, step) is not step:
            raise RuntimeError(f"two methods take the saga step {step.kind}")

    def start(self) -> None:
        """Start looking for what is due."""
        if not self._steps:
            return
        container = self.container
        loop = Loop(
            dict(self._steps),
            transactions_of(container),
            self._stopping,
            worker=container.worker,
        )
        container.spawn_managed_thread(loop.run, "saga-runner")

    def stop(self) -> None:
        """Steps under way are finished."""
        self._stopping.set()
        WAKE.set()


class Loop:
    """Claims and runs, until it is stopped."""

    def __init__(
        self,
        steps: Mapping[tuple[str, bool], SagaStep],
        transactions: Transactions,
        stopping: threading.Event,
        *,
        worker: Callable[[SagaStep, tuple[Any, ...]], Any],
    ) -> None:
        self._steps = dict(steps)
        self._kinds = sorted({kind for kind, _ in steps})
        self._transactions = transactions
        self._stopping = stopping
        self._worker = worker
        self._free = threading.Semaphore(RUNNERS)

    def run(self) -> None:
        """Until stopped. A database that is away is waited for."""
        with ThreadPoolExecutor(RUNNERS, thread_name_prefix="saga") as pool:
            while not self._stopping.is_set():
                WAKE.clear()
                if not self._free.acquire(timeout=_LOOK_EVERY_SECONDS):
                    continue
                row = self._claim()
                if row is None:
                    self._free.release()
                    WAKE.wait(_LOOK_EVERY_SECONDS)
                else:
                    pool.submit(self._run_and_free, row)

    def _claim(self) -> dict[str, Any] | None:
        try:
            with self._transactions.work((), subject="saga-runner") as session:
                values = {"lease_id": new_id(), "lease": LEASE_SECONDS, "kinds": self._kinds, "free": 1}
                row = session.execute(_CLAIM, values).mappings().first()
                return dict(row) if row is not None else None
        except Exception as failure:
            if not isinstance(failure, _TRANSIENT):
                log.exception("sagas could not be looked through")
            self._stopping.wait(_LOOK_EVERY_SECONDS)
            return None

    def _run_and_free(self, row: dict[str, Any]) -> None:
        try:
            self.run_one(row)
        except Exception:
            log.exception("a saga's failure could not be recorded", saga_id=str(row["saga_id"]))
        finally:
            self._free.release()
            WAKE.set()

    def run_one(self, row: dict[str, Any]) -> None:
        """Run the step of one claimed row, and note its failure if it fails."""
        from chassis.saga import LeaseLost, StepInError, step_of

        step = step_of(row)
        attributes = {
            "kelola.saga": str(step.saga_id),
            "kelola.document": str(step.document_id),
            "kelola.agency": str(step.agency_id or ""),
            "kelola.tries": row["tries"],
        }
        with telemetry.continue_trace(row["traceparent"]):
            try:
                with telemetry.span(f"saga {step.kind}", attributes=attributes):
                    entrypoint = self._steps.get((step.kind, row["status"] == "COMPENSATING"))
                    if entrypoint is None:
                        raise StepInError(f"no method undoes the saga step {step.kind}")
                    with self._worker(entrypoint, (step,)) as method:
                        method(step)
                    step.check_ended(None)  # type: ignore[arg-type]  # only the flag is looked at
            except LeaseLost as failure:
                log.warning("a saga went on without this run", saga_id=str(step.saga_id), detail=str(failure))
            except Exception as failure:
                self._later(step.saga_id, step.lease_id, row["tries"], failure)

    def _later(self, saga_id: UUID, lease_id: UUID, tries: int, failure: Exception) -> None:
        transient = isinstance(failure, _TRANSIENT)
        ceiling = min(_BACKOFF_LAST_SECONDS, _BACKOFF_FIRST_SECONDS * 2 ** min(tries, 16))
        values = {
            "saga_id": saga_id,
            "lease_id": lease_id,
            "error": _words(failure),
            "failed": 0 if transient else 1,
            # Full jitter would let a step come back at once; half of it keeps the runners apart as well.
            "pause": ceiling * random.uniform(0.5, 1.0),  # noqa: S311  # no secret
            "tries_max": TRIES_MAX,
            "failures_max": FAILURES_MAX,
        }
        status = self._note(values)
        known = {"saga_id": str(saga_id), "error": values["error"], "tries": tries}
        if status == "STUCK":
            log.error("a saga is stuck", **known, exc_info=None if transient else failure)
        elif transient:
            log.info("a saga step is taken again", **known)
        else:
            log.error("a saga step failed", **known, exc_info=failure)

    def _note(self, values: dict[str, Any]) -> str | None:
        """Record the failure; when even that fails, the lease runs out and the step is taken again."""
        end = time.monotonic() + LEASE_SECONDS / 2
        while True:
            try:
                with self._transactions.work((), subject="saga-runner") as session:
                    row = session.execute(_LATER, values).first()
                    return str(row.status) if row is not None else None
            except _TRANSIENT:
                if time.monotonic() > end or self._stopping.wait(0.5):
                    return None


def _words(failure: Exception) -> str:
    if isinstance(failure, KelolaError):
        return f"{failure.reason}: {failure.message}"[:2_000]
    return f"{type(failure).__name__}: {failure}"[:500]
