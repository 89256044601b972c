"""On what the figures were taken."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from chassis.settings import ROOT

_PACKAGES = ("grpcio", "protobuf", "nameko", "sqlalchemy", "psycopg", "protovalidate", "cedarpy", "opentelemetry-sdk")
_IN_MEMORY = frozenset({"tmpfs", "ramfs"})


class NoDisk(RuntimeError):
    """The folder for the data is in memory, where a commit costs nothing."""


def facts() -> dict[str, Any]:
    """Cores, memory, versions, load, commit, date."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "git_commit": _git("rev-parse", "HEAD"),
        "git_changed_files": len((_git("status", "--porcelain") or "").splitlines()),
        "cores": os.cpu_count(),
        "cpu": _cpu(),
        "memory_mb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: version(name) for name in _PACKAGES},
        "load_average": load(),
    }


def load() -> float:
    """Processes that want a core, averaged over the last minute."""
    return round(os.getloadavg()[0], 2)


def require_disk(folder: Path) -> str:
    """The type of the file system below `folder`; NoDisk when it is one that lives in memory."""
    best, kind = "", "unknown"
    for mount in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        _, point, found, *_ = mount.split(" ")
        if folder.resolve().is_relative_to(point) and len(point) >= len(best):
            best, kind = point, found
    if kind in _IN_MEMORY:
        raise NoDisk(f"{folder} is on {kind}: give a folder on a disk with --home")
    return kind


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None  # an unpacked archive has no history
    return done.stdout.strip()
