"""Everything on one machine: PostgreSQL, a broker, the services and their relays, as children of this process.

    with Platform(home()) as platform:                 # up, healthy, migrated
        platform.addresses["finance"]                  # host:port for gRPC
        platform.supervise()                           # until a signal (returns 0) or a crash (returns 1)

Everything that must last lies in one folder (`.local/`, or KELOLA_HOME): databases, keys, logs, spans, and the
broker's log where it keeps one. The embedded broker forgets; the relays see its new cluster id and send again.
A lock on the folder refuses a second start. `platform.json` there tells other processes where everything is.
However this process ends, its children end: in good order on SIGINT and SIGTERM, by the kernel otherwise.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Any, Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from chassis.local.broker import Broker, BrokerKind, embedded_broker
from chassis.local.child import Child, ChildFailed, free_port
from chassis.local.databases import ServiceDatabase, prepare, write_private
from chassis.local.keys import Keys
from chassis.local.postgres import PostgresServer
from chassis.local.services import service_names, upgrade
from chassis.settings import ROOT

_HEALTH_SECONDS = 120.0  # a machine that is busy with something else is no failure
_WATCH_SECONDS = 0.2
# Longer than the services' own grace (20 s), so that a call under way is answered before its server is killed.
_STOP_SECONDS = 25.0


class AlreadyRunning(RuntimeError):
    """Another process runs the platform on this folder."""


class Interrupted(BaseException):
    """SIGINT or SIGTERM came; raised in the main thread while `signals()` is open."""

    def __init__(self, number: int) -> None:
        super().__init__(f"signal {number}")
        self.number = number


@contextmanager
def signals() -> Iterator[None]:
    """SIGINT and SIGTERM raise `Interrupted` in the block, once; later ones are ignored while we clean up."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}

    def interrupt(number: int, frame: FrameType | None) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted(number)

    for number in numbers:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Platform:
    """The whole system on `directory`. `say` is told what is being done, one short line a step.

    Start it in the main thread: children are tied to the thread that starts them.
    """

    def __init__(
        self,
        directory: Path,
        *,
        broker: BrokerKind = "embedded",
        services: list[str] | None = None,
        say: Callable[[str], None] = lambda step: None,
    ) -> None:
        self.directory = directory.resolve()
        self.services = services or service_names()
        self.keys = Keys(self.directory / "keys")
        self.postgres = PostgresServer(self.directory / "postgres")
        self.broker: Broker = embedded_broker(broker, self.directory / f"broker-{broker}")
        self.databases: dict[str, ServiceDatabase] = {}
        self.ports: dict[str, int] = {}
        self.http_port = 0
        self.children: dict[str, Child] = {}
        self._say = say
        self._lock: IO[str] | None = None

    @property
    def addresses(self) -> dict[str, str]:
        """host:port of each service's gRPC door."""
        return {service: f"127.0.0.1:{self.ports[service]}" for service in self.services}

    def start(self) -> Self:
        """Start everything and wait until it serves; on a failure nothing is left running."""
        self._take_lock()
        try:
            self._start_servers()
            self._choose_ports()
            for service in self.services:
                # Each starts as soon as its own database is ready, while the next one's is made.
                self._migrate(service)
                self.start_service(service)
                self.start_relay(service)
            self._wait_until_healthy()
            self._write_description()
        except BaseException:
            self.stop()
            raise
        return self

    def start_service(self, service: str) -> Child:
        """Start one service's process on its port (again, after a crash)."""
        return self._spawn(service, [sys.executable, "-m", f"services.{service}"], self.environment(service))

    def start_relay(self, service: str) -> Child:
        """Start the process that sends one service's events (again, after a crash)."""
        command = [sys.executable, "-m", "cli.main", "relay", service]
        return self._spawn(f"{service}-relay", command, self.environment(service))

    def environment(self, service: str) -> dict[str, str]:
        """The variables from which a service's processes take their settings."""
        return {
            **os.environ,
            **self.databases[service].environment(),
            "KELOLA_SERVICE": service,
            "KELOLA_GRPC_PORT": str(self.ports[service]),
            "KELOLA_HTTP_PORT": str(self.http_port if service == "identity" else 0),
            "KELOLA_BROKER_SERVERS": self.broker.bootstrap,
            "KELOLA_RELAY_ENABLED": "false",  # a process of its own, so that it can fail by itself
            "KELOLA_PEERS": json.dumps(self.addresses),
            "KELOLA_JWKS_URL": f"http://127.0.0.1:{self.http_port}/jwks.json",
            "KELOLA_SERVICE_JWKS_URL": self.keys.services_jwks.as_uri(),
            "KELOLA_SERVICE_KEY_FILE": str(self.keys.private(service)),
            "KELOLA_CLIENT_JWKS": str(self.keys.clients_jwks),
            "KELOLA_DATA_DIR": str(self.directory / service),
            "KELOLA_TRACE_DIR": str(self.directory / "spans"),
            "KELOLA_AUDIT_HEAD_FILE": str(audit_head_file(self.directory, service)),
        }

    def wait_until_serving(self, service: str, *, seconds: float = _HEALTH_SECONDS) -> None:
        """Return once the service's health says SERVING; ChildFailed when it ended or `seconds` pass."""
        with grpc.insecure_channel(self.addresses[service]) as channel:
            health = health_pb2_grpc.HealthStub(channel)

            def serving() -> bool:
                try:
                    answer = health.Check(health_pb2.HealthCheckRequest(), timeout=1)
                except grpc.RpcError:
                    return False
                return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

            self.children[service].wait_until(serving, seconds=seconds)

    def supervise(self) -> int:
        """Watch the children: 0 when a signal asked us to end, 1 when one of them ended by itself."""
        try:
            while True:
                for child in [self.postgres.child, self.broker.child, *self.children.values()]:
                    if not child.running:
                        self._say(f"{child.name} ended with status {child.returncode}{child.log_tail()}")
                        return 1
                time.sleep(_WATCH_SECONDS)
        except Interrupted:
            return 0

    def stop(self) -> None:
        """End everything: the services, their relays (which send the rest), the broker, PostgreSQL. Safe to repeat."""
        running = [(name, child) for name, child in self.children.items() if child.running]
        if running:
            self._say("stopping the services")
        end = time.monotonic() + _STOP_SECONDS
        for relays in (False, True):
            wave = [child for name, child in running if name.endswith("-relay") == relays]
            for child in wave:
                child.signal(signal.SIGTERM)
            for child in wave:
                child.stop(grace_seconds=max(0.1, end - time.monotonic()))
        self.broker.stop()
        self.postgres.stop()
        (self.directory / "platform.json").unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _take_lock(self) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (self.directory / "lock").open("a+", encoding="ascii")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise AlreadyRunning(
                f"the platform runs on {self.directory} already (process {holder(self.directory)}); "
                "`kelola down` ends it, KELOLA_HOME names another folder"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock

    def _start_servers(self) -> None:
        self._say("keys")
        self.keys.make(self.services)
        self._say("PostgreSQL")
        self.postgres.start(port=self._last_port("postgres") or None)
        self._say("broker" if self.broker.kind == "embedded" else "Apache Kafka")
        self.broker.start()

    def _migrate(self, service: str) -> None:
        self._say(f"{service}: database, service, relay")
        self.databases[service] = prepare(self.postgres, service)
        upgrade(self.databases[service].settings())

    def _choose_ports(self) -> None:
        """The ports of the last run where they are free, so that a client's address stays good."""
        self.ports = {service: free_port(self._last_port(service)) for service in self.services}
        self.http_port = free_port(self._last_port("identity-http"))
        ports = {**self.ports, "identity-http": self.http_port, "postgres": self.postgres.port}
        (self.directory / "ports.json").write_text(json.dumps(ports, indent=1), encoding="utf-8")

    def _last_port(self, name: str) -> int:
        file = self.directory / "ports.json"
        known: dict[str, int] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        wanted = known.get(name, 0)
        return wanted if wanted and free_port(wanted) == wanted else 0

    def _spawn(self, name: str, command: list[str], environment: dict[str, str]) -> Child:
        log = self.directory / "logs" / f"{name}.log"
        child = Child(name, command, log=log, env=environment, cwd=ROOT)
        self.children[name] = child
        return child

    def _wait_until_healthy(self) -> None:
        for service in self.services:
            self._say(f"waiting for {service}")
            self.wait_until_serving(service)
        for child in self.children.values():
            if not child.running:
                raise ChildFailed(f"{child.name} ended with status {child.returncode}{child.log_tail()}")

    def _write_description(self) -> None:
        described: dict[str, Any] = {
            "pid": os.getpid(),
            "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "postgres": {"port": self.postgres.port, "pid": self.postgres.child.pid},
            "broker": {
                "kind": self.broker.kind,
                "bootstrap": self.broker.bootstrap,
                "pid": self.broker.child.pid,
            },
            "identity_http": f"http://127.0.0.1:{self.http_port}",
            "services": {
                service: {
                    "address": self.addresses[service],
                    "pid": self.children[service].pid,
                    "relay_pid": self.children[f"{service}-relay"].pid,
                    "database": vars(self.databases[service]),
                }
                for service in self.services
            },
        }
        write_private(self.directory / "platform.json", json.dumps(described, indent=1))


def audit_head_file(directory: Path, service: str) -> Path:
    """Where the platform on `directory` adds the signed heads of a service's audit chain."""
    return directory / "audit" / f"{service}.heads.jsonl"


def holder(directory: Path) -> int | None:
    """The process that runs the platform on this folder; None when none does."""
    file = directory / "lock"
    if not file.exists():
        return None
    with file.open("r+", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return int(lock.read() or 0) or None
    return None


def down(directory: Path, *, seconds: float = _STOP_SECONDS + 10) -> bool:
    """Ask the process that runs the platform on this folder to end, and wait; False when none does."""
    pid = holder(directory)
    if pid is None:
        return False
    os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + seconds
    while holder(directory) is not None:
        if time.monotonic() > end:
            raise ChildFailed(f"process {pid} did not end within {seconds:g} s; its log is in {directory / 'logs'}")
        time.sleep(_WATCH_SECONDS)
    return True
