"""T1 in its CI size: parts are killed at random instants under a mixed load of fifty clients.

What was acknowledged exists exactly once, what was not exists at most once, every invariant holds, and what the
clients saw was UNAVAILABLE, DEADLINE_EXCEEDED or ABORTED. The first kill of each part is waited out: RPCs are served
again within 10 s of its restart, consumers within 15 s (`recovery`). The other kills follow one another within a
second, so that faults meet. One broker and one database server prove less than a cluster would: that a replica
survives is not shown here.
"""

from __future__ import annotations

import random
import time
from datetime import datetime

import pytest

from chassis.local.services import service_names
from cli.verify import reports
from tests.faults.conftest import Town
from tests.faults.load import Load, effects, rows
from tests.faults.recovery import Recovery, now, orders_to_be_debited
from tests.faults.settling import settle
from tests.faults.stock import finance_follows, stock_up

_KILLS = 20
_CLIENTS = 50
_BACK_SECONDS = 60.0
# What waits is in the database, so memory stays flat while the broker is away (trust T4: ±10 %).
_GROWTH_MAX = 0.10


def kill_and_restart(town: Town, victim: str) -> tuple[float, datetime]:
    """kill -9, then what a supervisor would do; the moment of the restart (for servers: when they were up)."""
    platform = town.platform
    if victim == "postgres":
        platform.postgres.child.kill()
        platform.postgres.restart()
        return now()
    if victim == "broker":
        platform.broker.child.kill()
        platform.broker.restart()
        return now()
    platform.children[victim].kill()
    restarted = now()
    if victim.endswith("-relay"):
        platform.start_relay(victim.removesuffix("-relay"))
    else:
        platform.start_service(victim)
        platform.wait_until_serving(victim, seconds=_BACK_SECONDS)
    return restarted


def check_books(load: Load) -> None:
    """Compare intents and outcomes with the databases, and ask every invariant."""
    assert load.defects == []
    found = effects(load.town)
    for kind, acknowledged in load.acknowledged.items():
        twice = [request_id for request_id, count in found[kind].items() if count > 1]
        lost = [request_id for request_id in acknowledged if found[kind][request_id] != 1]
        assert (twice, lost) == ([], []), kind
    problems = [f"{report.service} {p.invariant}: {p.what}" for report in reports() for p in report.problems]
    assert problems == []


@pytest.mark.slow
@pytest.mark.broker
@pytest.mark.timeout(900)
def test_t1_nothing_acknowledged_is_lost_or_doubled_when_parts_are_killed(town: Town, seed: int):
    chance = random.Random(seed)
    victims = [*service_names(), *(f"{service}-relay" for service in service_names()), "postgres", "broker"]
    # Every part at least once, the rest at random.
    order = [*victims, *chance.choices(victims, k=_KILLS - len(victims))]
    chance.shuffle(order)
    for label in town.market.warehouses:
        stock_up(town, label)
    payments = orders_to_be_debited(town)

    with Load(town, seed, _CLIENTS, province=31).running() as load:
        recovery = Recovery(town, load, payments)
        for number, victim in enumerate(order):
            time.sleep(chance.uniform(0.2, 1.5))
            restarted = kill_and_restart(town, victim)
            if victim not in order[:number]:
                recovery.wait(victim, *restarted)
        time.sleep(2)
    settle(town)

    acknowledged = {kind: len(ids) for kind, ids in load.acknowledged.items()}
    print(f"acknowledged {acknowledged}; clients saw {dict(load.passing)}; s to recover: {recovery.in_words()}")
    assert all(acknowledged.values()), f"the load did nothing of a kind; refused {load.refused}"
    check_books(load)
    for label in town.market.warehouses:
        _finance_posted_each_movement_once(town, label)


@pytest.mark.slow
@pytest.mark.broker
@pytest.mark.timeout(600)
def test_t4_rpcs_go_on_while_the_broker_is_away_and_the_outbox_drains(town: Town, seed: int):
    platform = town.platform
    outage_seconds = 20.0

    with Load(town, seed + 1, clients=8, province=32).running() as load:
        time.sleep(1)
        port = platform.broker.port
        platform.broker.child.kill()
        memory = _resident_bytes(town)
        before = {kind: len(ids) for kind, ids in load.acknowledged.items()}
        time.sleep(outage_seconds)
        during = {kind: len(ids) - before[kind] for kind, ids in load.acknowledged.items()}
        unsent = sum(rows(town, s, "select count(*) from outbox where sent_at is null")[0][0] for s in service_names())
        grown = {name: size / memory[name] - 1 for name, size in _resident_bytes(town).items()}
        platform.broker.start(port=port)
        time.sleep(1)
    settle(town, seconds=2 * outage_seconds)

    assert all(count > 0 for count in during.values()), during
    assert unsent > 0
    assert all(share < _GROWTH_MAX for share in grown.values()), grown
    assert load.passing == {}, "every RPC succeeds without the broker"
    check_books(load)


def _finance_posted_each_movement_once(town: Town, label: str) -> None:
    agency_id = town.foundation.agencies[label]
    last = finance_follows(town, agency_id)
    [moved] = rows(town, "logistics", "select count(*) from stock_movement where agency_id = :a", a=agency_id)
    assert moved[0] == last, "numbers of movements have no gap"


def _resident_bytes(town: Town) -> dict[str, int]:
    """The memory of each service process."""
    import psutil

    return {
        service: psutil.Process(town.platform.children[service].pid).memory_info().rss for service in service_names()
    }
