"""What the system was asked and what it answered: one example and more of every RPC, and how to send it again."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import import_module
from typing import Any

import grpc
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from cli.connect import System
from tools.descriptors import contracts

CALL_SECONDS = 30.0
# Enough for every test; a list that is polled is recorded no further.
_EXAMPLES_MAX = 25
# A repeat is worth another try after these: nothing was decided.
PASSING = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED, grpc.StatusCode.RESOURCE_EXHAUSTED)


@dataclass(frozen=True)
class Rpc:
    """One RPC of the contracts."""

    full_name: str  # kelola.finance.v1.BudgetService.AllotFunds

    @cached_property
    def descriptor(self) -> MethodDescriptor:
        """Its descriptor in the default pool."""
        service, _, method = self.full_name.rpartition(".")
        return descriptor_pool.Default().FindServiceByName(service).methods_by_name[method]

    @property
    def path(self) -> str:
        """/kelola.finance.v1.BudgetService/AllotFunds."""
        service, _, method = self.full_name.rpartition(".")
        return f"/{service}/{method}"

    @property
    def service(self) -> str:
        """finance."""
        return self.full_name.split(".")[1]

    @property
    def short(self) -> str:
        """finance/BudgetService.AllotFunds, for the names of tests."""
        return f"{self.service}/{self.full_name.partition('.v1.')[2]}"

    @property
    def permission(self) -> str:
        """What it asks for; empty for a public one."""
        return _access()[self.full_name].permission

    @property
    def mutates(self) -> bool:
        """Whether it carries a request_id."""
        return "request_id" in self.descriptor.input_type.fields_by_name

    @property
    def streams_requests(self) -> bool:
        """Whether its caller sends several messages."""
        return self.descriptor.client_streaming

    @property
    def request_class(self) -> type[Message]:
        """The class of its requests."""
        return message_factory.GetMessageClass(self.descriptor.input_type)

    @property
    def reply_class(self) -> type[Message]:
        """The class of its replies."""
        return message_factory.GetMessageClass(self.descriptor.output_type)


@cache
def _access() -> dict[str, Any]:
    return {method.full_name: method.access for method in contracts().methods}


@cache
def rpcs() -> tuple[Rpc, ...]:
    """Every RPC of the contracts, ours alone."""
    known = contracts()
    for file in known.files:
        # Its messages and services enter the default pool.
        import_module(file.removesuffix(".proto").replace("/", ".") + "_pb2")
    return tuple(Rpc(method.full_name) for method in known.methods)


def mutating() -> list[Rpc]:
    """Every RPC that changes something."""
    return [rpc for rpc in rpcs() if rpc.mutates]


@dataclass(frozen=True)
class Example:
    """A call that succeeded."""

    rpc: Rpc
    request: bytes
    reply: bytes
    person_id: str  # or `operator`

    @property
    def message(self) -> Any:
        """The request as a message of its own."""
        return self.rpc.request_class.FromString(self.request)

    @property
    def answer(self) -> Any:
        """The reply as a message."""
        return self.rpc.reply_class.FromString(self.reply)


class Recording:
    """The examples of every RPC, first come first. Threads may add."""

    def __init__(self) -> None:
        self._examples: defaultdict[str, list[Example]] = defaultdict(list)
        # Of every mutation, however many: (RPC, request_id) -> the reply's bytes.
        self.answers: dict[tuple[str, str], bytes] = {}
        self._lock = threading.Lock()

    def add(self, full_name: str, request: bytes, reply: bytes, person_id: str) -> None:
        """Keep one more example of the RPC."""
        rpc = Rpc(full_name)
        with self._lock:
            if rpc.mutates:
                message: Any = rpc.request_class.FromString(request)
                self.answers[full_name, message.request_id] = reply
            if len(self._examples[full_name]) < _EXAMPLES_MAX:
                self._examples[full_name].append(Example(rpc, request, reply, person_id))

    def of(self, rpc: Rpc) -> list[Example]:
        """The RPC's examples; AssertionError when there is none."""
        found = self._examples.get(rpc.full_name, [])
        assert found, f"{rpc.full_name} has no example: call it in tests/system/rehearsal_*.py"
        return found

    def missing(self) -> list[str]:
        """The RPCs that were never called."""
        return [rpc.full_name for rpc in rpcs() if not self._examples.get(rpc.full_name)]

    def witness(self, persons: dict[str, str]) -> Callable[[str, Message, Message, str], None]:
        """What `Government.witness` wants: told of each call that succeeded, by an officer's label."""

        def seen(method: str, request: Message, reply: Message, by: str) -> None:
            service, stub, rpc = method.split("/")
            self.add(
                f"kelola.{service}.v1.{stub}.{rpc}",
                request.SerializeToString(deterministic=True),
                reply.SerializeToString(deterministic=True),
                persons.get(by, by),
            )

        return seen


def send(
    system: System,
    rpc: Rpc,
    request: bytes | Sequence[bytes],
    *,
    token: str | None,
    metadata: Iterable[tuple[str, str]] = (),
    timeout: float = CALL_SECONDS,
) -> bytes:
    """The bytes that the RPC answers to these bytes. Raises grpc.RpcError."""
    channel = system.channel(rpc.service)
    make = channel.stream_unary if rpc.streams_requests else channel.unary_unary
    call = make(rpc.path, request_serializer=bytes, response_deserializer=bytes)
    sent: Any = request
    if rpc.streams_requests:
        sent = iter([request] if isinstance(request, bytes) else request)
    authorization = [("authorization", f"Bearer {token}")] if token is not None else []
    answer: bytes = call(sent, metadata=[*authorization, *metadata], timeout=timeout)
    return answer
