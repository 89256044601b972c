"""`kelola run` as its user sees it: it starts, refuses a second start, keeps data, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chassis import audit_heads
from tests.processes import alive, wait_until_gone

_START_SECONDS = 60


@pytest.fixture
def home(tmp_path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def kelola(home):
    """Run a `kelola` command on this test's data folder; `start=True` leaves `run` running and waits for its line."""
    started: list[subprocess.Popen[str]] = []
    environment = {**os.environ, "KELOLA_HOME": str(home)}

    def run(*arguments: str, start: bool = False):
        command = [sys.executable, "-m", "cli.main", *arguments, "--json"]
        if not start:
            return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=90, check=False)
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        started.append(process)
        line = process.stdout.readline()
        assert "running" in line, line + process.stdout.read()
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()


def _start(kelola):
    return kelola("run", "--only", "identity", start=True)


def _children(home: Path) -> list[int]:
    described = json.loads((home / "platform.json").read_text())
    services = described["services"].values()
    own = [described["postgres"]["pid"], described["broker"]["pid"]]
    return [*own, *(entry["pid"] for entry in services), *(entry["relay_pid"] for entry in services)]


def test_a_second_start_is_refused_and_down_ends_the_first(kelola, home):
    first = _start(kelola)
    children = _children(home)

    second = kelola("run", "--only", "identity")
    ended = kelola("down")

    assert second.returncode == 1
    assert f"process {first.pid}" in json.loads(second.stdout)["error"]
    assert json.loads(ended.stdout)["ended"] is True
    assert first.wait(10) == 0
    assert not any(alive(pid) for pid in children)
    assert json.loads(kelola("down").stdout)["ended"] is False


def test_data_and_addresses_stay_between_runs(kelola, home):
    _start(kelola)
    before = json.loads(kelola("status").stdout)["services"][0]
    keys = kelola("call", "TokenService/GetJsonWebKeySet").stdout
    first_token = kelola("token")
    kelola("down")
    heads = audit_heads.read(home / "audit" / "identity.heads.jsonl", service="identity")

    _start(kelola)
    after = json.loads(kelola("status").stdout)["services"][0]

    assert first_token.returncode == 0
    assert (after["address"], after["schema"]) == (before["address"], before["schema"])
    assert kelola("call", "TokenService/GetJsonWebKeySet").stdout == keys
    verified = json.loads(kelola("verify", "identity").stdout)
    assert verified["holds"], verified["problems"]
    assert verified["services"][0]["audit_rows"] >= heads[-1].position > 0


def test_a_broker_that_forgot_is_filled_again(kelola):
    agency = {"code": "11", "display_name": "Pemerintah Uji", "kind": "AGENCY_KIND_GOVERNMENT"}

    def followed() -> list[str]:
        answer = kelola(
            "events", "tail", "kelola.identity.organization.", "--beginning", "--count", "1", "--seconds", "30"
        )
        return [json.loads(line)["headers"]["ce_id"] for line in answer.stdout.splitlines()]

    _start(kelola)
    made = kelola("call", "OrganizationService/CreateAgency", json.dumps({"agency": agency}))
    before = followed()
    kelola("down")
    _start(kelola)

    assert made.returncode == 0, made.stdout
    assert len(before) == 1
    assert followed() == before


@pytest.mark.parametrize("victim", ["service", "relay", "postgres", "broker"])
def test_the_crash_of_one_child_ends_all_with_an_error(kelola, home, victim):
    runner = _start(kelola)
    described = json.loads((home / "platform.json").read_text())
    children = _children(home)
    identity = described["services"]["identity"]
    pids = {"service": identity["pid"], "relay": identity["relay_pid"]}
    pids |= {name: described[name]["pid"] for name in ("postgres", "broker")}

    os.kill(pids[victim], signal.SIGKILL)

    assert runner.wait(40) == 1
    wait_until_gone(children)


def test_nothing_outlives_a_runner_that_is_killed(kelola, home):
    runner = _start(kelola)
    children = _children(home)

    runner.send_signal(signal.SIGKILL)
    runner.wait()

    wait_until_gone(children, seconds=30)
    _start(kelola)


def test_an_interrupt_while_starting_leaves_nothing(home):
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "run", "--only", "identity"],
        env={**os.environ, "KELOLA_HOME": str(home)},
        stdout=subprocess.PIPE,
        text=True,
    )
    end = time.monotonic() + _START_SECONDS
    while not (home / "postgres" / "data" / "postmaster.pid").exists() and time.monotonic() < end:
        time.sleep(0.02)
    pid = int((home / "postgres" / "data" / "postmaster.pid").read_text().splitlines()[0])

    process.send_signal(signal.SIGINT)

    assert process.wait(30) == 0
    wait_until_gone([pid])
