"""A pod of the chart as a process of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.contract.chart import Pod
from tools.descriptors import ROOT


@contextmanager
def running(pod: Pod, given: Mapping[str, str], mounts: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The pod's process; killed at the end if it still runs."""
    variables = {**pod.environment(full=True), **given}
    variables["OTEL_RESOURCE_ATTRIBUTES"] = variables.get("OTEL_RESOURCE_ATTRIBUTES", "").replace(
        "$(POD_NAME)", f"{pod.part}-1"
    )
    variables = {name: value.replace("/etc/kelola", str(mounts)) for name, value in variables.items() if value}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", *pod.container["args"]],
            # Nothing of this machine's own settings, as in the container.
            env={"PATH": os.environ["PATH"], "HOME": str(log.parent), **variables},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
