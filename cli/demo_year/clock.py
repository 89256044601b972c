"""A platform whose business clock is moved on through the year, and only ever forward, while the services run.

How far it is moved is kept beside the data, so that a run that was broken off goes on where it was, and a second run,
all of whose acts are repeats, moves nothing.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from chassis.local.platform import Platform

_ZONE = "Asia/Jakarta"
_SERVICES = ("identity", "finance", "logistics")
_OPENS = time(8, 0)


class YearPlatform(Platform):
    """The services that the story needs, with their business clock."""

    def __init__(self, directory: Path, **more: Any) -> None:
        super().__init__(directory, services=list(_SERVICES), **more)
        self._file = self.directory / "clock-offset-seconds"

    def environment(self, service: str) -> dict[str, str]:
        """As always, and the moved clock."""
        clock = {"KELOLA_CIVIL_ZONE": _ZONE, "KELOLA_CLOCK_OFFSET_FILE": str(self._file)}
        return super().environment(service) | clock

    def begin(self, day: date) -> None:
        """The day on which the story begins, on a platform that has not lived yet."""
        if not self._file.exists():
            self._keep(day)

    def turn_to(self, day: date) -> bool:
        """Let it be the morning of `day`; nothing when that day has come already. Whether the clock was moved."""
        if datetime.now(UTC) + timedelta(seconds=int(self._file.read_text(encoding="ascii"))) >= self._morning(day):
            return False
        self._keep(day)
        return True

    def _morning(self, day: date) -> datetime:
        return datetime.combine(day, _OPENS, ZoneInfo(_ZONE))

    def _keep(self, day: date) -> None:
        offset = int((self._morning(day) - datetime.now(UTC)) / timedelta(seconds=1))
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = self._file.with_suffix(".new")
        fresh.write_text(str(offset), encoding="ascii")
        fresh.rename(self._file)
