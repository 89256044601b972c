"""The business clock: which instant and which civil day it is for documents.

Civil days are those of the government's own zone (`civil_zone`): in Jakarta a payment at 23:30 UTC belongs to the
next day. `clock_offset_seconds` moves the business clock, so that a rehearsal or the demo can live in another year;
`clock_offset_file` moves it while the services run. Tokens, deadlines, leases and `recorded_at` stay on real time.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from nameko.extensions import DependencyProvider

from chassis.settings import ServiceSettings


class BusinessClock:
    """The instant and the civil day that documents are dated by.

    `offset_file` holds the offset in whole seconds instead; it is read at every look.
    """

    def __init__(
        self, civil_zone: str = "UTC", offset: timedelta = timedelta(0), *, offset_file: Path | None = None
    ) -> None:
        self._zone = ZoneInfo(civil_zone)
        self._given = offset
        self._file = offset_file

    @classmethod
    def of(cls, settings: ServiceSettings) -> BusinessClock:
        """The clock that `settings` describe."""
        offset = timedelta(seconds=settings.clock_offset_seconds)
        return cls(settings.civil_zone, offset, offset_file=settings.clock_offset_file)

    def now(self) -> datetime:
        """The present instant, aware, in the civil zone: its `date()` is the present civil day."""
        return (datetime.now(UTC) + self._offset).astimezone(self._zone)

    def today(self) -> date:
        """The present civil day."""
        return self.now().date()

    @property
    def _offset(self) -> timedelta:
        return self._given if self._file is None else timedelta(seconds=int(self._file.read_text(encoding="ascii")))


class Clock(DependencyProvider):
    """`clock = Clock()` on a service: methods then use `self.clock.now()` and `self.clock.today()`."""

    _clock = BusinessClock()

    def setup(self) -> None:
        """Take the zone and the offset from the container's settings."""
        self._clock = BusinessClock.of(self.container.settings)

    def get_dependency(self, worker_ctx: object) -> BusinessClock:
        """The clock, the same one for every worker."""
        return self._clock
