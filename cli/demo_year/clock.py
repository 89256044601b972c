"""A platform whose business clock is moved on through the year, and only ever forward.

The day is kept beside the data, so that a run that was broken off goes on where it was, and a second run, all of whose
acts are repeats, moves nothing. Finance and logistics live by the civil day and are started again when it changes;
identity gives roles from the year's first day and goes on as it is.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from chassis.local.platform import Platform

_ZONE = "Asia/Jakarta"
_BY_THE_DAY = ("finance", "logistics")
_OPENS = time(8, 0)
_STOP_SECONDS = 25.0


class YearPlatform(Platform):
    """The services that the story needs, with their business clock."""

    def __init__(self, directory: Path, **more: Any) -> None:
        super().__init__(directory, services=["identity", *_BY_THE_DAY], **more)
        self._file = self.directory / "clock.json"

    def environment(self, service: str) -> dict[str, str]:
        """As always, and the moved clock."""
        offset = self._offset()
        clock = {"KELOLA_CIVIL_ZONE": _ZONE, "KELOLA_CLOCK_OFFSET_SECONDS": str(int(offset / timedelta(seconds=1)))}
        return super().environment(service) | clock

    def begin(self, day: date) -> None:
        """The day on which the story begins, on a platform that has not lived yet."""
        if not self._file.exists():
            self._keep(day)

    def turn_to(self, day: date) -> bool:
        """Let it be the morning of `day`; nothing when that day has come already. Whether the clock was moved."""
        if datetime.now(UTC) + self._offset() >= self._morning(day):
            return False
        self._keep(day)
        for service in _BY_THE_DAY:
            self.children[service].stop(grace_seconds=_STOP_SECONDS)
            self.start_service(service)
        for service in _BY_THE_DAY:
            self.wait_until_serving(service)
        return True

    def _offset(self) -> timedelta:
        return timedelta(seconds=json.loads(self._file.read_text(encoding="utf-8"))["clock_offset_seconds"])

    def _morning(self, day: date) -> datetime:
        return datetime.combine(day, _OPENS, ZoneInfo(_ZONE))

    def _keep(self, day: date) -> None:
        offset = int((self._morning(day) - datetime.now(UTC)) / timedelta(seconds=1))
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = self._file.with_suffix(".new")
        fresh.write_text(json.dumps({"civil_zone": _ZONE, "clock_offset_seconds": offset}), encoding="utf-8")
        fresh.rename(self._file)
