"""What is old goes: request ids, inbox rows, ended sagas and finished operations, a bounded number at a time.

    class FinanceService(..., RetentionEntrypoints):     # every service

The service's role may delete none of these rows by itself (but the keys that it claimed). It calls one function,
which runs as the owner, takes only what has ended, and refuses to take what is younger than a day. Any number of
processes may do so at once: each skips the rows that another is removing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import structlog
from nameko.extensions import DependencyProvider
from opentelemetry import metrics
from sqlalchemy import text

from chassis.container import every
from chassis.database import Transactions
from chassis.settings import ServiceSettings

log = structlog.get_logger("chassis.retention")

EVERY_SECONDS = 60.0
# A batch is one short transaction. Twenty batches a minute and table keep up with 660 rows a second, day and night.
BATCH_ROWS = 2_000
BATCHES_MAX = 20

# An operation is kept while the saga that does its work is open, whatever its own row says.
_FUNCTION = """
create function public.remove_old(what text, keep interval, most integer) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    before constant timestamptz := clock_timestamp() - keep;
    removed bigint;
begin
    if keep is null or keep < interval '1 day' then
        raise exception 'remove_old(%, %): what has ended is kept for a day at least', what, keep
            using errcode = '22023';
    end if;
    case what
    when 'idempotency' then
        delete from public.idempotency where ctid = any (array(
            select ctid from public.idempotency where claimed_at < before and answer is not null
            order by claimed_at limit most for update skip locked));
    when 'inbox' then
        delete from public.inbox where ctid = any (array(
            select ctid from public.inbox where taken_at < before
            order by taken_at limit most for update skip locked));
    when 'saga' then
        delete from public.saga where ctid = any (array(
            select ctid from public.saga where ended_at < before and status in ('DONE', 'COMPENSATED')
            order by ended_at limit most for update skip locked));
    when 'operation' then
        delete from public.operation where ctid = any (array(
            select ctid from public.operation where done and updated_at < before
                and not exists (select from public.saga
                                where saga.document_id = operation.operation_id
                                      and saga.status not in ('DONE', 'COMPENSATED'))
            order by updated_at limit most for update skip locked));
    else
        raise exception 'remove_old(%): there is nothing of that name to remove', what using errcode = '22023';
    end case;
    get diagnostics removed = row_count;
    return removed;
end $$;
"""

_REMOVE = text("select remove_old(:what, :keep, :most)")


def create(op: Any, app: str) -> None:
    """Make the function, in a migration, for the role `app` alone."""
    op.execute(_FUNCTION)
    op.execute("revoke all on function public.remove_old(text, interval, integer) from public")
    op.execute(f"grant execute on function public.remove_old(text, interval, integer) to {app}")


def times(settings: ServiceSettings) -> dict[str, timedelta]:
    """How long each table keeps what has ended."""
    return {
        "idempotency": timedelta(days=settings.idempotency_retention_days),
        "inbox": timedelta(days=settings.inbox_retention_days),
        "saga": timedelta(days=settings.ended_retention_days),
        "operation": timedelta(days=settings.ended_retention_days),
    }


class Retention(DependencyProvider):
    """`retention = Retention()`: removes what is older than the settings say."""

    def setup(self) -> None:
        """Read the settings."""
        settings: ServiceSettings = self.container.settings
        self._service = settings.service
        self._times = times(settings)
        self._removed = metrics.get_meter("kelola").create_counter("kelola.retention.removed", unit="{row}")

    def get_dependency(self, worker_ctx: object) -> Retention:
        """Itself, the same for every worker."""
        return self

    def remove_old(self, db: Transactions) -> Mapping[str, int]:
        """One pass over all tables, each to its limit; how many rows went of each."""
        gone = {what: self._remove(db, what, keep) for what, keep in self._times.items()}
        for what, rows in gone.items():
            if rows:
                self._removed.add(rows, {"kelola.service": self._service, "kelola.table": what})
                log.info("old rows removed", table=what, rows=rows, older_than_days=self._times[what].days)
        return gone

    def _remove(self, db: Transactions, what: str, keep: timedelta) -> int:
        total = 0
        for _ in range(BATCHES_MAX):
            with db.work((), subject="retention") as session:
                rows = int(session.execute(_REMOVE, {"what": what, "keep": keep, "most": BATCH_ROWS}).scalar_one())
            total += rows
            if rows < BATCH_ROWS or self.container.stopping.is_set():
                break
        return total


class RetentionEntrypoints:
    """An area that every service has: it removes what is old."""

    db: Transactions
    retention = Retention()

    @every(EVERY_SECONDS)  # type: ignore[untyped-decorator]  # nameko's decorators have no types
    def remove_what_is_old(self) -> None:
        """A pass; what it leaves goes with the next."""
        self.retention.remove_old(self.db)
