"""The outbox's days: one table a UTC day, made ahead of time, dropped whole when they are old.

The days are tables of the schema `outbox_day`, which only the owner enters: everybody else goes through `outbox`.
The relay, whose role may make and drop nothing, calls three functions that run as the owner and do this alone:

    outbox_make_days(ahead)          the days from today on that are missing
    outbox_drop_day(keep)            the oldest day that is over, all sent, and sent longer than `keep` ago
    outbox_drain_late(keep, most)    the same by rows, in the table `late`

`late` is the default partition: it takes rows whose day is missing (a clock that was far off, a relay that was away
for longer than days were made ahead), so that no business transaction ever fails for want of a day. A few rows are
moved into their day when it is made; more stay, and are drained when they are old.

A day leaves by `drop table` under a short lock_timeout, to be tried again later: `detach … concurrently` is refused
by PostgreSQL where there is a default partition, and inside a function.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from chassis import database_errors

log = structlog.get_logger("chassis.relay")

# A relay that is away for a week-end and a few holidays still finds its days made.
DAYS_AHEAD = 7
LATE_ROWS_MAX = 5_000
# So long may a writer wait behind the drop of a day, which waits for the writers before it.
_LOCK_MILLISECONDS = 200
_STATEMENT_MILLISECONDS = 10_000

_SCHEMA = """
create schema outbox_day;
revoke all on schema outbox_day from public;

