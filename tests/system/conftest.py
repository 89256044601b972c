"""The system that all tests here share, and what was lived through on it before the first of them began."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from chassis import telemetry
from chassis.local.broker import BrokerKind
from chassis.local.platform import Platform
from chassis.settings import ServiceSettings
from cli.connect import System, system_of
from cli.demo import story
from cli.demo.acting import Government
from cli.demo.cast import Scale
from tests.conftest import BROKER
from tests.system.recording import Example, Recording, Rpc
from tests.system.rehearsal import Company, rehearse
from tests.system.tokens import Tokens

# Small, and yet every course that the whole story has.
SCALE = Scale(officials=12, requisitions=13)
_DAY_SECONDS = 86_400
_CLOCK = ("KELOLA_CIVIL_ZONE", "KELOLA_CLOCK_OFFSET_SECONDS")


class MovedPlatform(Platform):
    """A platform whose business clock stands in the story's year, without a word of it in our own environment."""

    def __init__(self, directory: Path, **more: Any) -> None:
        super().__init__(directory, **more)
        before = {name: os.environ.pop(name, None) for name in _CLOCK}
        story.move_the_clock(directory)
        self._clock = {name: os.environ.pop(name) for name in _CLOCK}
        os.environ.update({name: value for name, value in before.items() if value is not None})

    def environment(self, service: str) -> dict[str, str]:
        """As always, and the moved clock."""
        return super().environment(service) | self._clock

    def crash_and_wake_a_day_later(self) -> None:
        """Kill every service at once, and start them again a day later by the business clock and by the request ids.

        Their age is kept by the database's own clock, which nobody moves: so the ids are made a day older, before the
        services start and look for what is too old.
        """
        for service in self.services:
            self.children[service].kill()
        for service in self.services:
            with self.postgres.connect(service) as connection:
                connection.execute("update idempotency set claimed_at = claimed_at - interval '1 day'")
        offset = int(self._clock["KELOLA_CLOCK_OFFSET_SECONDS"]) + _DAY_SECONDS
        self._clock |= {"KELOLA_CLOCK_OFFSET_SECONDS": str(offset)}
        for service in self.services:
            self.start_service(service)
        for service in self.services:
            self.wait_until_serving(service)


@dataclass(frozen=True)
class Lived:
    """The running system after the story and the rehearsal."""

    platform: MovedPlatform
    system: System
    told: Recording  # the story's calls
    rehearsed: Recording  # the rehearsal's: every RPC
    government: Government
    summary: dict[str, Any]
    company: Company
    tokens: Tokens

    def example(self, rpc: Rpc) -> Example:
        """A successful call of this RPC, in the rehearsal's government; the last one, when all was there."""
        return self.rehearsed.of(rpc)[-1]

    def token_of(self, example: Example) -> str:
        """A token of the example's caller."""
        return self.company.token(example.person_id)

    def tell_again(self) -> dict[str, Any]:
        """The whole story once more: every act is a repeat."""
        return story.live(self.government, print, SCALE)


@pytest.fixture(scope="session")
def system(scratch: Path) -> Iterator[MovedPlatform]:
    """The whole system, its business clock moved to the story's first day."""
    with MovedPlatform(scratch / "lived", broker=cast("BrokerKind", BROKER), say=print) as platform:
        yield platform


@pytest.fixture(scope="session")
def lived(system: MovedPlatform) -> Iterator[Lived]:
    """The story lived once, small, and the rehearsal after it; everything said is recorded."""
    telemetry.start(ServiceSettings(service="demo", trace_dir=system.directory / "spans"))
    told, rehearsed = Recording(), Recording()
    with system_of(system) as connected:
        government = Government(connected)
        government.witness = told.witness(government.persons)
        summary = story.live(government, print, SCALE)
        tokens = Tokens(system)
        company = rehearse(connected, rehearsed, tokens)
        telemetry.flush()
        yield Lived(system, connected, told, rehearsed, government, summary, company, tokens)


@pytest.fixture(scope="session")
def kelola(system: Platform) -> Callable[..., Any]:
    """Run a command of the command line on the running system; what it printed, as JSON or as a list of JSON lines.

    `stdin` is what the command reads from its standard input: nothing, unless given.
    """
    environment = {**os.environ, "KELOLA_HOME": str(system.directory)}

    def run(*arguments: str, status: int = 0, stdin: str = "") -> Any:
        done = subprocess.run(
            [sys.executable, "-m", "cli.main", *arguments, "--json"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            input=stdin,
        )
        assert done.returncode == status, done.stdout + done.stderr
        try:
            return json.loads(done.stdout)
        except json.JSONDecodeError:
            return [json.loads(line) for line in done.stdout.splitlines()]

    return run
