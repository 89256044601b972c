"""I6, first half: every committed effect has exactly one event in the outbox, and no event is without its effect.

A service lists what it tells, in `services/<service>/verify.py`:

    TOLD = (
        told("kelola.hr.v1.EmployeeHired", "employee", "employee_id"),
        versions("kelola.hr.v1.UnitCreated", "kelola.hr.v1.UnitChanged", table="unit", key="unit_id"),
    )

All of it is asked in one statement. The outbox forgets: an event that was sent days ago is gone, while its effect
stays. What is asked of an effect therefore hangs on its age, which its UUIDv7 shows; what could not be asked is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from chassis.verify import PROBLEMS_MAX, Findings, Problem

# The outbox's days are tables named after them, d20260801; days are dropped from the oldest on, but one that holds an
# unsent event stays: whole is what comes after the newest day that is missing.
_KEPT_SINCE = """
    with day as (
        select to_date(substr(relname, 2), 'YYYYMMDD') as day from pg_inherits
        join pg_class on pg_class.oid = inhrelid
        where inhparent = 'outbox'::regclass and relname ~ '^d[0-9]{8}$'
    ), first as (
        select coalesce((select max(one.day)::date + 1
                         from generate_series((select min(day) from day)::timestamp,
                                              (clock_timestamp() at time zone 'UTC')::date::timestamp,
                                              interval '1 day') as one (day)
                         where one.day::date not in (select day from day)),
                        (select min(day) from day)) as whole
    )
    select outbox_floor > 0 as dropped,
           coalesce(whole + 1, 'infinity'::date)::timestamp at time zone 'UTC' as since
    from relay_state cross join first
"""


@dataclass(frozen=True)
class Told:
    """Each row of `effects` has exactly one event of `types`, and each such event has its row.

    `effects` is a query with the columns `key` (the event's key), `born` (a UUID, whose version 7 tells the effect's
    age) and, where the events of a key are told apart by their sequence, `sequence`.
    """

    types: tuple[str, ...]
    effects: str
    numbered: bool = False

    @property
    def label(self) -> str:
        """How the report speaks of the events: UnitCreated or UnitChanged."""
        return " or ".join(each.rpartition(".")[2] for each in self.types)


def told(type_name: str, table: str, key: str, *, where: str = "true", born: str | None = None) -> Told:
    """Each row of `table` that satisfies `where` is told by one event, whose key is the column `key`."""
    return Told((type_name,), f"select {key} as key, {born or key} as born from {table} where {where}")  # noqa: S608


def versions(*types: str, table: str, key: str) -> Told:
    """Each version of a row of `table` is told by one event: 1 when it is made, one more at each change."""
    effects = f"select {key} as key, {key} as born, generate_series(1, version) as sequence from {table}"  # noqa: S608
    return Told(types, effects, numbered=True)


@dataclass(frozen=True)
class Numbered:
    """Events of a row that has versions of which not each is told: none is of a version that never was."""

    types: tuple[str, ...]
    table: str
    key: str


def numbered(*types: str, table: str, key: str) -> Numbered:
    """Each event of `types` carries a version that the row of `table` has had, each type at most once a version."""
    return Numbered(types, table, key)


def versions_that_were(connection: Connection, everything: Sequence[Numbered]) -> Findings:
    """The events whose sequence is no version of their row, or is told twice."""
    rows = " union all ".join(
        f"select '{each.table}' as table, {each.key}::text as key, version from {each.table}"  # noqa: S608
        for each in everything
    )
    found = connection.execute(
        text(_VERSIONS.format(rows=rows)),
        {
            "types": [name for each in everything for name in each.types],
            "tables": [each.table for each in everything for _ in each.types],
            "limit": PROBLEMS_MAX,
        },
    )
    return Findings([Problem("I6", str(row[0])) for row in found])


def compare(connection: Connection, everything: Sequence[Told]) -> Findings:
    """Effects and their events, of a whole service: problems, how many were compared, and what could not be."""
    rows = connection.execute(
        text(_COMPARE.format(effects=_effects(everything))),
        {
            "types": [name for each in everything for name in each.types],
            "families": [number for number, each in enumerate(everything) for _ in each.types],
            "numbered": [number for number, each in enumerate(everything) if each.numbered],
            "since": kept_since(connection),
        },
    ).all()
    problems: list[Problem] = []
    remarks: list[str] = []
    compared = old = 0
    for row in rows:
        label = everything[row.family].label
        if row.verdict == "compared":
            compared += row.effects
        elif row.verdict == "old":
            old += row.effects
            remarks.append(f"{label}: {row.effects} effects are older than what the outbox keeps; not compared")
        else:
            place = f"{row.key}, sequence {row.sequence}" if everything[row.family].numbered else str(row.key)
            problems.append(Problem("I6", f"{label} of {place}: {row.effects} effects, {row.events} events"))
    return Findings(problems[:PROBLEMS_MAX], {"effects_told": compared, "effects_too_old": old}, remarks)


def kept_since(connection: Connection) -> datetime | None:
    """From when on every event is in the outbox, UTC: the day after the oldest day that was kept.

    None when nothing has been dropped. The day's margin is for clocks that differ and for transactions over midnight.
    """
    row = connection.execute(text(_KEPT_SINCE)).one()
    return row.since if row.dropped else None


def _effects(everything: Sequence[Told]) -> str:
    # The queries are constants of our own services; nothing of them comes from outside.
    return " union all ".join(
        f"select {number} as family, key::text as key, {'sequence' if each.numbered else '0'}::bigint as sequence,"  # noqa: S608
        f" born::text as born from ({each.effects}) as told_{number}"
        for number, each in enumerate(everything)
    )


_VERSIONS = """
    with had as ({rows})
    select format('%s of %s, sequence %s: %s events; %s', type, outbox.key, sequence, count(*),
                  coalesce('version ' || had.version || ' is the newest of ' || named.table,
                           named.table || ' has no such row'))
    from outbox join unnest(cast(:types as text[]), cast(:tables as text[])) as named (type, "table") using (type)
    left join had on had.table = named.table and had.key = outbox.key
    group by type, outbox.key, sequence, named.table, had.version
    having count(*) > 1 or had.version is null or sequence not between 1 and had.version
    order by 1 limit :limit
"""

_COMPARE = """
    with effect as (
        select family, key, sequence, count(*) as effects, min(born) as born from ({effects}) as each_effect
        group by family, key, sequence
    ), event as (
        select family, key, case when family = any(:numbered) then outbox.sequence else 0 end as sequence,
               count(*) as events
        from outbox join unnest(cast(:types as text[]), cast(:families as int[])) as named (type, family) using (type)
        group by 1, 2, 3
    ), both_sides as (
        select family, key, sequence, coalesce(effects, 0) as effects, coalesce(events, 0) as events,
               case when substr(born, 15, 1) = '7'
                    then to_timestamp(('x' || substr(replace(born, '-', ''), 1, 12))::bit(48)::bigint / 1000.0)
               end as born_at
        from effect full join event using (family, key, sequence)
    ), judged as (
        select *,
               case when effects = events then 'compared'
                    when events < effects and coalesce(born_at, '-infinity') < cast(:since as timestamptz) then 'old'
                    else 'problem'
               end as verdict
        from both_sides
    )
    select family, verdict, null as key, null as sequence, sum(effects)::bigint as effects, 0 as events
    from judged where verdict <> 'problem' group by family, verdict
    union all
    (select family, verdict, key, sequence, effects, events from judged where verdict = 'problem'
     order by family, key, sequence limit 1000)
"""
