"""Long runs, as clients see them through google.longrunning.Operations."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import grpc
import psycopg
import pytest
from google.longrunning import operations_pb2, operations_pb2_grpc
from google.rpc import error_details_pb2
from sqlalchemy import MetaData, text
from sqlalchemy.orm import registry
from sqlmodel import SQLModel

from chassis import operations, tables
from chassis.call import Call, Principal
from chassis.database import Database, Transactions
from chassis.errors import FailedPrecondition, NotFound
from chassis.ids import new_id
from chassis.testing import call_as, refused
from tests.integration.chassis.greeter import POLICIES, Greeter, GreeterService, greeter, pb
from tests.integration.chassis.parcels import migrated


class RunsTable(SQLModel, registry=registry(metadata=MetaData(naming_convention=dict(tables.NAMING)))):
    """The base of these tests' tables."""


class Operation(RunsTable, tables.OperationMixin, table=True):
    """The runs."""


class RunsService(GreeterService):
    """The greeter, with a database that keeps runs."""

    db = Database(RunsTable)  # type: ignore[assignment]


class PayrollRefused(FailedPrecondition):
    reason = "PERIOD_CLOSED"


@dataclass
class Runs:
    """The door to the runs, and the use cases behind it."""

    door: Greeter
    stub: Any
    transactions: Transactions
    reader_url: str

    def start(self, agency_id: UUID, *, subject: str | None = None, said: str = "begun") -> UUID:
        principal = Principal(subject or str(uuid4()), uuid4(), ())
        call = Call(
            "kelola.greeter.v1.GreeterService.Greet",
            "greeter.greeting.create",
            principal,
            frozenset({agency_id}),
            None,
            b"",
            datetime.now(UTC),
            time.monotonic() + 10,
        )
        with self.transactions.begin(call) as work:
            key = operations.start(work.session, call, kind="greeter.run", agency_id=agency_id, metadata=_said(said))
            work.reply(operations.message(work.session, key))
        return key

    def change(self, act: Callable[[Any], None]) -> None:
        with self.transactions.work((), subject="test") as session:
            act(session)
            session.commit()

    def get(self, key: UUID, token: str | None = None) -> operations_pb2.Operation:
        request = operations_pb2.GetOperationRequest(name=f"operations/{key}")
        answer: operations_pb2.Operation = call_as(self.stub.GetOperation, request, token or self.door.reader)
        return answer


def _said(text: str) -> pb.Greeting:
    return pb.Greeting(text=text)


@pytest.fixture
def runs(database: Callable[..., Any], tmp_path: Path) -> Iterator[Runs]:
    settings = migrated(database)
    policies = POLICIES.replace(
        'Action::"greeter.greeting.read"]', 'Action::"greeter.greeting.read", Action::"greeter.operation.read"]'
    )
    assert policies != POLICIES
    with greeter(tmp_path, RunsService, database_app_url=settings.database_app_url, policies_text=policies) as door:
        dependency = next(one for one in door.container.dependencies if one.attr_name == "db")
        yield Runs(
            door,
            operations_pb2_grpc.OperationsStub(door.channel),
            dependency.get_dependency(None),
            str(settings.database_reader_url),
        )


def test_a_run_is_followed_from_its_start_to_its_result(runs: Runs) -> None:
    key = runs.start(runs.door.agency)
    begun = runs.get(key)

    runs.change(lambda session: operations.progress(session, key, _said("half")))
    half = runs.get(key)
    runs.change(lambda session: operations.finish(session, key, _said("all")))
    ended = runs.get(key)

    metadata = pb.Greeting()
    assert begun.metadata.Unpack(metadata)
    assert (begun.name, begun.done, metadata.text) == (f"operations/{key}", False, "begun")
    assert half.metadata.Unpack(metadata)
    assert (half.done, metadata.text) == (False, "half")
    assert ended.response.Unpack(metadata)
    assert (ended.done, ended.WhichOneof("result"), metadata.text) == (True, "response", "all")


def test_a_run_that_was_refused_carries_the_refusal(runs: Runs) -> None:
    key = runs.start(runs.door.agency)

    runs.change(lambda session: operations.fail(session, key, PayrollRefused("2026-01 is closed")))

    ended, info = runs.get(key), error_details_pb2.ErrorInfo()
    assert (ended.done, ended.WhichOneof("result")) == (True, "error")
    assert (ended.error.code, ended.error.message) == (9, "2026-01 is closed")
    assert ended.error.details[0].Unpack(info)
    assert info.reason == "PERIOD_CLOSED"


