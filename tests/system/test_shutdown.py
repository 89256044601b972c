"""Services are asked to end under load and come back, or are killed: what was acknowledged stays so (trust T20, T5)."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import grpc
import pytest
from kafka import KafkaAdminClient

from chassis.testing import wait_until
from kelola.finance.v1 import ledger_pb2, ledger_pb2_grpc
from tests.conftest import BROKER
from tests.system import books
from tests.system.recording import Example, mutating, rpcs, send
from tests.system.rehearsal_finance import entry

_CLIENTS, _STREAMS, _ENTRIES = 6, 3, 6
_DRAIN_SECONDS = 30.0
_LOAD_SECONDS = 0.7


@dataclass
class _Load:
    """Clients that send good requests over and over until they are told to stop."""

    lived: Any
    service: str
    seed: int
    stop: threading.Event = field(default_factory=threading.Event)
    failed: list[str] = field(default_factory=list)
    unavailable: int = 0
    succeeded: int = 0

    def run(self, number: int) -> None:
        """One client: reads, and mutations whose answers it knows."""
        chance = random.Random(f"{self.seed}/{self.service}/{number}")
        examples = [self.lived.example(rpc) for rpc in rpcs() if rpc.service == self.service and rpc.permission]
        while not self.stop.is_set():
            self._one(chance.choice(examples))

    def _one(self, example: Example) -> None:
        try:
            reply = send(self.lived.system, example.rpc, example.request, token=self.lived.token_of(example))
        except grpc.RpcError as failure:
            if failure.code() is grpc.StatusCode.UNAVAILABLE:
                self.unavailable += 1
                time.sleep(0.02)
            else:
                self.failed.append(f"{example.rpc.full_name}: {failure.code().name} {failure.details()}")
        else:
            self.succeeded += 1
            if example.rpc.mutates and reply != example.reply:
                self.failed.append(f"{example.rpc.full_name}: another answer than before")


@pytest.mark.parametrize("service", ["logistics", "hr", "finance", "identity"])
def test_sigterm_under_load_loses_no_call_and_the_service_returns(lived, seed, service):
    platform, child = lived.platform, lived.platform.children[service]
    # Tokens for the whole test: identity is one of those that go away.
    for rpc in rpcs():
        lived.token_of(lived.example(rpc))
    load = _Load(lived, service, seed)
    with ThreadPoolExecutor(_CLIENTS + _STREAMS) as pool:
        clients = [pool.submit(load.run, number) for number in range(_CLIENTS)]
        time.sleep(_LOAD_SECONDS)
        streams = [pool.submit(_slow_import, lived) for _ in range(_STREAMS)] if service == "finance" else []
        time.sleep(0.5)

        began = time.monotonic()
        status = child.stop(grace_seconds=_DRAIN_SECONDS)
        drained = time.monotonic() - began
        members = _members(lived.system.broker, service)
        platform.start_service(service)
        platform.wait_until_serving(service)
        succeeded = load.succeeded
        wait_until(lambda: load.succeeded > succeeded, what="a call after the restart")
        load.stop.set()
        for client in clients:
            client.result(_DRAIN_SECONDS)

    assert (status, load.failed) == (0, []), f"seed {seed}"
    assert drained < _DRAIN_SECONDS
    assert succeeded > 0, "there was load"
    _all_posted(lived, streams)
    assert members == 0, "the consumer left its group when it ended, and not by its session's timeout"
    assert '"drained": true' in child.log.read_text(encoding="utf-8")


def _slow_import(lived) -> int:
    """A client stream that is still being sent when the service is asked to end; how many were posted."""
    agency_id = lived.company.agencies["unit"]

    def entries() -> Iterator[ledger_pb2.ImportJournalEntriesRequest]:
        for number in range(_ENTRIES):
            yield ledger_pb2.ImportJournalEntriesRequest(
                journal_entry=entry(agency_id, 1_000 + number), request_id=str(uuid4())
            )
            time.sleep(0.4)

    stub = ledger_pb2_grpc.LedgerServiceStub(lived.system.channel("finance"))
    metadata = [("authorization", f"Bearer {lived.company.token('accountant')}")]
    reply = stub.ImportJournalEntries(entries(), metadata=metadata, timeout=_DRAIN_SECONDS)
    return int(reply.posted_count)


def _all_posted(lived, streams: list[Future[int]]) -> None:
    assert [stream.result() for stream in streams] == [_ENTRIES] * len(streams), "a call under way was cut off"


def _members(broker: str, service: str) -> int:
    """How many consumers the broker counts in the service's group."""
    if BROKER != "kafka":
        return 0  # The embedded broker does not tell; Apache Kafka does.
    admin = KafkaAdminClient(bootstrap_servers=broker, request_timeout_ms=5_000)
    try:
        group = f"kelola-{service}"
        return len(admin.describe_groups([group])[group]["members"]) if group in _groups(admin) else 0
    finally:
        admin.close()


def _groups(admin: KafkaAdminClient) -> set[str]:
    return {group["group_id"] for group in admin.list_groups()}


def test_after_a_crash_and_a_day_every_act_is_still_remembered(lived):
    """What was answered before all services were killed is answered so when they are back, a day later (T5)."""
    before = books.at_rest(lived.platform)

    lived.platform.crash_and_wake_a_day_later()

    for service in lived.platform.services:
        youngest = "select max(claimed_at) < now() - interval '1 day' from idempotency"
        assert books.one(lived.platform, service, youngest) == (True,)
    for rpc in mutating():
        example = lived.example(rpc)
        assert send(lived.system, rpc, example.request, token=lived.token_of(example)) == example.reply
    assert books.changes(before, books.at_rest(lived.platform)) == {}
