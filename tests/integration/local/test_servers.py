"""The embedded servers: what they promise to the services and to whoever starts them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import psycopg
import pytest

from chassis.local.child import free_port
from tests.processes import alive, wait_until_gone

_STARTS_BOTH = """
import sys, time
from pathlib import Path
from chassis.local.broker import TansuBroker
from chassis.local.postgres import PostgresServer
folder = Path(sys.argv[1])
with PostgresServer(folder / "pg") as server, TansuBroker(folder / "broker") as broker:
    print(server.child.pid, broker.child.pid, flush=True)
    time.sleep(60)
"""


def test_a_database_is_durable_private_and_not_the_superusers(database):
    finance, hr = database("finance", migrate=False), database("hr", migrate=False)

    with psycopg.connect(finance.app_url) as connection:
        row = connection.execute(
            "select current_user, rolsuper, rolbypassrls, current_setting('fsync'),"
            " current_setting('synchronous_commit'), current_setting('jit')"
            " from pg_roles where rolname = current_user"
        ).fetchone()
    stranger = finance.app_url.replace(f"/{finance.name}", f"/{hr.name}")

    assert row == ("finance_app", False, False, "on", "on", "off")
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(stranger)


def test_what_was_committed_survives_a_crash_of_postgres(fresh_postgres):
    server = fresh_postgres()
    with server.connect() as connection:
        connection.execute("create table fact (id int primary key)")
        connection.execute("insert into fact select generate_series(1, 100)")

    server.child.kill()
    server.restart()

    with server.connect() as connection:
        assert connection.execute("select count(*) from fact").fetchone() == (100,)


def test_a_restarted_broker_shows_whether_it_forgot(fresh_broker):
    from kafka import KafkaAdminClient

    broker = fresh_broker()

    def cluster_id() -> str:
        admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
        try:
            return admin.describe_cluster()["cluster_id"]
        finally:
            admin.close()

    before = cluster_id()
    broker.child.kill()
    broker.restart()

    assert (cluster_id() == before) == broker.keeps_records


def test_nothing_outlives_a_starter_that_is_killed(tmp_path):
    starter = subprocess.Popen([sys.executable, "-c", _STARTS_BOTH, tmp_path], stdout=subprocess.PIPE, text=True)
    pids = [int(text) for text in starter.stdout.readline().split()]
    assert len(pids) == 2
    assert all(alive(pid) for pid in pids)

    os.kill(starter.pid, signal.SIGKILL)
    starter.wait()

    wait_until_gone(pids)


def test_a_port_found_by_chance_is_given_once():
    ports = [free_port() for _ in range(300)]

    assert len(set(ports)) == 300, "among so many, chance alone would give some twice"
