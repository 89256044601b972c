"""Durable journal entries: unary, in batches, by stream; over many budget lines and on one; beside `raw_pg`.

An entry is Dr expense / Cr payable on a budget line, spent directly from what is available there. It passes gRPC,
the whole chain, the funds check, and commits with its events, its answer and its audit row before it is answered.
How many were posted is read in the database, not believed.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from google.type import money_pb2

from benchmarks.callers import REQUEST_ID, Load, Outcome, run
from benchmarks.figures import Latency, median, ratio
from benchmarks.processes import children_cpu_seconds, cpu_seconds
from benchmarks.raw_pg import RawPg, fsyncs_per_second, settings_of
from benchmarks.town import TODAY, Line, Town
from chassis.wire import to_date
from kelola.finance.v1 import account_pb2, ledger_pb2

BATCH = 100
# Messages of one client stream; the service commits them in hundreds.
STREAM = 500
UNARY_CALLERS, BULK_CALLERS = 64, 2
_EXPENSES = ("8.1.02.01", "8.1.02.02", "8.1.02.03", "8.1.02.04", "8.1.02.05", "8.1.02")
_PAYABLE = "2.1.06.99"
_TEMPLATES = 400
_SETTLE_SECONDS = 120.0
_WARM_UP_SECONDS = 2.0
_LEDGER = "/kelola.finance.v1.LedgerService/"


class EventsMissing(RuntimeError):
    """The relay did not catch up."""


class EntriesMissing(RuntimeError):
    """The books do not hold what the answers said."""


@dataclass(frozen=True)
class _Round:
    """One load: its outcome, how many entries it left in the books, and who spent how many seconds on a core."""

    outcome: Outcome
    entries: int
    cpu_seconds: dict[str, float]


@dataclass(frozen=True)
class _Way:
    """One way to bring entries in."""

    name: str
    rpc: str
    callers: int
    entries_per_call: int
    messages_per_call: int
    templates: list[bytes]


def measure(town: Town, say: Callable[[str], None], *, seconds: float, rounds: int) -> dict[str, Any]:
    """All ways in turn, `rounds` times `seconds` each, with `raw_pg` before, between and after."""
    raw = RawPg(town.platform.postgres, budget_lines=len(town.lines))
    _analyze(town)
    every = ways(town.lines)
    raw_rates: list[float] = []
    runs: dict[str, list[_Round]] = {way.name: [] for way in every}
    say("journal: raw_pg, and bare commits")
    single = fsyncs_per_second(town.platform.postgres, min(seconds, 2.0))
    say("journal: warming up")
    for way in (every[0], every[2]):
        # Not counted: pools, plans and caches of a service that has just started fill here.
        run_way(town, way, _WARM_UP_SECONDS, seed=99)
    for number in range(rounds):
        _settle(town)
        raw_rates.append(raw.entries_per_second(seconds))
        for way in every:
            say(f"journal: {way.name}, round {number + 1} of {rounds}")
            runs[way.name].append(run_way(town, way, seconds, seed=number))
    half = median([one.outcome.calls_per_second for one in runs[every[0].name]]) / 2
    say(f"journal: one at a time by raw_pg, then unary at half load, {half:.0f} calls a second")
    raw_latency = Latency.of(raw.single_latencies(seconds))
    paced = run_way(town, every[0], seconds, seed=rounds, calls_per_second=half)
    say("journal: raw_pg again")
    raw_rates.append(raw.entries_per_second(seconds))
    baseline = median(raw_rates)
    found: dict[str, Any] = {
        "postgres": settings_of(town.platform.postgres),
        "raw_pg": {
            "entries_per_second": round(baseline, 1),
            "by_round": [round(rate, 1) for rate in raw_rates],
            "single_row_commits_per_second": round(single, 1),
        },
        "bytes_kept_per_entry": sizes(town),
    }
    for way in every:
        found[way.name] = _figures(way, runs[way.name], baseline)
    latency = Latency.of(paced.outcome.latencies)
    found["half_load"] = {
        "calls_per_second": round(paced.outcome.calls_per_second, 1),
        "call_median_ms": latency.median_ms,
        "call_p99_ms": latency.p99_ms,
        "raw_pg_single_median_ms": raw_latency.median_ms,
        "raw_pg_single_p99_ms": raw_latency.p99_ms,
        "p99_to_raw": round(ratio(latency.p99_ms, raw_latency.p99_ms), 2),
    }
    found["hot_to_spread"] = round(
        ratio(found["unary_64_hot"]["entries_per_second"], found["unary_64_spread"]["entries_per_second"]), 3
    )
    return found


def ways(lines: Sequence[Line]) -> list[_Way]:
    chance = random.Random(11)
    spread = [_entry(chance.choice(lines), chance) for _ in range(_TEMPLATES)]
    hot = [_entry(lines[0], chance) for _ in range(_TEMPLATES)]
    one_agency = [line for line in lines if line.agency_id == widest_agency(lines)]
    create, stream = ledger_pb2.CreateJournalEntryRequest, ledger_pb2.ImportJournalEntriesRequest

    def single(kind: Any, entries: Sequence[ledger_pb2.JournalEntry]) -> list[bytes]:
        return [kind(journal_entry=entry, request_id=REQUEST_ID).SerializeToString() for entry in entries]

    def batches(of: Sequence[Line]) -> list[bytes]:
        return [
            ledger_pb2.BatchCreateJournalEntriesRequest(
                agency_id=of[0].agency_id,
                journal_entries=[_entry(chance.choice(of), chance) for _ in range(BATCH)],
                request_id=REQUEST_ID,
            ).SerializeToString()
            for _ in range(20)
        ]

    return [
        _Way("unary_64_spread", "CreateJournalEntry", UNARY_CALLERS, 1, 1, single(create, spread)),
        _Way("unary_64_hot", "CreateJournalEntry", UNARY_CALLERS, 1, 1, single(create, hot)),
        _Way("batch_100_spread", "BatchCreateJournalEntries", BULK_CALLERS, BATCH, 1, batches(one_agency)),
        _Way("batch_100_hot", "BatchCreateJournalEntries", BULK_CALLERS, BATCH, 1, batches(lines[:1])),
        _Way("stream_spread", "ImportJournalEntries", BULK_CALLERS, STREAM, STREAM, single(stream, spread)),
        _Way("stream_hot", "ImportJournalEntries", BULK_CALLERS, STREAM, STREAM, single(stream, hot)),
    ]


def widest_agency(lines: Sequence[Line]) -> str:
    counts: dict[str, int] = {}
    for line in lines:
        counts[line.agency_id] = counts.get(line.agency_id, 0) + 1
    return max(counts, key=lambda agency_id: counts[agency_id])


def _entry(line: Line, chance: random.Random) -> ledger_pb2.JournalEntry:
    amount = money_pb2.Money(currency_code="IDR", units=chance.randrange(1, 3))
    both: dict[str, Any] = {
        "basis": account_pb2.BASIS_ACCRUAL,
        "fund_code": line.fund_code,
        "budget_line_id": line.budget_line_id,
    }
    return ledger_pb2.JournalEntry(
        agency_id=line.agency_id,
        effective_on=to_date(TODAY),
        description="a durable entry",
        lines=[
            ledger_pb2.JournalLine(**both, account_code=chance.choice(_EXPENSES), debit=amount),
            ledger_pb2.JournalLine(**both, account_code=_PAYABLE, credit=amount),
        ],
    )


def run_way(town: Town, way: _Way, seconds: float, seed: int, *, calls_per_second: float | None = None) -> _Round:
    """One load, and what it left in the books; EntriesMissing when that is not what was answered."""
    load = Load(
        address=town.address("finance"),
        path=_LEDGER + way.rpc,
        metadata=town.bearer("accountant"),
        templates=way.templates,
        callers=way.callers,
        seconds=seconds,
        messages_per_call=way.messages_per_call,
        long_calls=way.entries_per_call > 1,
        seed=seed,
        calls_per_second=calls_per_second,
    )
    _settle(town)
    before, cpu = _entries(town), _cpu(town)
    outcome = run([load])
    used = {name: now - cpu[name] for name, now in _cpu(town).items()}
    # Until the relay has sent what the load left: then its whole work is in its figure, and none in the next load's.
    _settle(town)
    used["relay"] = _cpu(town)["relay"] - cpu["relay"]
    posted, answered = _entries(town) - before, outcome.calls_in_all * way.entries_per_call
    if posted != answered:
        raise EntriesMissing(f"{way.name}: {answered} entries were answered as posted, {posted} are in the books")
    return _Round(outcome, posted, used)


def _cpu(town: Town) -> dict[str, float]:
    children = town.platform.children
    return {
        "service": cpu_seconds(children["finance"].pid),
        "postgres": children_cpu_seconds(town.platform.postgres.child.pid),
        "relay": cpu_seconds(children["finance-relay"].pid),
    }


def _settle(town: Town) -> None:
    """Wait until every event is sent and every audit row chained; EventsMissing when that does not come."""
    end = time.monotonic() + _SETTLE_SECONDS
    while True:
        (left,) = _query(
            town,
            "select (select count(*) from outbox where sent_at is null)"
            " + (select count(*) from audit where position is null)",
        )
        if left == 0:
            return
        if time.monotonic() > end:
            raise EventsMissing(f"{left} events and audit rows still wait for the relay after {_SETTLE_SECONDS:g} s")
        time.sleep(0.1)


def plain_figures(way: _Way, one: _Round) -> dict[str, Any]:
    """A single round: the rate, and the time on a core."""
    return {
        "entries_per_second": round(one.outcome.calls_per_second * way.entries_per_call, 1),
        "cpu_us_per_entry": {name: round(used / one.entries * 1e6, 1) for name, used in one.cpu_seconds.items()},
    }


def _figures(way: _Way, rounds: Sequence[_Round], baseline: float) -> dict[str, Any]:
    rates = [one.outcome.calls_per_second * way.entries_per_call for one in rounds]
    latency = Latency.of([seconds for one in rounds for seconds in one.outcome.latencies])
    entries = sum(one.entries for one in rounds)
    return {
        "entries_per_second": round(median(rates), 1),
        "by_round": [round(rate, 1) for rate in rates],
        "ratio_to_raw_pg": round(ratio(median(rates), baseline), 3),
        "callers": way.callers,
        "entries_per_call": way.entries_per_call,
        "call_median_ms": latency.median_ms,
        "call_p99_ms": latency.p99_ms,
        "entries": entries,
        "cpu_us_per_entry": {
            name: round(sum(one.cpu_seconds[name] for one in rounds) / entries * 1e6, 1)
            for name in rounds[0].cpu_seconds
        },
    }


def _query(town: Town, statement: str) -> tuple[Any, ...]:
    # The reader role: it sees every agency and changes nothing.
    with psycopg.connect(town.platform.databases["finance"].reader_url, autocommit=True) as connection:
        row = connection.execute(statement).fetchone()
    assert row is not None, "an aggregate answers one row"
    return row


def _entries(town: Town) -> int:
    return int(_query(town, "select count(*) from journal_entry")[0])


def sizes(town: Town) -> dict[str, int]:
    """What the database holds after the run, for an entry: everything, and the largest tables."""
    count = _entries(town)
    tables = ("journal_entry", "journal_line", "funds_movement", "outbox", "idempotency", "audit")
    # The outbox has its rows in the tables of its days.
    size = (
        "select pg_total_relation_size('{name}') + coalesce((select sum(pg_total_relation_size(relid))"
        " from pg_partition_tree('{name}') where isleaf), 0)"
    )
    sizes = {name: int(_query(town, size.format(name=name))[0]) for name in tables}
    return {"all": round(sum(sizes.values()) / count), **{name: round(size / count) for name, size in sizes.items()}}


def _analyze(town: Town) -> None:
    """Tell the planner what the budget brought, as autovacuum would have a minute later."""
    with psycopg.connect(town.platform.databases["finance"].owner_url, autocommit=True) as connection:
        connection.execute("analyze")
