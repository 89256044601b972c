"""Calls to other services: `logistics = Peer("logistics")`, then `self.logistics.stub(SomeServiceStub).SomeRpc(…)`.

Every call has a deadline (what is left of the caller's own), carries the trace, and proves who asks:
- inside `acting_for(person, agencies)` (a saga step): this service's own token with the recorded person;
- inside an RPC: the caller's own token, so that the caller's rights count, never the intermediary's;
- else (a timer): this service's own token with nobody behind it.
While a database transaction is open on the thread a call is refused: no lock may wait for a network.
Only UNAVAILABLE is retried, by gRPC itself; that is safe because every mutation carries a request_id.
"""

from __future__ import annotations

import json
import threading
import time
from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import grpc
import structlog
from nameko.extensions import DependencyProvider
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from chassis import auth, telemetry
from chassis.errors import DeadlineExceeded, Unavailable
from chassis.grpc.current import current
from chassis.settings import ServiceSettings
from chassis.transaction_flag import transaction_is_open

log = structlog.get_logger("chassis.peer")

Stub = TypeVar("Stub")

# What a call may take when nothing else bounds it.
CALL_SECONDS = 10.0
# A signed token is used again for this long (it holds for sixty seconds).
_TOKEN_REUSE_SECONDS = 20.0
_TOKENS_KEPT_MAX = 1_000

# grpc/proposal A6: jitter is built in; throttling stops retries when a peer fails as a whole.
SERVICE_CONFIG = {
    # A name behind which several processes stand (a headless Service) shares the calls among them, not only the
    # connections: one HTTP/2 connection would carry everything to one of them.
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
    "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
}
CHANNEL_OPTIONS = (
    ("grpc.service_config", json.dumps(SERVICE_CONFIG)),
    ("grpc.enable_retries", 1),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.max_metadata_size", 64 * 1024),
    # A peer that restarts is found again soon.
    ("grpc.max_reconnect_backoff_ms", 2_000),
)


class PeerAddressMissing(Unavailable):
    """No address is set for the other service."""

    reason = "PEER_ADDRESS_MISSING"


class CallInTransaction(RuntimeError):
    """A mistake of ours: a call to another service while a transaction is open on this thread."""


@dataclass(frozen=True)
class _Acting:
    person_id: UUID | None
    agencies: tuple[UUID, ...]


_thread = threading.local()


@contextmanager
def acting_for(person_id: UUID | None, agencies: Iterable[UUID]) -> Iterator[None]:
    """Calls of the block are made under this service's credentials for that person, in those agencies."""
    before = getattr(_thread, "acting", None)
    _thread.acting = _Acting(person_id, tuple(sorted(agencies)))
    try:
        yield
    finally:
        _thread.acting = before


class PeerClient:
    """One other service, as this one reaches it. Safe to use from many threads."""

    def __init__(self, name: str, settings: ServiceSettings) -> None:
        self.name, self._settings = name, settings
        self._key = auth.load_key(settings.service_key_file) if settings.service_key_file else None
        self._tokens: dict[_Acting, tuple[float, str]] = {}
        self._lock = threading.Lock()
        self._channel: grpc.Channel | None = None
        self._plain: grpc.Channel | None = None
        self._stubs: dict[Any, Any] = {}

    def stub(self, stub_class: Callable[[grpc.Channel], Stub]) -> Stub:
        """A stub on the channel to this peer. Raises PEER_ADDRESS_MISSING when no address is set for it."""
        with self._lock:
            if self._channel is None:
                self._channel = self._open()
            made = self._stubs.get(stub_class)
            if made is None:
                made = self._stubs[stub_class] = stub_class(self._channel)
            stub: Stub = made
            return stub

    def close(self) -> None:
        """Close the channel; calls under way end as CANCELLED."""
        with self._lock:
            if self._plain is not None:
                self._plain.close()
            self._plain = self._channel = None
            self._stubs = {}

    def _open(self) -> grpc.Channel:
        address = self._settings.peers.get(self.name)
        if address is None:
            raise PeerAddressMissing(f"no address is set for the service {self.name}; set it in KELOLA_PEERS")
        self._plain = grpc.insecure_channel(address, options=list(CHANNEL_OPTIONS))
        return grpc.intercept_channel(self._plain, _Outgoing(self))

    def authorization(self) -> str | None:
        """The value of `authorization` for a call that is made now by this thread."""
        acting: _Acting | None = getattr(_thread, "acting", None)
        if acting is None:
            caller = current()
            if caller is not None:
                return f"Bearer {caller.token}" if caller.token else None
            acting = _Acting(None, ())
        token = self._service_token(acting)
        return f"Bearer {token}" if token else None

    def _service_token(self, acting: _Acting) -> str | None:
        if self._key is None:
            return None
        now = time.monotonic()
        kept = self._tokens.get(acting)
        if kept is not None and now < kept[0]:
            return kept[1]
        token = auth.service_token(
            self._key,
            service=self._settings.service,
            audience=self.name,
            person_id=acting.person_id,
            agencies=acting.agencies,
        )
        with self._lock:
            if len(self._tokens) >= _TOKENS_KEPT_MAX:
                self._tokens = {}
            self._tokens[acting] = (now + _TOKEN_REUSE_SECONDS, token)
        return token


