"""N24: 1 000 approvals by 32 writers, the numberer killed ten times: 1 … 1 000, each once, days not decreasing."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from uuid import UUID, uuid4

import psycopg

from tests.integration.finance.books import YEAR

APPROVALS, WRITERS, KILLS = 1_000, 32, 10
ROOT = Path(__file__).resolve().parents[3]

# The numberer in a process of its own, so that it can be killed like one: a nursery that has imported everything
# forks one whenever it reads a line, and prints its pid.
NURSERY = """
import os, sys, time
from datetime import date, timedelta
from chassis.database import connect
from chassis.settings import ServiceSettings
from services.finance.payables import numbering, event_wire

numbering.BATCH_MAX = 20

def number():
    db, day = connect(ServiceSettings(service="finance", database_app_url=sys.argv[1])), 0
    while True:
        numbering.number_waiting(db, today=date(2025, 3, 10) + timedelta(days=day % 3))
        day += 1
        time.sleep(0.002)

for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        number()
    print(pid, flush=True)
    os.waitpid(pid, 0)
    print("gone", flush=True)
"""


class Nursery:
    """Starts numberers one after the other."""

    def __init__(self, app_url: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", NURSERY, app_url],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self) -> int:
        """A new numberer; its pid."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return int(self._line())

    def kill(self, pid: int) -> None:
        """kill -9, and wait until it is gone."""
        os.kill(pid, signal.SIGKILL)
        assert self._line() == "gone"

    def close(self) -> None:
        """No more numberers."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=20)

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


def test_n24_numbers_are_gap_free_whatever_happens_to_the_numberer(database, seed: int):
    print("seed", seed)
    rng = random.Random(seed)
    fresh = database("finance")
    entity_id, agencies = uuid4(), [uuid4() for _ in range(4)]
    nursery = Nursery(fresh.app_url)
    numberer = nursery.start()

    try:
        with ThreadPoolExecutor(WRITERS) as pool:
            waiting = [pool.submit(_approve, fresh.app_url, entity_id, agencies, nth) for nth in range(WRITERS)]
            for _ in range(KILLS):
                time.sleep(rng.uniform(0.05, 0.3))
                nursery.kill(numberer)
                numberer = nursery.start()
            for done in waiting:
                done.result()
        _until_numbered(fresh.superuser_url, entity_id)
    finally:
        nursery.kill(numberer)
        nursery.close()

    with psycopg.connect(fresh.superuser_url) as connection:
        rows = connection.execute(
            "select q.number, q.numbered_on, r.request_number from number_queue q"
            " join payment_request r on r.payment_request_id = q.document_id"
            " where q.entity_id = %s order by q.number",
            (entity_id,),
        ).fetchall()
    assert [row[0] for row in rows] == list(range(1, APPROVALS + 1))
    assert [row[2] for row in rows] == [f"{number:05d}/SPP/{YEAR}" for number in range(1, APPROVALS + 1)]
    assert all(before[1] <= after[1] for before, after in pairwise(rows))


def _approve(app_url: str, entity_id: UUID, agencies: list[UUID], nth: int) -> None:
    """One writer's share of approvals, each in a transaction of its own."""
    share = APPROVALS // WRITERS + (nth < APPROVALS % WRITERS)
    with psycopg.connect(app_url, autocommit=True) as connection:
        for n in range(share):
            agency_id, document_id = agencies[(nth + n) % len(agencies)], uuid4()
            with connection.transaction():
                connection.execute("select set_config('kelola.agencies', %s, true)", (str(agency_id),))
                connection.execute(
                    "insert into payment_request (payment_request_id, agency_id, status, currency, amount_minor,"
                    " description, requested_on, requested_by_person_id, requested_at, version)"
                    " values (%s, %s, 'REQUESTED', 'IDR', 1, '', '2025-03-10', %s, now(), 1)",
                    (document_id, agency_id, uuid4()),
                )
                connection.execute(
                    "insert into number_queue (number_queue_id, entity_id, kind, year, document_id, paper_agency_id,"
                    " approved_at) values (uuidv7(), %s, 'PAYMENT_REQUEST', 2025, %s, %s, transaction_timestamp())",
                    (entity_id, document_id, agency_id),
                )


def _until_numbered(superuser_url: str, entity_id: UUID) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with psycopg.connect(superuser_url) as connection:
            (left,) = connection.execute(
                "select count(*) from number_queue where entity_id = %s and number is null", (entity_id,)
            ).fetchone()
        if not left:
            return
        time.sleep(0.1)
    raise AssertionError(f"{left} papers have no number after 60 s")
