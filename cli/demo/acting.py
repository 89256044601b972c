"""Calls to the four services as the person who acts, with a request id that each step always gets."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message
from opentelemetry import context as otel_context
from opentelemetry.trace import SpanKind, get_current_span

from chassis import telemetry
from chassis.ids import derived_id
from cli.connect import System, refusal

OPERATOR = "operator"
_DEADLINE_SECONDS = 30.0
_TRIES_MAX = 8
_WAIT_SECONDS = 90.0
# The caller may repeat these with the same request id: nothing happened, or what happened is answered again.
_RETRYABLE = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED, grpc.StatusCode.RESOURCE_EXHAUSTED}

Item = TypeVar("Item")
Result = TypeVar("Result")


class DemoStopped(RuntimeError):
    """A step did not end as the story needs it; the message says which and why."""


@dataclass(frozen=True)
class Refusal:
    """A refusal as an answer: its code, its stable reason, its words and its figures."""

    code: str
    reason: str
    message: str
    figures: Mapping[str, str]

    @classmethod
    def of(cls, error: grpc.RpcError) -> Refusal:
        """The refusal that a gRPC error carries."""
        said = refusal(error)
        fields = "".join(f"; {name}: {what}" for name, what in said.get("fields", {}).items())
        return cls(said["code"], said.get("reason", ""), f"{said['message']}{fields}", said.get("metadata", {}))


@dataclass
class Government:
    """The demo's connections. `persons` maps an officer's label to the person's id; `operator` needs none.

    `witness` is told of every call that succeeded: (full method, request, reply, who acted).
    """

    system: System
    persons: dict[str, str] = field(default_factory=dict)
    witness: Callable[[str, Message, Message, str], None] = lambda method, request, reply, by: None

    def do(self, stub_class: Any, rpc: str, request: Message, *, by: str, step: str) -> Any:
        """Call a mutating RPC as `by`; its request id is derived from `step`. A refusal ends the demo."""
        answer = self.attempt(stub_class, rpc, request, by=by, step=step)
        if isinstance(answer, Refusal):
            raise DemoStopped(f"{step}: {rpc} was refused: {answer.code} {answer.reason}: {answer.message}")
        return answer

    def attempt(self, stub_class: Any, rpc: str, request: Message, *, by: str, step: str) -> Any:
        """As `do`, but a refusal is an answer: it comes back as a `Refusal`."""
        request.request_id = str(derived_id("demo", step))  # type: ignore[attr-defined]  # a field of every such request
        return self._call(stub_class, rpc, request, by)

    def read(self, stub_class: Any, rpc: str, request: Message, *, by: str) -> Any:
        """Call a reading RPC as `by`. A refusal ends the demo."""
        answer = self._call(stub_class, rpc, request, by)
        if isinstance(answer, Refusal):
            raise DemoStopped(f"{rpc} was refused: {answer.code} {answer.reason}: {answer.message}")
        return answer

    def pages(self, stub_class: Any, rpc: str, request: Message, *, by: str, rows: str) -> Iterator[Any]:
        """All rows of a list, page by page."""
        while True:
            answer = self.read(stub_class, rpc, request, by=by)
            yield from getattr(answer, rows)
            if not answer.next_page_token:
                return
            request.page_token = answer.next_page_token  # type: ignore[attr-defined]  # a field of every such request

    def wait(self, look: Callable[[], Result], *, until: Callable[[Result], bool], what: str) -> Result:
        """Look until `until` holds, a minute and a half at most: sagas and events take a moment."""
        end, pause = time.monotonic() + _WAIT_SECONDS, 0.05
        while True:
            seen = look()
            if until(seen):
                return seen
            if time.monotonic() > end:
                raise DemoStopped(f"{what} did not happen within {_WAIT_SECONDS:g} s; last seen: {seen}")
            time.sleep(pause)
            pause = min(pause * 1.5, 0.5)

    @contextmanager
    def journey(self, name: str) -> Iterator[str]:
        """One trace for all calls in the block; gives its trace id (hexadecimal)."""
        with telemetry.span(name, kind=SpanKind.INTERNAL, attributes={"kelola.journey": name}):
            yield format(get_current_span().get_span_context().trace_id, "032x")

    def forget_tokens(self) -> None:
        """Ask for new tokens from now on: grants have changed."""
        self.system.forget_tokens()

    def _call(self, stub_class: Any, rpc: str, request: Message, by: str) -> Any:
        # kelola.finance.v1.budget_pb2_grpc -> finance
        service = stub_class.__module__.split(".")[1]
        method = getattr(stub_class(self.system.channel(service)), rpc)
        subject = OPERATOR if by == OPERATOR else self.persons[by]
        for tries in range(1, _TRIES_MAX + 1):
            metadata = self.system.metadata(subject)
            if (parent := telemetry.traceparent()) is not None:
                metadata.append(("traceparent", parent))
            try:
                reply = method(request, metadata=metadata, timeout=_DEADLINE_SECONDS)
            except grpc.RpcError as error:
                if error.code() not in _RETRYABLE or tries == _TRIES_MAX:
                    return Refusal.of(error)
                time.sleep(min(3.0, 0.1 * 2**tries))
            else:
                self.witness(f"{service}/{stub_class.__name__.removesuffix('Stub')}/{rpc}", request, reply, by)
                return reply
        raise AssertionError("unreachable")


def each(items: list[Item], work: Callable[[Item], Result], *, workers: int = 8) -> list[Result]:
    """`work` on every item, a few at a time, results in the items' order; the trace goes along."""
    here = otel_context.get_current()

    def inside(item: Item) -> Result:
        token = otel_context.attach(here)
        try:
            return work(item)
        finally:
            otel_context.detach(token)

    with ThreadPoolExecutor(max_workers=workers) as pool:
        return list(pool.map(inside, items))
