"""Sagas: an unknown outcome is asked for again with the same request_id; a refusal is an outcome; nothing hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, ClassVar
from uuid import uuid4

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from sqlalchemy import text

from chassis import saga, saga_runner
from chassis.container import NativeContainer
from chassis.database import Database
from chassis.errors import FailedPrecondition, NotFound
from chassis.saga import Accepted, Refused, saga_compensation, saga_step
from chassis.transaction_flag import transaction_is_open
from tests.integration.chassis import parcels
from tests.integration.chassis.parcels import AGENCY, pb


class Depot:
    """A peer over real gRPC that keeps what it is asked for once a request_id, and fails as it is told."""

    def __init__(self) -> None:
        self.stored: dict[str, str] = {}  # request_id -> parcel_id
        self.calls: list[str] = []
        self.lose_replies = 0  # the effect is there, the answer is not
        self.refuse_first = 0  # UNAVAILABLE before any effect
        self.refusal: status_pb2.Status | None = None

    def store(self, request: Any, context: grpc.ServicerContext) -> Any:
        assert not transaction_is_open()
        self.calls.append(request.request_id)
        if self.refuse_first > 0:
            self.refuse_first -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "restarting")
        if self.refusal is not None:
            context.abort_with_status(rpc_status.to_status(self.refusal))
        self.stored.setdefault(request.request_id, request.parcel_id)
        if self.lose_replies > 0:
            self.lose_replies -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "the connection broke")
        return pb.StoreResponse(shelf=7)


@contextmanager
def served(depot: Depot) -> Iterator[Any]:
    """The depot's Store method, through a channel."""
    server = grpc.server(ThreadPoolExecutor(8))
    handler = grpc.unary_unary_rpc_method_handler(
        depot.store,
        request_deserializer=pb.StoreRequest.FromString,
        response_serializer=pb.StoreResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("kelola.depot.v1.Depot", {"Store": handler})])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel.unary_unary(
            "/kelola.depot.v1.Depot/Store",
            request_serializer=pb.StoreRequest.SerializeToString,
            response_deserializer=pb.StoreResponse.FromString,
        )
    server.stop(0).wait()


class SagaService:
    """Stores parcels at the depot."""

    name = "parcels"
    db = Database(parcels.ParcelsTable)
    store: ClassVar[Any] = None
    outcomes: ClassVar[list[Any]] = []
    broken: ClassVar[bool] = False

    @saga_step("parcel.store")
    def store_parcel(self, step: saga.Step) -> None:
        outcome = step.ask(type(self).store, pb.StoreRequest(parcel_id=str(step.document_id)))
        with self.db.step(step) as session:
            self.outcomes.append(outcome)
            session.execute(
                text("update parcel set price_minor = price_minor + 1 where parcel_id = :id"), {"id": step.document_id}
            )
            step.proceed(session, kind="parcel.label", state={"shelf": getattr(outcome, "reply", None) and 7})

    @saga_step("parcel.label")
    def label_parcel(self, step: saga.Step) -> None:
        if type(self).broken:
            raise FailedPrecondition("no ink")
        with self.db.step(step) as session:
            self.outcomes.append(dict(step.state))
            step.finish(session)

    @saga_compensation("parcel.label")
    def unlabel_parcel(self, step: saga.Step) -> None:
        with self.db.step(step) as session:
            self.outcomes.append("undone")
            step.finish(session)

    @saga_step("parcel.forget")
    def forget_parcel(self, step: saga.Step) -> None:
        with self.db.step(step):
            pass


@pytest.fixture
def settings(database):
    return parcels.migrated(database)


@pytest.fixture
def depot(monkeypatch):
    monkeypatch.setattr(saga_runner, "_BACKOFF_FIRST_SECONDS", 0.01)
    SagaService.outcomes.clear()
    SagaService.broken = False
    depot = Depot()
    with served(depot) as method:
        SagaService.store = method
        yield depot


@contextmanager
def running(settings):
    container = NativeContainer(SagaService, settings)
    container.start()
    try:
        yield
    finally:
        assert container.stop(20)


def begin(settings, kind="parcel.store", **more):
    parcel_id = uuid4()
    with parcels.transactions(settings) as db, db.work([AGENCY], subject="test") as session:
        session.execute(
            text("insert into parcel (parcel_id, agency_id, version) values (:p, :a, 1)"), {"p": parcel_id, "a": AGENCY}
        )
        saga_id = saga.start(
            session, kind=kind, document_id=parcel_id, agency_id=AGENCY, person_id=uuid4(), state={}, **more
        )
    return saga_id, parcel_id


def row_of(settings, saga_id):
    return parcels.query(settings, "select * from saga where saga_id = :id", id=saga_id)[0]


def ended(settings, saga_id, status="DONE"):
    return parcels.until(lambda: (row := row_of(settings, saga_id)).status == status and row)


def price(settings, parcel_id):
    return parcels.query(settings, "select price_minor from parcel where parcel_id = :id", id=parcel_id)[0].price_minor