create function outbox_day.make(name text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    execute format('create table outbox_day.%1$I (like public.outbox including defaults including constraints)', name);
    -- Unique in the day: an index of the whole outbox would have to hold recorded_at as well.
    execute format('create unique index %2$I on outbox_day.%1$I (event_id)', name, 'uq_' || name || '_event_id');
    execute format('create unique index %2$I on outbox_day.%1$I (position) where position is not null',
                   name, 'uq_' || name || '_position');
end $$;

select outbox_day.make('late');
alter table public.outbox attach partition outbox_day.late default;

create function public.outbox_make_days(ahead integer) returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp set timezone = 'UTC' as $$
declare
    -- Where more rows than these came in before their day was made, they stay where they are.
    moved_max constant integer := 1000;
    today constant date := clock_timestamp()::date;
    day date;
    name text;
    waiting integer;
    made integer := 0;
begin
    if ahead is null or ahead < 0 or ahead > 31 then
        raise exception 'outbox_make_days(%): make 0 to 31 days ahead', ahead using errcode = '22023';
    end if;
    for day in select today + nth from generate_series(0, ahead) as nth loop
        name := to_char(day, '"d"YYYYMMDD');
        continue when to_regclass('outbox_day.' || name) is not null;
        -- Nobody may add to these rows while they are looked at.
        lock table outbox_day.late in access exclusive mode;
        select count(*) into waiting
        from (select from outbox_day.late
              where recorded_at >= day::timestamptz and recorded_at < (day + 1)::timestamptz
              limit moved_max + 1) as early;
        continue when waiting > moved_max;
        perform outbox_day.make(name);
        if waiting > 0 then
            execute format('with early as (delete from outbox_day.late where recorded_at >= %2$L and recorded_at < %3$L'
                           ' returning *) insert into outbox_day.%1$I select * from early',
                           name, day::timestamptz, (day + 1)::timestamptz);
        end if;
        execute format('alter table public.outbox attach partition outbox_day.%1$I for values from (%2$L) to (%3$L)',
                       name, day::timestamptz, (day + 1)::timestamptz);
        made := made + 1;
    end loop;
    return made;
end $$;

create function public.outbox_drop_day(keep interval) returns date
language plpgsql security definer set search_path = pg_catalog, pg_temp set timezone = 'UTC' as $$
declare
    before constant timestamptz := clock_timestamp() - keep;
    name text;
    waits boolean;
    newest record;
begin
    if keep is null or keep < interval '1 day' then
        raise exception 'outbox_drop_day(%): what was sent is kept for a day at least', keep using errcode = '22023';
    end if;
    for name in select day.relname from pg_inherits join pg_class as day on day.oid = pg_inherits.inhrelid
                where pg_inherits.inhparent = 'public.outbox'::regclass and day.relname ~ '^d[0-9]{8}$'
                      and (to_date(substr(day.relname, 2), 'YYYYMMDD') + 1)::timestamptz < before
                order by day.relname loop
        execute format('select exists (select from outbox_day.%I where sent_at is null)', name) into waits;
        continue when waits;
        -- Positions are given as rows are sent, so the highest was sent last.
        execute format('select position, sent_at from outbox_day.%I where position is not null'
                       ' order by position desc limit 1', name) into newest;
        continue when newest.sent_at >= before;
        lock table only public.outbox in access exclusive mode;
        -- Between the look and the lock, a broker that lost its log may have made the rows unsent again.
        execute format('select exists (select from outbox_day.%I where sent_at is null)', name) into waits;
        continue when waits;
        execute format('drop table outbox_day.%I', name);
        update public.relay_state set outbox_floor = greatest(outbox_floor, newest.position);
        return to_date(substr(name, 2), 'YYYYMMDD');
    end loop;
    return null;
end $$;

create function public.outbox_drain_late(keep interval, most integer) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    drained bigint;
    highest bigint;
begin
    if keep is null or keep < interval '1 day' then
        raise exception 'outbox_drain_late(%): what was sent is kept for a day at least', keep using errcode = '22023';
    end if;
    with gone as (
        delete from outbox_day.late where ctid = any (array(
            select ctid from (select ctid, sent_at from outbox_day.late where position is not null
                              order by position limit most) as front
            where sent_at < clock_timestamp() - keep))
        returning position)
    select count(*), max(position) into drained, highest from gone;
    if drained > 0 then
        update public.relay_state set outbox_floor = greatest(outbox_floor, highest);
    end if;
    return drained;
end $$;
"""

_FUNCTIONS = (
    "public.outbox_make_days(integer)",
    "public.outbox_drop_day(interval)",
    "public.outbox_drain_late(interval, integer)",
)

# Old days that a row keeps which was never sent: a parked one, or a broker that is away for long.
_HELD = text(
    """
    select count(distinct (recorded_at at time zone 'UTC')::date) from outbox
    where sent_at is null and recorded_at < date_trunc('day', clock_timestamp() - cast(:keep as interval), 'UTC')
    """
)


def create(op: Any, reader: str) -> None:
    """Make the schema, its functions and the first days, in a migration; `reader` is the relay's role."""
    op.execute(_SCHEMA)
    op.execute("revoke all on function outbox_day.make(text) from public")
    for function in _FUNCTIONS:
        op.execute(f"revoke all on function {function} from public")
        op.execute(f"grant execute on function {function} to {reader}")
    op.execute(f"select outbox_make_days({DAYS_AHEAD})")


def keep_up(connection: Connection, *, keep: timedelta) -> bool:
    """Make the days that are missing, drop one that is old, drain old rows of none; whether there is more of these.

    For the relay, outside of a transaction. A lock that is not had at once is no failure: it is tried again.
    """
    made = _try(connection, "select outbox_make_days(:ahead)", {"ahead": DAYS_AHEAD})
    if made:
        log.info("outbox days made", days=made)
    dropped = _try(connection, "select outbox_drop_day(:keep)", {"keep": keep})
    if dropped:
        log.info("an old outbox day dropped", day=str(dropped))
    drained = _try(connection, "select outbox_drain_late(:keep, :most)", {"keep": keep, "most": LATE_ROWS_MAX})
    if drained:
        log.info("old outbox rows of no day deleted", rows=drained)
    return bool(dropped) or drained == LATE_ROWS_MAX


def days_held(connection: Connection, *, keep: timedelta) -> int:
    """How many days are older than `keep` and stay, because they hold a row that was not sent."""
    return int(connection.execute(_HELD, {"keep": keep}).scalar_one())


def _try(connection: Connection, statement: str, values: dict[str, Any]) -> Any:
    """The statement's answer, in a transaction of its own; None when its lock was not had in time."""
    try:
        with connection.begin():
            connection.execute(
                text(
                    "select set_config('lock_timeout', :lock, true), set_config('statement_timeout', :statement, true)"
                ),
                {"lock": str(_LOCK_MILLISECONDS), "statement": str(_STATEMENT_MILLISECONDS)},
            )
            return connection.execute(text(statement), values).scalar()
    except DBAPIError as failure:
        if database_errors.sqlstate(failure) not in ("55P03", "57014", "40P01"):
            raise
        log.info("the outbox's days are in use; trying again later", statement=statement)
        return None
