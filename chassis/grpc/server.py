"""The gRPC door of a service, as a nameko extension: one server, shared by all its `@rpc` methods."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import grpc
import structlog
from google.protobuf.descriptor import MethodDescriptor
from nameko.extensions import SharedExtension

from chassis.auth import Authenticator, KeySource
from chassis.database import Database
from chassis.grpc import connections, longrunning
from chassis.grpc.caps import Cap
from chassis.grpc.chain import Chain, Denial, Handler
from chassis.grpc.handlers import check_handlers
from chassis.grpc.health import Health, health_handler
from chassis.grpc.method import Method
from chassis.grpc.reflection import SERVICE_NAMES, reflection_handlers
from chassis.policy import Policy
from chassis.settings import ServiceSettings

log = structlog.get_logger("chassis.grpc")

# Calls that may wait for a thread, beyond those that run or are being refused: the outer fence. What is
# beyond it grpcio refuses by itself with RESOURCE_EXHAUSTED, without details.
_WAITING_MAX = 512
# Tokens list agencies, so they are longer than gRPC's 8 kB for metadata.
_METADATA_BYTES_MAX = 64 * 1024
_READINESS_EVERY_SECONDS = 1.0
_READINESS_FAILURES = 2
# The drain looks this often which connections have become free; a call that ends wakes it sooner.
_HANG_UP_EVERY_SECONDS = 0.05
_WATCHERS_SECONDS = 1.0
_KEEPALIVE = (
    # Ask a silent client after a minute, give it twenty seconds; clients may ask every thirty, also when idle.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 30_000),
)


def _connection_age(settings: ServiceSettings) -> list[tuple[str, int]]:
    """The option of gRPC that ends connections in good order: no new calls on them, those under way finish."""
    if settings.connection_age_seconds is None:
        return []
    return [("grpc.max_connection_age_ms", int(settings.connection_age_seconds * 1000))]


class GrpcServer(SharedExtension):
    """Set up with the service, opened last, drained first."""

    def __init__(self) -> None:
        self._handlers: dict[str, dict[str, grpc.RpcMethodHandler[Any, Any]]] = {}
        self._registered: list[tuple[Handler, MethodDescriptor]] = []
        self._server: grpc.Server | None = None
        self._health: Health | None = None
        self._under_way: connections.UnderWay | None = None
        self._port: int | None = None

    def register(self, handler: Handler, method: MethodDescriptor) -> None:
        """Serve `method` by `handler`, once the server is set up."""
        self._registered.append((handler, method))

    def setup(self) -> None:
        """Check the handlers, read policies and keys, build the server. Nothing is open yet."""
        settings: ServiceSettings = self.container.settings
        check_handlers(self.container.service_cls, whole_package=settings.grpc_whole_package)
        policy = Policy.load(settings.policies_dir)
        authenticator = Authenticator(
            audience=settings.service,
            issuer=settings.token_issuer,
            people=KeySource(settings.jwks_url) if settings.jwks_url else None,
            services=KeySource(settings.service_jwks_url) if settings.service_jwks_url else None,
            policy=policy,
        )
        chain = Chain(settings, authenticator, on_denied=self._on_denied)
        self._under_way = chain.under_way
        for handler, descriptor in self._registered:
            self._serve(chain, handler, descriptor, None)
        for handler, descriptor in self._operations():
            self._serve(chain, handler, descriptor, f"{settings.service}.operation.read")
        names = sorted(self._handlers)
        self._health = Health(names)
        reflection = reflection_handlers(["grpc.health.v1.Health", *names], Cap(settings.streams_max, "streams"))
        limit = settings.message_bytes_max
        self._server = grpc.server(
            ThreadPoolExecutor(settings.threads, thread_name_prefix="rpc"),
            handlers=[
                *(grpc.method_handlers_generic_handler(name, self._handlers[name]) for name in names),
                health_handler(self._health),
                *reflection,
            ],
            options=[
                ("grpc.max_receive_message_length", limit),
                ("grpc.max_send_message_length", limit),
                ("grpc.max_metadata_size", _METADATA_BYTES_MAX),
                ("grpc.so_reuseport", int(settings.grpc_reuse_port)),
                *_KEEPALIVE,
                *_connection_age(settings),
            ],
            maximum_concurrent_rpcs=settings.threads + _WAITING_MAX,
        )

    def _serve(self, chain: Chain, handler: Handler, descriptor: MethodDescriptor, permission: str | None) -> None:
        method = Method.of(descriptor, permission=permission)
        service = descriptor.containing_service.full_name
        self._handlers.setdefault(service, {})[descriptor.name] = chain.handler(method, handler)

    def _database(self) -> Any:
        """The dependency `db`; None for a service without data."""
        return next((one for one in self.container.dependencies if one.attr_name == "db"), None)

    def _operations(self) -> Iterator[tuple[Handler, MethodDescriptor]]:
        """google.longrunning.Operations, where the service keeps long runs."""
        database = self._database()
        tables = database.base.metadata.tables if isinstance(database, Database) else {}
        if longrunning.TABLE in tables:
            for name in longrunning.OperationsHandler.METHODS:
                handler = longrunning.OperationsHandler(name, database.get_dependency(None))
                yield handler, longrunning.SERVICE.methods_by_name[name]

    def start(self) -> None:
        """Open the door and say where it is."""
        settings: ServiceSettings = self.container.settings
        assert self._server is not None
        assert self._health is not None
        self._port = self._server.add_insecure_port(f"{settings.grpc_host}:{settings.grpc_port}")
        self._server.start()
        self._health.open()
        database = self._database()
        answers = getattr(database.get_dependency(None), "answers", None) if database is not None else None
        if answers is not None:
            self.container.spawn_managed_thread(partial(self._watch, self._health, answers), "readiness")
        if settings.grpc_address_file is not None:
            scratch = settings.grpc_address_file.with_suffix(".new")
            scratch.write_text(self.address, encoding="utf-8")
            scratch.replace(settings.grpc_address_file)
        log.info("listening", door=self.address, services=sorted(self._handlers))

    def _watch(self, health: Health, answers: Callable[[], bool]) -> None:
        """Show NOT_SERVING while the database does not answer: two failures in a row, since one may be a moment."""
        stopping: threading.Event = self.container.stopping
        failures = 0
        while not stopping.wait(_READINESS_EVERY_SECONDS):
            failures = 0 if answers() else failures + 1
            if failures in (0, _READINESS_FAILURES):
                health.ready(failures == 0)

    def stop(self) -> None:
        """Drain: show NOT_SERVING, begin nothing new, let what runs finish within the grace, then close.

        What a client sends meanwhile ends UNAVAILABLE, and so does what runs longer (`chassis.grpc.connections`).
        """
        if self._server is None or self._health is None or self._under_way is None:
            return
        settings: ServiceSettings = self.container.settings
        self._health.drain()
        if self._port is not None:
            time.sleep(settings.drain_notice_seconds)
            self._drain(self._port, self._health, self._under_way, settings.grace_seconds)
        # Nobody is connected any more; what still runs has no one to answer.
        self._server.stop(0).wait(1)
        self._server = None

    @staticmethod
    def _drain(port: int, health: Health, under_way: connections.UnderWay, grace_seconds: float) -> None:
        end = time.monotonic() + grace_seconds
        under_way.close()
        connections.stop_listening(port)
        health.release_watchers(_WATCHERS_SECONDS)
        while (busy := under_way.ports()) and time.monotonic() < end:
            connections.hang_up(port, except_ports=busy)
            under_way.wait(_HANG_UP_EVERY_SECONDS)
        connections.hang_up(port)

    @property
    def address(self) -> str:
        """host:port of the open door; with port 0 before it is open."""
        settings = getattr(self.container, "settings", None)
        return f"{settings.grpc_host if settings else ''}:{self._port or 0}"

    def _on_denied(self, denial: Denial) -> None:
        """Hand a refused decision to the database's audit, where the service has a database."""
        database = self._database()
        transactions = database.get_dependency(None) if database is not None else None
        audit = getattr(transactions, "audit_denied", None)
        log.warning(
            "denied",
            rpc=denial.method,
            permission=denial.permission,
            principal=denial.principal.subject,
            agency=str(denial.agency_id) if denial.agency_id else None,
        )
        if audit is None:
            return
        try:
            audit(
                method=denial.method,
                permission=denial.permission,
                principal=denial.principal,
                agency_id=denial.agency_id,
                reason=denial.reason,
            )
        except Exception:
            # The caller is refused all the same; the log line above is what remains of it.
            log.exception("a denied decision could not be audited", rpc=denial.method)


__all__ = ["SERVICE_NAMES", "GrpcServer"]
