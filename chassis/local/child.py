"""One child process of ours: it never outlives the process that started it, and its output goes to a file."""

from __future__ import annotations

import json
import os
import pwd
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_LAUNCH = Path(__file__).with_name("launch.py")
_POLL_SECONDS = 0.02
_LOG_TAIL_LINES = 15
_PORT_FIRST, _PORT_COUNT, _PORT_TRIES = 20_000, 12_000, 100


class ChildFailed(RuntimeError):
    """A child could not be started, did not become ready, or ended. The text has the end of its log."""


# The ports that this process was given.
_given: set[int] = set()


def free_port(wanted: int = 0) -> int:
    """A TCP port of 127.0.0.1 that is free now: `wanted` if it is, else one found by chance.

    It lies below the range from which the system takes ports for outgoing connections, so that none of those takes
    it before the server binds it. Another process's server may: who binds it later retries, or fails with its name. A
    port found by chance is given once in a process: a server with two doors asks for both before it binds either.
    """
    for port in [wanted, *(_PORT_FIRST + secrets.randbelow(_PORT_COUNT) for _ in range(_PORT_TRIES))]:
        with socket.socket() as probe, suppress(OSError):
            if port and (port == wanted or port not in _given):
                probe.bind(("127.0.0.1", port))
                _given.add(port)
                return port
    raise ChildFailed(f"no free port in {_PORT_FIRST} … {_PORT_FIRST + _PORT_COUNT - 1} after {_PORT_TRIES} tries")


def answers(port: int) -> bool:
    """Whether somebody listens on 127.0.0.1:`port`."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def unprivileged() -> tuple[int, int] | None:
    """The (uid, gid) of `nobody` when we are root, for programs that refuse root; else None: no change."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam("nobody")
    return entry.pw_uid, entry.pw_gid


class Child:
    """A program run as our child.

    Start it from the main thread: the kernel's death signal follows the thread that started the child, so a child
    of a thread that ends is killed. The child has a session of its own, so Ctrl-C reaches only us and we decide
    the order in which children stop.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | os.PathLike[str]],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: tuple[int, int] | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.name = name
        self.log = log
        self.stop_signal = stop_signal
        log.parent.mkdir(parents=True, exist_ok=True)
        uid, gid = user or (-1, -1)
        tie = [sys.executable, "-I", "-S", str(_LAUNCH), str(os.getpid()), str(int(stop_signal)), str(uid), str(gid)]
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*tie, *(os.fspath(part) for part in command)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=None if env is None else dict(env),
                cwd=cwd,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        return self._process.poll()

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self.returncode is None

    def wait_until(self, ready: Callable[[], bool], *, seconds: float) -> None:
        """Return once `ready()` holds; ChildFailed when the child ends first or `seconds` pass."""
        end = time.monotonic() + seconds
        while not ready():
            if not self.running:
                raise ChildFailed(f"{self.name} ended with status {self.returncode}{self.log_tail()}")
            if time.monotonic() > end:
                raise ChildFailed(f"{self.name} was not ready after {seconds:g} s{self.log_tail()}")
            time.sleep(_POLL_SECONDS)

    def stop(self, *, grace_seconds: float = 20.0) -> int:
        """Ask it to end, and kill it when it has not within `grace_seconds`; its exit status. Safe to repeat."""
        if self.running:
            self._process.send_signal(self.stop_signal)
            try:
                self._process.wait(grace_seconds)
            except subprocess.TimeoutExpired:
                self._process.kill()
        return self._process.wait()

    def kill(self) -> None:
        """End it at once (SIGKILL), as a crash would, and wait until it is gone."""
        self._process.kill()
        self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal: SIGSTOP and SIGCONT freeze and thaw it."""
        self._process.send_signal(number)

    def log_tail(self) -> str:
        """The last lines of its log, to be put behind an error's text."""
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_TAIL_LINES:]
        except OSError:
            lines = []
        shown = [text for line in lines for text in _readable(line)][-_LOG_TAIL_LINES:]
        return f"; the end of {self.log}:\n  " + "\n  ".join(shown) if shown else f" (nothing in {self.log})"


def _readable(line: str) -> list[str]:
    """A line of a service's log for a person: of a JSON line its level, event and the end of its exception."""
    try:
        entry = json.loads(line)
    except ValueError:
        return [line]
    if not isinstance(entry, dict) or "event" not in entry:
        return [line]
    exception = str(entry.get("exception", "")).splitlines()
    # Frames lead to the place; the words after them say what is wrong.
    frames = [number for number, text in enumerate(exception) if text.startswith("  File ")]
    words = exception[frames[-1] + 2 :] if frames else exception
    return [f"{entry.get('level', '')}: {entry['event']}", *(f"    {text}" for text in words)]
