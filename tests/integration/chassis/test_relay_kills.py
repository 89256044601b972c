"""T2 with real deaths: relay processes killed -9 between the broker's answer and the mark, 20 times."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from uuid import uuid4

import pytest

from tests.integration.chassis import parcels
from tests.integration.chassis.compiled import ROOT
from tests.integration.chassis.parcels import arrivals

KILLS = 20


def mortal() -> None:
    """The child: says when the broker has answered, and waits there for its end."""
    import threading

    import structlog

    from chassis import relay
    from chassis.settings import ServiceSettings

    def strike(place: str) -> None:
        if place == "sent":
            print("sent", flush=True)
            signal.pause()

    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    relay.run(ServiceSettings(service="parcels"), None, threading.Event(), failpoint=strike)


@pytest.fixture
def settings(database, broker):
    return parcels.migrated(database, broker_servers=broker.bootstrap)


def born(settings):
    """A relay process; it takes over as soon as the one before it is gone."""
    names = ("database_reader_url", "broker_servers")
    environment = {f"KELOLA_{name.upper()}": str(getattr(settings, name)) for name in names}
    command = [sys.executable, "-W", "ignore", "-c", f"from {__name__} import mortal; mortal()"]
    paths = os.pathsep.join([str(ROOT), str(ROOT / "gen")])
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment, "PYTHONPATH": paths},
    )


@pytest.mark.slow
def test_t2_relays_killed_between_send_and_mark_lose_and_double_nothing(settings, seed):
    print(f"seed {seed}")
    chance, keys = random.Random(seed), [uuid4() for _ in range(5)]
    running = [born(settings), born(settings)]
    try:
        with parcels.consuming(settings):
            for _ in range(KILLS):
                parcels.send(settings, *chance.choices(keys, k=3))
                leading = wait_for_answer(running)
                leading.kill()
                leading.wait(10)
                running.remove(leading)
                running.append(born(settings))
            for waiting in running:
                waiting.kill()
                waiting.wait(10)
            with parcels.relaying(settings):
                told = {row.parcel_id: row.version for row in parcels.query(settings, "select * from parcel")}
                parcels.until(lambda: all(len(arrivals(settings, key)) >= last for key, last in told.items()))
    finally:
        for child in running:
            child.kill()
            child.wait(10)

    assert sum(told.values()) == KILLS * 3
    assert {key: arrivals(settings, key) for key in told} == {
        key: list(range(1, last + 1)) for key, last in told.items()
    }


def wait_for_answer(children):
    """The child that leads, once the broker has answered it."""
    import selectors

    with selectors.DefaultSelector() as selector:
        for child in children:
            selector.register(child.stdout, selectors.EVENT_READ, child)
        ready = selector.select(timeout=60)
    assert ready, "no relay sent anything within 60 s"
    child = ready[0][0].data
    assert child.stdout.readline() == "sent\n"
    return child
