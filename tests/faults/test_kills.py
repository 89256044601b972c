"""T1 in its CI size: parts are killed at random instants under a mixed load of fifty clients.

What was acknowledged exists exactly once, what was not exists at most once, every invariant holds, and what the
clients saw was UNAVAILABLE, DEADLINE_EXCEEDED, ABORTED or RESOURCE_EXHAUSTED. One broker and one database server
prove less than a cluster would: that a replica survives is not shown here.
"""

from __future__ import annotations

import random
import time

import pytest

from chassis.local.services import service_names
from cli.verify import reports
from tests.faults.conftest import Town
from tests.faults.load import Load, effects, rows
from tests.faults.settling import settle

_KILLS = 20
_CLIENTS = 50
_BACK_SECONDS = 60.0
# What waits is in the database, so memory stays flat while the broker is away (trust T4: ±10 %).
_GROWTH_MAX = 0.10


def kill_and_restart(town: Town, victim: str) -> None:
    """kill -9, then what a supervisor would do."""
    platform = town.platform
    if victim == "postgres":
        platform.postgres.child.kill()
        platform.postgres.restart()
    elif victim == "broker":
        platform.broker.child.kill()
        platform.broker.restart()
    elif victim.endswith("-relay"):
        platform.children[victim].kill()
        platform.start_relay(victim.removesuffix("-relay"))
    else:
        platform.children[victim].kill()
        platform.start_service(victim)
        platform.wait_until_serving(victim, seconds=_BACK_SECONDS)


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

    with Load(town, seed, _CLIENTS, province=31).running() as load:
        for victim in order:
            time.sleep(chance.uniform(0.2, 1.5))
            kill_and_restart(town, victim)
        time.sleep(2)
    settle(town)

    assert all(load.acknowledged.values()), f"the load did nothing of a kind; refused {load.refused}"
    check_books(load)


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


def _resident_bytes(town: Town) -> dict[str, int]:
    """The memory of each service process."""
    import psutil

    return {
        service: psutil.Process(town.platform.children[service].pid).memory_info().rss for service in service_names()
    }
