"""T5 at the root: claim, effect and answer are one, and only successes are kept."""

from __future__ import annotations

import threading
import time
from uuid import uuid4

import pytest

from chassis.call import Replayed
from chassis.errors import FailedPrecondition, InvalidArgument
from chassis.idempotency import IdempotencyMismatch, RequestInFlight
from tests.integration.chassis import parcels
from tests.integration.chassis.parcels import AGENCY, pb


@pytest.fixture
def settings(database):
    return parcels.migrated(database)


@pytest.fixture
def db(settings):
    with parcels.transactions(settings) as made:
        yield made


def move(db, call, parcel_id, *, pause=0.0):
    """The reply's bytes of moving a parcel, as an entrypoint and its wrapper would give them."""
    try:
        with db.begin(call) as work:
            version = parcels.move(work.session, parcel_id)
            time.sleep(pause)
            work.reply(pb.Parcel(name=f"parcels/{parcel_id}", agency_id=str(AGENCY), version=version))
        return work.answer
    except Replayed as before:
        return before.answer


def versions(settings, parcel_id):
    rows = parcels.query(settings, "select version from parcel where parcel_id = :id", id=parcel_id)
    return [row.version for row in rows]


def test_a_repeat_gets_the_first_answer_byte_for_byte(db, settings):
    call, parcel_id = parcels.call(), uuid4()

    answers = {move(db, call, parcel_id) for _ in range(5)}

    assert len(answers) == 1
    assert versions(settings, parcel_id) == [1]
    assert len(parcels.query(settings, "select 1 from outbox where key = :key", key=str(parcel_id))) == 1
    assert len(parcels.query(settings, "select 1 from audit where request_id = :id", id=call.request_id)) == 1


def test_twins_at_once_have_one_effect_and_one_answer(db, settings):
    call, parcel_id, answers = parcels.call(), uuid4(), []
    threads = [threading.Thread(target=lambda: answers.append(move(db, call, parcel_id, pause=0.2))) for _ in range(8)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(answers) == 8
    assert len(set(answers)) == 1
    assert versions(settings, parcel_id) == [1]


def test_other_input_under_the_same_request_id_is_refused(db, settings):
    who, request_id, parcel_id = parcels.principal(), str(uuid4()), uuid4()
    move(db, parcels.call(who=who, request_id=request_id), parcel_id)

    with pytest.raises(IdempotencyMismatch) as refused:
        move(db, parcels.call(who=who, request_id=request_id, content=b"other"), parcel_id)

    assert refused.value.reason == "IDEMPOTENCY_MISMATCH"
    assert versions(settings, parcel_id) == [1]


def test_another_caller_and_another_method_have_ids_of_their_own(db, settings):
    request_id, parcel_id, who = str(uuid4()), uuid4(), parcels.principal()

    move(db, parcels.call(who=who, request_id=request_id), parcel_id)
    move(db, parcels.call(request_id=request_id), parcel_id)
    move(db, parcels.call(who=who, request_id=request_id, method="kelola.parcels.v1.ParcelService.Weigh"), parcel_id)

    assert versions(settings, parcel_id) == [3]


def test_a_refusal_leaves_nothing_and_the_retry_is_judged_anew(db, settings):
    call, parcel_id = parcels.call(), uuid4()

    with pytest.raises(FailedPrecondition), db.begin(call) as work:
        parcels.move(work.session, parcel_id)
        raise FailedPrecondition("the post office is closed")

    assert versions(settings, parcel_id) == []
    assert parcels.query(settings, "select 1 from idempotency where request_id = :id", id=call.request_id) == []
    assert parcels.query(settings, "select 1 from audit where request_id = :id", id=call.request_id) == []
    assert pb.Parcel.FromString(move(db, call, parcel_id)).version == 1


def test_a_twin_that_is_refused_lets_the_other_one_try(db, settings):
    call, parcel_id = parcels.call(), uuid4()
    claimed, refuse = threading.Event(), threading.Event()

    def refused():
        with pytest.raises(FailedPrecondition), db.begin(call):
            claimed.set()
            refuse.wait(5)
            raise FailedPrecondition("the post office is closed")

    first = threading.Thread(target=refused)
    first.start()
    claimed.wait(5)
    threading.Timer(0.3, refuse.set).start()
    answer = move(db, call, parcel_id)
    first.join()

    assert pb.Parcel.FromString(answer).version == 1
    assert versions(settings, parcel_id) == [1]


def test_a_twin_in_flight_is_waited_for_beyond_the_lock_timeout(db, settings):
    call, parcel_id, answers = parcels.call(), uuid4(), []
    first = threading.Thread(target=lambda: answers.append(move(db, call, parcel_id, pause=3.0)))
    first.start()
    time.sleep(0.3)

    second = move(db, call, parcel_id)
    first.join()

    assert [second] == answers


def test_a_twin_in_flight_at_the_deadline_is_aborted(db):
    who, request_id, parcel_id = parcels.principal(), str(uuid4()), uuid4()
    first = threading.Thread(
        target=lambda: move(db, parcels.call(who=who, request_id=request_id), parcel_id, pause=2.0)
    )
    first.start()
    time.sleep(0.3)
    begun = time.monotonic()

    with pytest.raises(RequestInFlight):
        move(db, parcels.call(who=who, request_id=request_id, seconds=0.5), parcel_id)

    assert time.monotonic() - begun < 1.0
    first.join()


def test_a_connection_killed_before_the_commit_leaves_nothing(db, settings, postgres):
    call, parcel_id = parcels.call(), uuid4()

    with pytest.raises(Exception, match="does not answer"), db.begin(call) as work:
        parcels.move(work.session, parcel_id)
        work.reply(pb.Parcel(name="lost"))
        with postgres.connect() as admin:
            admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'parcels'")

    assert versions(settings, parcel_id) == []
    assert pb.Parcel.FromString(move(db, call, parcel_id)).version == 1


def test_a_request_id_that_is_no_uuid_is_refused(db):
    with pytest.raises(InvalidArgument):
        move(db, parcels.call(request_id="tuesday"), uuid4())


def test_a_call_without_request_id_is_not_kept(db, settings):
    parcel_id = uuid4()

    move(db, parcels.call(request_id=None), parcel_id)
    move(db, parcels.call(request_id=None), parcel_id)

    assert versions(settings, parcel_id) == [2]