def test_the_steps_run_after_the_commit_and_the_act_ends(settings, depot):
    with running(settings):
        saga_id, parcel_id = begin(settings)
        row = ended(settings, saga_id)

    assert row.ended_at is not None
    assert isinstance(SagaService.outcomes[0], Accepted)
    assert SagaService.outcomes[1:] == [{"shelf": 7}]
    assert price(settings, parcel_id) == 1
    assert list(depot.stored.values()) == [str(parcel_id)]


def test_a_start_that_is_rolled_back_starts_nothing(settings, depot):
    with running(settings):
        with pytest.raises(FailedPrecondition), parcels.transactions(settings) as db:
            with db.work([AGENCY], subject="test") as session:
                saga.start(session, kind="parcel.store", document_id=uuid4(), agency_id=AGENCY, person_id=None)
                raise FailedPrecondition("no")
        time.sleep(0.6)

    assert depot.calls == []


def test_an_unknown_outcome_is_asked_for_again_with_the_same_request_id(settings, depot):
    depot.lose_replies, depot.refuse_first = 3, 2

    with running(settings):
        saga_id, parcel_id = begin(settings)
        ended(settings, saga_id)

    assert len(depot.calls) == 6
    assert len(set(depot.calls)) == 1
    assert len(depot.stored) == 1
    assert price(settings, parcel_id) == 1


def test_a_refusal_is_an_outcome_with_its_figures(settings, depot):
    detail = any_pb2.Any()
    detail.Pack(error_details_pb2.ErrorInfo(reason="DEPOT_FULL", domain="kelola", metadata={"shelves": "12"}))
    depot.refusal = status_pb2.Status(
        code=grpc.StatusCode.FAILED_PRECONDITION.value[0], message="all 12 shelves are full", details=[detail]
    )

    with running(settings):
        saga_id, _ = begin(settings)
        ended(settings, saga_id)

    assert SagaService.outcomes[0] == Refused("DEPOT_FULL", "all 12 shelves are full", {"shelves": "12"})
    assert len(depot.calls) == 1


def test_a_runner_that_dies_between_the_answer_and_the_record_repeats_it(settings, depot, monkeypatch):
    monkeypatch.setattr(saga_runner, "LEASE_SECONDS", 1)
    transactions = parcels.connect(settings)
    saga_id, parcel_id = begin(settings)
    stopping = threading.Event()
    loop = saga_runner.Loop({("parcel.store", False): None}, transactions, stopping, worker=None)  # type: ignore[dict-item]
    # The first runner claims, asks the peer, and is gone.
    claimed = saga.step_of(loop._claim())
    claimed.ask(SagaService.store, pb.StoreRequest(parcel_id=str(parcel_id)))

    with running(settings):
        ended(settings, saga_id)

    assert len(depot.calls) == 2
    assert len(depot.stored) == 1
    assert price(settings, parcel_id) == 1
    # And if the first runner was only slow, its late outcome is refused.
    with pytest.raises(saga.LeaseLost), transactions.step(claimed):
        pytest.fail("the lease is gone")
    transactions.engine.dispose()


def test_several_runners_take_each_step_once(settings, depot):
    begun = [begin(settings) for _ in range(20)]

    with running(settings), running(settings):
        for saga_id, _ in begun:
            ended(settings, saga_id)

    assert {price(settings, parcel_id) for _, parcel_id in begun} == {1}
    assert len(depot.stored) == 20


def test_what_repeating_does_not_explain_is_stuck_listed_and_retried(settings, depot):
    SagaService.broken = True
    with running(settings):
        saga_id, parcel_id = begin(settings)
        ended(settings, saga_id, "STUCK")

        with parcels.transactions(settings) as db:
            with db.work([], subject="test") as session:
                listed = [stuck for stuck in saga.stuck(session) if stuck.saga_id == saga_id]
            assert [(stuck.kind, stuck.document_id, stuck.error) for stuck in listed] == [
                ("parcel.label", parcel_id, "FAILED_PRECONDITION: no ink")
            ]
            SagaService.broken = False
            with db.work([], subject="test") as session:
                saga.retry(session, saga_id)
        ended(settings, saga_id)


def test_a_stuck_one_is_compensated(settings, depot):
    SagaService.broken = True
    with running(settings):
        saga_id, _ = begin(settings)
        ended(settings, saga_id, "STUCK")
        with parcels.transactions(settings) as db, db.work([], subject="test") as session:
            saga.compensate(session, saga_id)
        ended(settings, saga_id, "COMPENSATED")

    assert SagaService.outcomes[-1] == "undone"


def test_a_peer_that_stays_away_beyond_the_deadline_leaves_it_stuck(settings, depot):
    depot.refuse_first = 10_000
    with running(settings):
        saga_id, _ = begin(settings, deadline=timedelta(seconds=0.5))
        row = ended(settings, saga_id, "STUCK")

    assert "did not settle" in row.error


def test_a_step_that_does_not_say_what_comes_next_is_rolled_back(settings, depot):
    with running(settings):
        saga_id, _ = begin(settings, kind="parcel.forget")
        row = ended(settings, saga_id, "STUCK")

    assert "neither finish" in row.error


def test_only_what_is_stuck_is_retried(settings, depot):
    saga_id, _ = begin(settings)

    with parcels.transactions(settings) as db, db.work([], subject="test") as session, pytest.raises(NotFound):
        saga.retry(session, saga_id)
