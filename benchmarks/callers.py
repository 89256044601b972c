"""Callers in a process of their own: each calls, waits for the answer, calls again, until the time is over."""

from __future__ import annotations

import multiprocessing
import os
import random
import selectors
import time
import traceback
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.http2 import Http2Connection, framed

# Where a template has this text, each sending gets a fresh request id.
REQUEST_ID = "00000000-0000-4000-8000-000000000000"
# Callers of one process spread over this many connections, as they would from several hosts.
_CONNECTIONS_MAX = 4
_GRACE_SECONDS = 60.0
_START_SECONDS = 60.0


@dataclass(frozen=True)
class Load:
    """What the callers do. `templates` are serialized requests; a call sends `messages_per_call` of them, chosen at
    random (one for a unary call, many for a client stream).

    Calls that end within `seconds`, after the warm-up, are counted. With `long_calls` all calls are counted, over the
    time until the last of them has ended: where a call takes a second, those at the edges must not be lost.
    """

    address: str
    path: str
    metadata: Mapping[str, str]
    templates: Sequence[bytes]
    callers: int
    seconds: float
    warmup_seconds: float = 0.5
    messages_per_call: int = 1
    long_calls: bool = False
    timeout_seconds: int = 60
    seed: int = 1
    # None: each caller calls again when it is answered. Else calls begin at this rate, whoever still waits, and their
    # durations count from when they should have begun.
    calls_per_second: float | None = None


@dataclass
class Outcome:
    """What became of it: calls that were answered within the time, their durations, the client's own cost."""

    calls: int
    seconds: float
    latencies: list[float] = field(repr=False)
    client_cpu_seconds: float
    calls_in_all: int  # with those of the warm-up and those that ended after the time

    @property
    def calls_per_second(self) -> float:
        """The rate."""
        return self.calls / self.seconds


def run(loads: Sequence[Load]) -> Outcome:
    """Each load in a process of its own, together; their sum. Raises RuntimeError when a call failed."""
    context = multiprocessing.get_context("spawn")
    running = []
    for load in loads:
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(load, theirs), daemon=True)
        process.start()
        running.append((process, ours))
    try:
        for _, pipe in running:
            _answer(pipe, _START_SECONDS)  # ready: imports and templates are done
        for _, pipe in running:
            pipe.send("go")
        outcomes = [
            _answer(pipe, load.seconds + load.warmup_seconds + _GRACE_SECONDS)
            for load, (_, pipe) in zip(loads, running, strict=True)
        ]
    finally:
        for process, pipe in running:
            pipe.close()
            process.join(2)
            if process.is_alive():
                process.kill()
                process.join()
    return Outcome(
        calls=sum(one.calls for one in outcomes),
        seconds=max(one.seconds for one in outcomes),
        latencies=[seconds for one in outcomes for seconds in one.latencies],
        client_cpu_seconds=sum(one.client_cpu_seconds for one in outcomes),
        calls_in_all=sum(one.calls_in_all for one in outcomes),
    )


def _answer(pipe: Connection, seconds: float) -> Any:
    if not pipe.poll(seconds):
        raise RuntimeError(f"the callers did not answer within {seconds:g} s")
    answer = pipe.recv()
    if isinstance(answer, str) and answer != "ready":
        raise RuntimeError(f"the callers failed:\n{answer}")
    return answer


def _serve(load: Load, pipe: Connection) -> None:
    try:
        bodies = _bodies(load)
        pipe.send("ready")
        pipe.recv()
        pipe.send(_loop(load, bodies) if load.calls_per_second is None else _paced(load, bodies))
    except BaseException:
        pipe.send(traceback.format_exc())


def _bodies(load: Load) -> Iterator[bytes]:
    """Framed requests without end."""
    chance = random.Random(load.seed)
    placeholder = REQUEST_ID.encode("ascii")
    framed_templates = [framed(template) for template in load.templates]
    while True:
        if load.messages_per_call == 1:
            yield chance.choice(framed_templates).replace(placeholder, _request_id())
        else:
            yield b"".join(
                chance.choice(framed_templates).replace(placeholder, _request_id())
                for _ in range(load.messages_per_call)
            )


