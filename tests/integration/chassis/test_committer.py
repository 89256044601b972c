"""Shared commits: each call has its own verdict, answer and audit row; twins are done once; nothing is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from chassis.committer import GROUP_MAX, WAITING_MAX, GroupCommit
from chassis.database import connect
from chassis.errors import DeadlineExceeded, FailedPrecondition, PermissionDenied, ResourceExhausted, Unavailable
from chassis.idempotency import IdempotencyMismatch
from tests.integration.chassis import parcels
from tests.integration.chassis.parcels import AGENCY, OTHER_AGENCY, pb


@dataclass(frozen=True)
class Order:
    """Make a parcel, or do what the test says."""

    parcel_id: UUID
    agency_id: UUID = AGENCY
    refused: bool = False
    sql: str = ""


class Runner:
    """What a service's `run` would be; remembers the groups."""

    def __init__(self) -> None:
        self.groups: list[int] = []
        self.hold: threading.Event | None = None

    def __call__(self, session, orders):
        self.groups.append(len(orders))
        if self.hold is not None:
            self.hold.wait(10)
        verdicts = []
        for order in orders:
            if order.refused:
                verdicts.append(FailedPrecondition(f"{order.parcel_id} is too heavy"))
                continue
            if order.sql:
                session.execute(text(order.sql))
            session.execute(
                text("insert into parcel (parcel_id, agency_id, version) values (:p, :a, 1)"),
                {"p": order.parcel_id, "a": order.agency_id},
            )
            verdicts.append(pb.Parcel(name=f"parcels/{order.parcel_id}", agency_id=str(order.agency_id), version=1))
        return verdicts


@pytest.fixture
def settings(database):
    return parcels.migrated(database)


@pytest.fixture
def run():
    return Runner()


@pytest.fixture
def postings(settings, run):
    with committing(settings, run) as made:
        yield made


@contextmanager
def committing(settings, run) -> Iterator[GroupCommit]:
    transactions = connect(settings)
    made = GroupCommit(run, transactions)
    thread = threading.Thread(target=made.loop, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.close()
        thread.join(20)
        transactions.engine.dispose()
        assert not thread.is_alive()


def outcome(postings, order, call):
    try:
        return postings.post(order, call)
    except Exception as failure:
        return failure


def together(postings, run, pairs):
    """The outcomes of calls that wait at the same time, so that they meet in one group."""
    run.hold = threading.Event()
    with ThreadPoolExecutor(len(pairs) + 1) as pool:
        first = pool.submit(postings.post, Order(uuid4()), parcels.call())
        time.sleep(0.3)
        found = [pool.submit(outcome, postings, *pair) for pair in pairs]
        time.sleep(0.3)
        run.hold.set()
        first.result(20)
        return [future.result(20) for future in found]


def made(settings):
    return {row.parcel_id for row in parcels.query(settings, "select parcel_id from parcel")}


def kept(settings, call):
    return parcels.query(settings, "select answer from idempotency where request_id = :id", id=call.request_id)


def test_calls_that_wait_share_a_commit_and_each_has_its_own_answer(postings, run, settings):
    pairs = [(Order(uuid4()), parcels.call()) for _ in range(50)]

    answers = together(postings, run, pairs)

    assert run.groups == [1, 50]
    for (order, call), answer in zip(pairs, answers, strict=True):
        assert pb.Parcel.FromString(answer).name == f"parcels/{order.parcel_id}"
        assert bytes(kept(settings, call)[0].answer) == answer
        audit = parcels.query(settings, "select * from audit where request_id = :id", id=call.request_id)
        assert [(row.subject, row.resource, row.agency_id) for row in audit] == [
            (call.principal.subject, f"parcels/{order.parcel_id}", AGENCY)
        ]


def test_a_group_has_an_end(postings, run):
    together(postings, run, [(Order(uuid4()), parcels.call()) for _ in range(GROUP_MAX + 20)])

    assert run.groups == [1, GROUP_MAX, 20]


def test_a_refusal_is_the_callers_alone_and_its_key_is_not_kept(postings, run, settings):
    refused, healthy = Order(uuid4(), refused=True), Order(uuid4())
    call = parcels.call()

    outcomes = together(postings, run, [(refused, call), (healthy, parcels.call())])

    assert isinstance(outcomes[0], FailedPrecondition)
    assert pb.Parcel.FromString(outcomes[1]).version == 1
    assert kept(settings, call) == []
    assert parcels.query(settings, "select 1 from audit where request_id = :id", id=call.request_id) == []
    # The retry is judged anew.
    assert postings.post(Order(refused.parcel_id), call)


def test_twins_in_one_group_are_done_once(postings, run, settings):
    call, order = parcels.call(), Order(uuid4())

    answers = together(postings, run, [(order, call)] * 10)

    assert len(set(answers)) == 1
    assert run.groups == [1, 1]
    assert order.parcel_id in made(settings)


def test_twins_with_other_input_are_told_so(postings, run):
    who, request_id = parcels.principal(), str(uuid4())
    first = (Order(uuid4()), parcels.call(who=who, request_id=request_id))
    other = (Order(uuid4()), parcels.call(who=who, request_id=request_id, content=b"other"))

    outcomes = together(postings, run, [first, other])

    assert {type(found) for found in outcomes} == {bytes, IdempotencyMismatch}


def test_a_repeat_gets_the_first_answer_and_runs_nothing(postings, run):
    call, order = parcels.call(), Order(uuid4())

    first = postings.post(order, call)

    assert postings.post(order, call) == first
    assert run.groups == [1]
    with pytest.raises(IdempotencyMismatch):
        postings.post(order, parcels.call(who=call.principal, request_id=call.request_id, content=b"other"))


def test_an_error_is_found_by_halves_and_refused_alone(postings, run, settings):
    pairs = [(Order(uuid4()), parcels.call()) for _ in range(16)]
    pairs[5] = (Order(uuid4(), sql="select 1 / 0"), parcels.call())

    outcomes = together(postings, run, pairs)

    assert [index for index, found in enumerate(outcomes) if not isinstance(found, bytes)] == [5]
    assert len(made(settings)) == 1 + 15
    assert run.groups[:3] == [1, 16, 8]


def test_another_agencys_row_is_refused_alone(postings, run, settings):
    pairs = [
        (Order(uuid4()), parcels.call()),
        (Order(uuid4(), OTHER_AGENCY), parcels.call()),
        (Order(uuid4()), parcels.call()),
    ]

    outcomes = together(postings, run, pairs)

    assert [type(found) for found in outcomes] == [bytes, PermissionDenied, bytes]


def test_the_group_sees_the_agencies_of_its_calls(postings, run, settings):
    pairs = [
        (Order(uuid4()), parcels.call()),
        (Order(uuid4(), OTHER_AGENCY), parcels.call(agencies=frozenset({OTHER_AGENCY}))),
    ]

    assert all(isinstance(found, bytes) for found in together(postings, run, pairs))


def test_a_call_whose_time_is_over_before_its_turn_is_not_done(postings, run, settings):
    order = Order(uuid4())

    outcomes = together(postings, run, [(order, parcels.call(seconds=0.1)), (Order(uuid4()), parcels.call())])

    assert isinstance(outcomes[0], DeadlineExceeded)
    assert order.parcel_id not in made(settings)


def test_a_call_whose_group_began_is_finished_and_kept(postings, run, settings):
    order, call = Order(uuid4(), sql="select pg_sleep(0.5)"), parcels.call(seconds=0.2)

    answer = postings.post(order, call)

    assert bytes(kept(settings, call)[0].answer) == answer


def test_the_queue_has_an_end(settings, run):
    run.hold = threading.Event()
    with committing(settings, run) as postings, ThreadPoolExecutor(WAITING_MAX + 30) as pool:
        first = pool.submit(postings.post, Order(uuid4()), parcels.call())
        time.sleep(0.3)
        waiting = [
            pool.submit(outcome, postings, Order(uuid4()), parcels.call(seconds=60)) for _ in range(WAITING_MAX + 20)
        ]
        time.sleep(0.5)
        run.hold.set()
        first.result(20)
        outcomes = [future.result(60) for future in waiting]

    refused = [found for found in outcomes if isinstance(found, ResourceExhausted)]
    assert len(refused) == 20
    assert all(found.retry_after_seconds for found in refused)


def test_a_connection_lost_at_commit_is_looked_up_and_nothing_is_done_twice(postings, run, settings, postgres):
    """The server commits and dies before it says so; a trigger that waits at COMMIT gives us the time to strike."""
    with postgres.connect(settings.database_owner_url.rpartition("/")[2]) as admin:
        admin.execute(
            """
            create function strike() returns trigger language plpgsql as $$
            begin perform pg_sleep(0.6); return null; end $$;
            create constraint trigger strike after insert on parcel deferrable initially deferred
            for each row execute function strike()
            """
        )

        def strike():
            time.sleep(0.3)
            admin.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'parcels'"
                " and query ilike 'commit%'"
            )

        killer = threading.Thread(target=strike)
        killer.start()
        order, call = Order(uuid4()), parcels.call(seconds=30)
        answer = postings.post(order, call)
        killer.join()

    assert run.groups == [1, 1]
    assert pb.Parcel.FromString(answer).version == 1
    assert bytes(kept(settings, call)[0].answer) == answer
    assert made(settings) == {order.parcel_id}