def test_a_run_ends_once(runs: Runs) -> None:
    key = runs.start(runs.door.agency)
    runs.change(lambda session: operations.finish(session, key, _said("all")))

    for act in (operations.progress, operations.finish):
        with pytest.raises(operations.OperationEnded):
            runs.change(lambda session, act=act: act(session, key, _said("again")))  # type: ignore[misc]
    with pytest.raises(operations.OperationEnded):
        runs.change(lambda session: operations.fail(session, key, NotFound("gone")))


def test_runs_of_other_agencies_are_not_found_and_ones_own_are(runs: Runs) -> None:
    foreign, own = runs.start(new_id()), runs.start(new_id(), subject=str(runs.door.person))

    seen = refused(
        runs.stub.GetOperation,
        operations_pb2.GetOperationRequest(name=f"operations/{foreign}"),
        runs.door.reader,
    )

    assert seen.code is grpc.StatusCode.NOT_FOUND
    assert runs.get(own).name == f"operations/{own}"
    listed = call_as(runs.stub.ListOperations, operations_pb2.ListOperationsRequest(), runs.door.reader)
    assert [one.name for one in listed.operations] == [f"operations/{own}"]


def test_runs_need_the_permission_to_read_them(runs: Runs) -> None:
    key = runs.start(runs.door.agency)
    request = operations_pb2.GetOperationRequest(name=f"operations/{key}")

    assert refused(runs.stub.GetOperation, request, None).code is grpc.StatusCode.UNAUTHENTICATED
    assert refused(runs.stub.GetOperation, request, runs.door.stranger).code is grpc.StatusCode.PERMISSION_DENIED


def test_runs_are_listed_newest_first_in_pages(runs: Runs) -> None:
    keys = [runs.start(runs.door.agency) for _ in range(7)]
    runs.change(lambda session: operations.finish(session, keys[3], _said("all")))
    seen, token = [], ""
    while True:
        page = call_as(
            runs.stub.ListOperations,
            operations_pb2.ListOperationsRequest(page_size=3, page_token=token),
            runs.door.reader,
        )
        seen += [one.name for one in page.operations]
        token = page.next_page_token
        if not token:
            break

    done = call_as(runs.stub.ListOperations, operations_pb2.ListOperationsRequest(filter="done=true"), runs.door.reader)
    bad = refused(
        runs.stub.ListOperations,
        operations_pb2.ListOperationsRequest(filter="done=true or 1=1"),
        runs.door.reader,
    )

    assert seen == [f"operations/{key}" for key in reversed(keys)]
    assert [one.name for one in done.operations] == [f"operations/{keys[3]}"]
    assert (bad.code, bad.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("filter",))


def test_wait_answers_when_the_run_ends_and_when_the_time_is_over(runs: Runs) -> None:
    key = runs.start(runs.door.agency)
    request = operations_pb2.WaitOperationRequest(name=f"operations/{key}")
    request.timeout.FromMilliseconds(600)

    began = time.monotonic()
    early = call_as(runs.stub.WaitOperation, request, runs.door.reader)
    took = time.monotonic() - began
    request.timeout.FromSeconds(20)
    ender = threading.Timer(0.5, lambda: runs.change(lambda session: operations.finish(session, key, _said("all"))))
    ender.start()
    began = time.monotonic()
    ended = call_as(runs.stub.WaitOperation, request, runs.door.reader)
    waited = time.monotonic() - began
    ender.join()

    assert (early.done, ended.done) == (False, True)
    assert took < 3
    assert waited < 10


def test_a_run_and_its_work_begin_together(runs: Runs) -> None:
    key = runs.start(runs.door.agency)

    with runs.transactions.work((), subject="test") as session:
        row = session.execute(text("select kind, document_id from saga where document_id = :key"), {"key": key}).one()
    assert row.kind == "greeter.run"


def test_a_denied_decision_is_in_the_audit(runs: Runs) -> None:
    refused(runs.door.stub.Greet, pb.GreetRequest(name="Sri"), runs.door.stranger)

    with psycopg.connect(runs.reader_url) as reader:
        rows = reader.execute("select action, subject, outcome from audit").fetchall()
    assert [row[0] for row in rows] == ["kelola.greeter.v1.GreeterService.Greet"]
    assert "DENIED" in rows[0][2].upper()


def test_a_service_without_runs_offers_none(tmp_path: Path) -> None:
    with greeter(tmp_path) as door:
        stub = operations_pb2_grpc.OperationsStub(door.channel)
        with pytest.raises(grpc.RpcError) as failure:
            call_as(stub.GetOperation, operations_pb2.GetOperationRequest(name="operations/x"), door.reader)

    assert failure.value.code() is grpc.StatusCode.UNIMPLEMENTED