def _request_id() -> bytes:
    return str(uuid.uuid4()).encode("ascii")


def _loop(load: Load, bodies: Iterator[bytes]) -> Outcome:
    metadata = {**load.metadata, "grpc-timeout": f"{load.timeout_seconds}S"}
    count = min(load.callers, _CONNECTIONS_MAX)
    connections = [Http2Connection(load.address, load.path, metadata) for _ in range(count)]
    selector = selectors.DefaultSelector()
    began: list[dict[int, float]] = [{} for _ in connections]
    try:
        for number, connection in enumerate(connections):
            selector.register(connection.socket, selectors.EVENT_READ, number)
            for _ in range(load.callers // count + (number < load.callers % count)):
                began[number][connection.begin(next(bodies))] = time.monotonic()
            connection.flush()
        start = time.monotonic()
        first = start if load.long_calls else start + load.warmup_seconds
        end = first + load.seconds
        cpu_first: float | None = None
        latencies: list[float] = []
        cpu, in_all, now = 0.0, 0, start
        while any(began):
            for key, _ in selector.select(_GRACE_SECONDS) or _nothing_came():
                connection, mine = connections[key.data], began[key.data]
                ended = connection.receive()
                now = time.monotonic()
                if cpu_first is None and now >= first:
                    cpu_first = _cpu_seconds()
                if now <= end or load.long_calls:
                    cpu = _cpu_seconds()
                for stream in ended:
                    started = mine.pop(stream)
                    in_all += 1
                    if load.long_calls or first <= now <= end:
                        latencies.append(now - started)
                    if now < end:
                        mine[connection.begin(next(bodies))] = now
                connection.flush()
    finally:
        selector.close()
        for connection in connections:
            connection.close()
    seconds = now - start if load.long_calls else load.seconds
    return Outcome(len(latencies), seconds, latencies, max(0.0, cpu - (cpu_first or 0.0)), in_all)


def _paced(load: Load, bodies: Iterator[bytes]) -> Outcome:
    assert load.calls_per_second is not None, "asked for by its rate"
    metadata = {**load.metadata, "grpc-timeout": f"{load.timeout_seconds}S"}
    connections = [Http2Connection(load.address, load.path, metadata) for _ in range(_CONNECTIONS_MAX)]
    selector = selectors.DefaultSelector()
    due: list[dict[int, float]] = [{} for _ in connections]
    try:
        for number, connection in enumerate(connections):
            selector.register(connection.socket, selectors.EVENT_READ, number)
            connection.flush()
        start = time.monotonic()
        first = start + load.warmup_seconds
        end = first + load.seconds
        begun, latencies, in_all = 0, [], 0
        cpu = _cpu_seconds()
        while True:
            now = time.monotonic()
            while (at := start + begun / load.calls_per_second) <= min(now, end):
                number = begun % len(connections)
                due[number][connections[number].begin(next(bodies))] = at
                connections[number].flush()
                begun += 1
            if now > end + _GRACE_SECONDS:
                _nothing_came()
            if at > end and not any(due):
                break
            for key, _ in selector.select(max(0.0, at - now) if at <= end else 1.0):
                ended = connections[key.data].receive()
                now = time.monotonic()
                for stream in ended:
                    at_first = due[key.data].pop(stream)
                    in_all += 1
                    if first <= at_first:
                        latencies.append(now - at_first)
                connections[key.data].flush()
    finally:
        selector.close()
        for connection in connections:
            connection.close()
    return Outcome(len(latencies), load.seconds, latencies, _cpu_seconds() - cpu, in_all)


def _nothing_came() -> list[Any]:
    raise RuntimeError(f"no answer came for {_GRACE_SECONDS:g} s")


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system
