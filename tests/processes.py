"""Looking at processes from outside, for tests that kill some."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path


def alive(pid: int) -> bool:
    """Whether the process runs; one that ended and waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until_gone(pids: Sequence[int], *, seconds: float = 15) -> None:
    """Return once none of them runs; fail after `seconds`."""
    end = time.monotonic() + seconds
    while left := [pid for pid in pids if alive(pid)]:
        assert time.monotonic() < end, f"processes {left} still run after {seconds} s"
        time.sleep(0.05)
