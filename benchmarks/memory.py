"""Resident memory of the services and their relays."""

from __future__ import annotations

from benchmarks.processes import rss_mb
from chassis.local.platform import Platform


def of(platform: Platform) -> dict[str, float]:
    """MB of each process, PostgreSQL and the broker left out: they are not ours."""
    return {name: rss_mb(child.pid) for name, child in sorted(platform.children.items())}