_Details = namedtuple("_Details", "method timeout metadata credentials wait_for_ready compression")


class _CallDetails(_Details, grpc.ClientCallDetails):
    """grpcio wants its own class here, and gives no way to make one."""


class _Outgoing(
    grpc.UnaryUnaryClientInterceptor,  # type: ignore[type-arg]  # generic in its stubs alone
    grpc.UnaryStreamClientInterceptor,  # type: ignore[type-arg]  # generic in its stubs alone
    grpc.StreamUnaryClientInterceptor,  # type: ignore[type-arg]  # generic in its stubs alone
    grpc.StreamStreamClientInterceptor,  # type: ignore[type-arg]  # generic in its stubs alone
):
    """Gives every call to a peer its deadline, credentials and span."""

    def __init__(self, peer: PeerClient) -> None:
        self._peer = peer

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        """A unary call."""
        return self._call(continuation, client_call_details, request)

    def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        """A call with a stream of answers."""
        return self._call(continuation, client_call_details, request)

    def intercept_stream_unary(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        """A client stream."""
        return self._call(continuation, client_call_details, request_iterator)

    def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        """Streams both ways."""
        return self._call(continuation, client_call_details, request_iterator)

    def _call(self, continuation: Any, details: Any, request: Any) -> Any:
        method = details.method if isinstance(details.method, str) else details.method.decode()
        if transaction_is_open():
            raise CallInTransaction(
                f"{method} was called while a database transaction is open; ask before it, or in a saga step"
            )
        timeout = _timeout(details.timeout)
        span = telemetry.TRACER.start_span(
            method.lstrip("/"),
            kind=SpanKind.CLIENT,
            attributes={
                "rpc.system.name": "grpc",
                "rpc.method": method.lstrip("/"),
                "server.address": self._peer.name,
            },
        )
        with trace.use_span(span, record_exception=False, set_status_on_exception=False):
            metadata = [*(details.metadata or ())]
            parent = telemetry.traceparent()
            if parent:
                metadata.append(("traceparent", parent))
            if not any(key == "authorization" for key, _ in metadata):
                authorization = self._peer.authorization()
                if authorization:
                    metadata.append(("authorization", authorization))
            try:
                call = continuation(
                    _CallDetails(
                        details.method,
                        timeout,
                        metadata,
                        details.credentials,
                        getattr(details, "wait_for_ready", None),
                        getattr(details, "compression", None),
                    ),
                    request,
                )
            except BaseException:
                span.set_status(StatusCode.ERROR)
                span.end()
                raise
        call.add_done_callback(lambda done: _end(span, done))
        return call


def _timeout(asked: float | None) -> float:
    """What the call may take: as asked or ten seconds, and never more than is left of the caller's own time."""
    timeout = CALL_SECONDS if asked is None else asked
    caller = current()
    if caller is not None:
        timeout = min(timeout, caller.call.deadline - time.monotonic())
        if timeout <= 0:
            raise DeadlineExceeded("the call's time is over before another service was asked; retry with more")
    return timeout


def _end(span: trace.Span, done: Any) -> None:
    code = done.code()
    name = code.name if code is not None else grpc.StatusCode.UNKNOWN.name
    span.set_attribute("rpc.response.status_code", name)
    if code is not grpc.StatusCode.OK:
        span.set_attribute("error.type", name)
        span.set_status(StatusCode.ERROR)
    span.end()


class Peer(DependencyProvider):
    """`finance = Peer("finance")` on a service: methods then use `self.finance.stub(BudgetServiceStub)`."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.name = name
        self._client: PeerClient | None = None

    def setup(self) -> None:
        """Read the service's key. The channel opens at the first call, so services may start in any order."""
        settings: ServiceSettings = self.container.settings
        if self.name not in settings.peers:
            log.warning("no address for a peer", peer=self.name)
        self._client = PeerClient(self.name, settings)

    def stop(self) -> None:
        """Close the channel."""
        if self._client is not None:
            self._client.close()

    def get_dependency(self, worker_ctx: object) -> PeerClient:
        """The peer, the same client for every worker."""
        assert self._client is not None, "the container was not started"
        return self._client