def test_a_commit_that_succeeded_unheard_is_answered_from_the_keys(postings, run, settings, monkeypatch):
    """The same, when the first transaction did commit: the second run finds its answer."""
    from sqlmodel import Session

    commit, struck = Session.commit, []

    def unheard(self):
        commit(self)
        if not struck and run.groups:
            struck.append(1)
            raise Unavailable("the connection broke after the commit")

    monkeypatch.setattr(Session, "commit", unheard)
    order, call = Order(uuid4()), parcels.call()

    answer = postings.post(order, call)

    assert struck
    assert run.groups == [1]
    assert bytes(kept(settings, call)[0].answer) == answer


@pytest.mark.parametrize("refused", [False, True])
def test_a_twin_that_another_process_did_meanwhile_is_answered_with_its_answer(postings, run, settings, refused):
    """The same call reaches two processes. One looks for the key, then the other does the call and commits.

    What the first did is undone; and what it refused (the funds are gone, say) may be the other's own effect.
    """
    run.hold = threading.Event()
    call, order = parcels.call(), Order(uuid4())
    with ThreadPoolExecutor(1) as pool, committing(settings, Runner()) as other:
        first = pool.submit(postings.post, Order(uuid4(), refused=refused), call)
        parcels.until(lambda: run.groups)
        answer = other.post(order, call)
        run.hold.set()

        assert first.result(20) == answer

    assert run.groups == [1]
    assert made(settings) == {order.parcel_id}
    assert len(parcels.query(settings, "select 1 from audit where request_id = :id", id=call.request_id)) == 1


def test_a_stopped_committer_finishes_what_waits_and_refuses_what_comes(settings, run):
    with committing(settings, run) as postings:
        assert together(postings, run, [(Order(uuid4()), parcels.call())] * 3)
    with pytest.raises(Unavailable):
        postings.post(Order(uuid4()), parcels.call())
