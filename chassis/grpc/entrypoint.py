"""`@rpc(SERVICE)`: a method of a nameko service becomes the handler of the RPC whose name it has in snake_case."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator
from typing import Any

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from nameko.extensions import Entrypoint

from chassis.call import Call, Replayed, TransactionConflict
from chassis.errors import DeadlineExceeded
from chassis.grpc.handlers import snake_case
from chassis.grpc.server import GrpcServer
from chassis.grpc.status import DatabaseBusy

# A transaction that the database undid runs again at most this often: more means that something else is wrong.
CONFLICT_RETRIES_MAX = 3
_CONFLICT_PAUSE_SECONDS = 0.02


class Rpc(Entrypoint):
    """The entrypoint behind `@rpc(SERVICE)`. The method is `(self, request, call)`.

    `request` is the parsed and validated message (an iterator of them for a client stream), `call` a
    `chassis.call.Call`. It returns the reply as a message, or as the bytes that were stored with the
    request_id; a server stream is a generator of messages.
    """

    server = GrpcServer()

    def __init__(self, service: ServiceDescriptor, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.service = service
        self.method: MethodDescriptor | None = None

    def setup(self) -> None:
        """Find the RPC that the method serves and register with the server."""
        self.method = rpc_method(self.service, self.method_name)
        self.server.register(self, self.method)

    def answer(self, request: Any, call: Call) -> bytes:
        """Run the method of a single answer: a repeat gives the stored bytes, a conflict runs it again."""
        for attempt in range(CONFLICT_RETRIES_MAX + 1):
            try:
                with self.container.worker(self, (request, call)) as method:
                    return _bytes(method(request, call))
            except Replayed as replay:
                return replay.answer
            except TransactionConflict as conflict:
                if attempt == CONFLICT_RETRIES_MAX or not isinstance(request, Message):
                    # The messages of a client stream are gone once read, so it cannot run again.
                    raise DatabaseBusy(
                        "other calls changed the same rows again and again; retry with the same request_id"
                    ) from conflict
                _pause(attempt, call)
        raise AssertionError("the loop above returns or raises")

    def answers(self, request: Any, call: Call) -> Generator[bytes, None, None]:
        """Run a server stream; the worker lives as long as the stream, also when the client goes away."""
        with self.container.worker(self, (request, call)) as method:
            for reply in method(request, call):
                yield _bytes(reply)


rpc: Callable[..., Any] = Rpc.decorator


def _bytes(reply: Message | bytes) -> bytes:
    return reply if isinstance(reply, bytes) else reply.SerializeToString()


def _pause(attempt: int, call: Call) -> None:
    # Jitter keeps two calls that undid one another from meeting again.
    pause = _CONFLICT_PAUSE_SECONDS * 2**attempt * (0.5 + random.random())  # noqa: S311  # no secret
    if time.monotonic() + pause >= call.deadline:
        raise DeadlineExceeded("other calls changed the same rows and the time is over; retry with the same request_id")
    time.sleep(pause)


def rpc_method(service: ServiceDescriptor, method_name: str) -> MethodDescriptor:
    """The RPC of `service` whose name in snake_case is `method_name`; a start error when there is none."""
    for method in service.methods:
        if snake_case(method.name) == method_name:
            return method
    raise LookupError(
        f"{service.full_name} has no RPC for the method {method_name}; it has {[m.name for m in service.methods]}"
    )
