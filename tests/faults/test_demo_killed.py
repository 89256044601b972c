"""The demo is killed at random instants and begun again: it ends where an undisturbed one ends."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from chassis.settings import ROOT

_KILLS = 3
_DEMO_SECONDS = 280
# What the books say; times, ids and the trace differ from run to run by nature.
_BOOKS = ("budget", "execution", "execution_total", "trial_balance", "stock", "payroll", "payslip", "requisitions")


def demo(home: Path) -> subprocess.Popen[bytes]:
    """A small demo on `home`, in a session of its own."""
    command = [sys.executable, "-m", "cli.main", "demo", "--officials", "12", "--requisitions", "13"]
    return subprocess.Popen(
        [*command, "--summary", str(home.with_suffix(".json")), "--json"],
        env={**os.environ, "KELOLA_HOME": str(home)},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def books(home: Path) -> dict[str, Any]:
    """Play the demo to its end; what its summary says of the books."""
    process = demo(home)
    said, _ = process.communicate(timeout=_DEMO_SECONDS)
    assert process.returncode == 0, said.decode()[-3_000:]
    summary = json.loads(home.with_suffix(".json").read_text(encoding="utf-8"))
    return {name: summary[name] for name in _BOOKS}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_demo_that_was_killed_ends_where_an_undisturbed_one_ends(scratch: Path, seed: int):
    chance = random.Random(seed)
    undisturbed, disturbed = scratch / "demo-undisturbed", scratch / "demo-disturbed"
    began = time.monotonic()
    expected = books(undisturbed)
    length = time.monotonic() - began

    # The first telling may be killed late; a later one passes quickly over what was told, so it is killed sooner.
    for latest in (0.85, *[0.35] * (_KILLS - 1)):
        process = demo(disturbed)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=chance.uniform(0.1, latest) * length)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL

    assert books(disturbed) == expected
    assert books(disturbed) == expected
