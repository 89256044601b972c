"""The chain that every RPC passes, step by step, over a real socket."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import grpc
import pytest
from google.protobuf import descriptor_pb2

from chassis.testing import call_as, refusal, refused, wait_until
from tests.integration.chassis.greeter import SECRET, Denials, Greeter, Lives, greeter, pb


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Greeter]:
    with greeter(tmp_path_factory.mktemp("greeter")) as service:
        yield service


# --- 1 errors ---------------------------------------------------------------------------------------------


def test_an_unforeseen_failure_shows_a_fixed_text_and_a_reference_that_the_log_has_too(
    door: Greeter, caplog: pytest.LogCaptureFixture
) -> None:
    seen = refused(door.stub.Fail, pb.FailRequest(how="value"), door.reader)

    assert seen.code is grpc.StatusCode.INTERNAL
    assert seen.reason == "INTERNAL"
    reference = seen.metadata["reference"]
    assert seen.message == f"an error of the server; tell the operator the reference {reference}"
    assert any(reference in str(record.msg) for record in caplog.records)


@pytest.mark.parametrize("how", ["value", "database lost", "statement timeout"])
def test_no_words_of_an_exception_leave_the_process(door: Greeter, how: str) -> None:
    call = door.channel.unary_unary("/kelola.greeter.v1.GreeterService/Fail")
    with pytest.raises(grpc.RpcError) as failure:
        call_as(call, pb.FailRequest(how=how).SerializeToString(), door.reader)

    trailers = dict(failure.value.trailing_metadata())
    everything = failure.value.details().encode() + b"".join(
        value if isinstance(value, bytes) else value.encode() for value in trailers.values()
    )
    assert b"grpc-status-details-bin" in {key.encode() for key in trailers}
    for word in (SECRET.encode(), b"hunter2", b"3171012345678901", b"select", b"Traceback", b"ValueError"):
        assert word not in everything


def test_a_refusal_keeps_its_reason_figures_and_code(door: Greeter) -> None:
    seen = refused(door.stub.Fail, pb.FailRequest(how="closed"), door.reader)

    assert seen.code is grpc.StatusCode.FAILED_PRECONDITION
    assert (seen.reason, seen.message) == ("GREETINGS_CLOSED", "greetings close at 16:00")
    assert seen.metadata == {"closed_at": "16:00"}


@pytest.mark.parametrize(
    ("how", "code", "reason"),
    [
        ("not found", grpc.StatusCode.NOT_FOUND, "NOT_FOUND"),
        ("database lost", grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE"),
        ("statement timeout", grpc.StatusCode.DEADLINE_EXCEEDED, "STATEMENT_TIMEOUT"),
        ("conflict:9", grpc.StatusCode.ABORTED, "DATABASE_BUSY"),
        ("huge", grpc.StatusCode.OUT_OF_RANGE, "REPLY_TOO_LARGE"),
    ],
)
def test_foreseen_trouble_has_a_code_and_a_reason(door: Greeter, how: str, code: grpc.StatusCode, reason: str) -> None:
    Lives.clear()
    # A channel without retries: UNAVAILABLE is to be seen, not repaired.
    with grpc.insecure_channel(door.address, options=[("grpc.enable_retries", 0)]) as channel:
        fail = channel.unary_unary(
            "/kelola.greeter.v1.GreeterService/Fail",
            request_serializer=pb.FailRequest.SerializeToString,
            response_deserializer=pb.FailResponse.FromString,
        )
        seen = refused(fail, pb.FailRequest(how=how), door.reader)

    assert (seen.code, seen.reason) == (code, reason)


def test_an_unknown_method_is_unimplemented(door: Greeter) -> None:
    with pytest.raises(grpc.RpcError) as failure:
        door.raw("Nothing", b"", door.reader)

    assert failure.value.code() is grpc.StatusCode.UNIMPLEMENTED


# --- 3 cap -----------------------------------------------------------------------------------------------


def test_calls_beyond_the_cap_are_refused_at_once_with_the_time_to_come_back(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with greeter(tmp_path_factory.mktemp("capped"), calls_max=4, threads_spare=8) as door:
        slow = pb.GreetRequest(name="Sri", sleep_milliseconds=1500)
        with ThreadPoolExecutor(12) as callers:
            began = time.monotonic()
            held = [callers.submit(call_as, door.stub.Greet, slow, door.reader) for _ in range(4)]
            wait_until(lambda: Lives.begun >= 4, what="four calls under way")
            extra = [callers.submit(refused, door.stub.Greet, slow, door.reader) for _ in range(8)]
            refusals = [one.result() for one in extra]
            refused_after = time.monotonic() - began
            answers = [one.result() for one in held]

        assert {one.code for one in refusals} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
        assert {one.retry_after_seconds for one in refusals} == {1.0}
        assert refused_after < 1.4, "the refusals waited for the calls that held the places"
        assert len(answers) == 4
        # The places are free again.
        assert call_as(door.stub.Greet, pb.GreetRequest(name="Sri"), door.reader).text == "Halo, Sri"


def test_streams_have_a_cap_of_their_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    with greeter(tmp_path_factory.mktemp("streams"), calls_max=2, streams_max=2) as door:
        endless = pb.StreamGreetingsRequest(count=10_000, pause_milliseconds=20)
        open_streams = [call_as(door.stub.StreamGreetings, endless, door.reader) for _ in range(2)]
        for stream in open_streams:
            next(stream)

        third = refused(door.stub.StreamGreetings, endless, door.reader)
        unary = call_as(door.stub.Greet, pb.GreetRequest(name="Sri"), door.reader)
        for stream in open_streams:
            stream.cancel()

        assert (third.code, third.retry_after_seconds) == (grpc.StatusCode.RESOURCE_EXHAUSTED, 1.0)
        assert unary.text == "Halo, Sri"


# --- 4 deadline --------------------------------------------------------------------------------------------


def test_a_call_without_a_deadline_gets_the_default_one(tmp_path_factory: pytest.TempPathFactory) -> None:
    with greeter(tmp_path_factory.mktemp("default"), deadline_default_seconds=7.0) as door:
        metadata = [("authorization", f"Bearer {door.reader}")]
        answer = door.stub.Greet(pb.GreetRequest(name="Sri"), metadata=metadata)

        assert 6 < answer.seconds_left <= 7


def test_the_callers_deadline_counts_and_the_servers_limit_above_it(door: Greeter) -> None:
    short = call_as(door.stub.Greet, pb.GreetRequest(name="Sri"), door.reader, timeout=3)
    long = call_as(door.stub.Greet, pb.GreetRequest(name="Sri"), door.reader, timeout=100_000)

    assert 1 < short.seconds_left <= 3.2
    assert 290 < long.seconds_left <= 300


# --- 5 authenticate ----------------------------------------------------------------------------------------


def test_a_public_rpc_needs_no_token_and_looks_at_none(door: Greeter) -> None:
    assert call_as(door.stub.Ping, pb.PingRequest(), None) == pb.PingResponse()
    assert call_as(door.stub.Ping, pb.PingRequest(), "rubbish") == pb.PingResponse()


def test_without_a_token_nothing_is_done(door: Greeter) -> None:
    begun = Lives.begun

    seen = refused(door.stub.Greet, pb.GreetRequest(name="Sri"), None)

    assert (seen.code, seen.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING")
    assert Lives.begun == begun


def test_the_token_comes_before_the_message(door: Greeter) -> None:
    with pytest.raises(grpc.RpcError) as failure:
        door.raw("Greet", b"\xff\xff\xff", None)

    assert failure.value.code() is grpc.StatusCode.UNAUTHENTICATED


# --- 6 parse -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff", b"\x0a\x05Sri", b"\x0a\x02\xff\xfe"])
def test_malformed_bytes_are_the_callers_mistake(door: Greeter, data: bytes) -> None:
    with pytest.raises(grpc.RpcError) as failure:
        door.raw("Greet", data, door.reader)

    seen = refusal(failure.value)
    assert (seen.code, seen.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_REQUEST")


def test_a_message_beyond_the_limit_is_refused(door: Greeter) -> None:
    with pytest.raises(grpc.RpcError) as failure:
        door.raw("Greet", b"\x0a" + b"\x80\x80\x80\x04" + b"x" * (8 * 1024 * 1024), door.reader)

    assert failure.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


# --- 7 validate --------------------------------------------------------------------------------------------


def test_rules_of_the_protos_are_enforced_and_every_field_is_named(door: Greeter) -> None:
    request = pb.CreateGreetingRequest(greeting=pb.Greeting(agency_id="no", text="x" * 21), request_id="1")

    seen = refused(door.stub.CreateGreeting, request, door.writer)

    assert (seen.code, seen.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "VALIDATION_FAILED")
    assert set(seen.fields) == {"greeting.agency_id", "greeting.text", "request_id"}


def test_a_repeated_field_is_named_with_its_index(door: Greeter) -> None:
    good = pb.CreateGreetingRequest(greeting=pb.Greeting(agency_id=str(door.agency)), request_id=str(uuid4()))
    bad = pb.CreateGreetingRequest(request_id=str(uuid4()))
    request = pb.BatchCreateGreetingsRequest(requests=[good, bad], request_id=str(uuid4()))

    seen = refused(door.stub.BatchCreateGreetings, request, door.writer)

    assert seen.fields == ("requests[1].greeting",)


# --- 8 authorize -------------------------------------------------------------------------------------------


def test_a_permission_that_no_role_gives_is_denied_and_audited(door: Greeter) -> None:
    Denials.seen.clear()

    seen = refused(door.stub.Greet, pb.GreetRequest(name="Sri"), door.stranger)

    assert (seen.code, seen.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    assert seen.metadata == {"permission": "greeter.greeting.read"}
    (denial,) = Denials.seen
    assert denial["method"] == "kelola.greeter.v1.GreeterService.Greet"
    assert denial["permission"] == "greeter.greeting.read"
    assert denial["agency_id"] is None


def test_another_agency_is_denied_where_the_request_names_it(door: Greeter) -> None:
    Denials.seen.clear()
    other = uuid4()

    seen = refused(door.stub.Greet, pb.GreetRequest(name="Sri", agency_id=str(other)), door.reader)

    assert seen.code is grpc.StatusCode.PERMISSION_DENIED
    assert seen.metadata["agency_id"] == str(other)
    assert [denial["agency_id"] for denial in Denials.seen] == [other]


def test_another_agency_is_denied_where_the_resource_names_it(door: Greeter) -> None:
    def create(agency: object) -> pb.CreateGreetingRequest:
        return pb.CreateGreetingRequest(greeting=pb.Greeting(agency_id=str(agency)), request_id=str(uuid4()))

    own = call_as(door.stub.CreateGreeting, create(door.agency), door.writer)
    seen = refused(door.stub.CreateGreeting, create(uuid4()), door.writer)
    batch = pb.BatchCreateGreetingsRequest(requests=[create(door.agency), create(uuid4())], request_id=str(uuid4()))

    assert own.agency_id == str(door.agency)
    assert seen.code is grpc.StatusCode.PERMISSION_DENIED
    assert refused(door.stub.BatchCreateGreetings, batch, door.writer).code is grpc.StatusCode.PERMISSION_DENIED


def test_an_agency_that_is_no_uuid_is_invalid_and_not_denied(door: Greeter) -> None:
    seen = refused(door.stub.Greet, pb.GreetRequest(name="Sri", agency_id="here"), door.reader)

    assert (seen.code, seen.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("agency_id",))


def test_each_message_of_a_client_stream_is_judged(door: Greeter) -> None:
    def messages(*agencies: object) -> Iterator[pb.ImportGreetingsRequest]:
        for agency in agencies:
            yield pb.ImportGreetingsRequest(greeting=pb.Greeting(agency_id=str(agency)))

    whole = call_as(door.stub.ImportGreetings, messages(door.agency, door.agency), door.writer)
    foreign = refused(door.stub.ImportGreetings, messages(door.agency, uuid4()), door.writer)
    invalid = refused(door.stub.ImportGreetings, messages(door.agency, "no"), door.writer)
    reader = refused(door.stub.ImportGreetings, messages(door.agency), door.reader)

    assert whole.count == 2
    assert foreign.code is grpc.StatusCode.PERMISSION_DENIED
    assert invalid.code is grpc.StatusCode.INVALID_ARGUMENT
    assert reader.code is grpc.StatusCode.PERMISSION_DENIED


def test_a_denial_by_a_use_case_is_audited_too(door: Greeter) -> None:
    Denials.seen.clear()

    seen = refused(door.stub.Fail, pb.FailRequest(how="own work"), door.reader)

    assert (seen.code, seen.message) == (grpc.StatusCode.PERMISSION_DENIED, "the maker may not approve")
    assert len(Denials.seen) == 1


# --- the method --------------------------------------------------------------------------------------------


def test_the_call_tells_who_asks_and_where_the_permission_is_held(door: Greeter) -> None:
    answer = call_as(door.stub.Greet, pb.GreetRequest(name="Sri"), door.reader)

    assert answer.subject == answer.person_id == str(door.person)
    assert list(answer.agencies) == [str(door.agency)]


def test_a_repeat_answers_with_the_stored_bytes(door: Greeter) -> None:
    request = pb.CreateGreetingRequest(
        greeting=pb.Greeting(agency_id=str(door.agency), text="again"), request_id=str(uuid4())
    )

    assert call_as(door.stub.CreateGreeting, request, door.writer).text == "the first answer"


def test_the_hash_is_of_the_input_without_its_request_id(door: Greeter) -> None:
    def hashed(**more: str) -> tuple[str, str]:
        request = pb.CreateGreetingRequest(greeting=pb.Greeting(agency_id=str(door.agency), text="hash"), **more)
        answer = call_as(door.stub.CreateGreeting, request, door.writer)
        return answer.text, answer.agency_id

    first_id = str(uuid4())
    first, second = hashed(request_id=first_id.upper()), hashed(request_id=str(uuid4()))

    assert first[0] == second[0]
    assert first[1] == first_id, "one request_id has one spelling"


@pytest.mark.parametrize("undone", [1, 3])
def test_a_transaction_that_the_database_undid_runs_again(door: Greeter, undone: int) -> None:
    Lives.clear()

    answer = call_as(door.stub.Fail, pb.FailRequest(how=f"conflict:{undone}"), door.reader)

    assert answer.attempts == undone + 1
    assert (Lives.begun, Lives.ended, Lives.failed) == (undone + 1, undone + 1, undone)


def test_eight_calls_run_side_by_side(door: Greeter) -> None:
    request = pb.GreetRequest(name="Sri", sleep_milliseconds=200)
    call_as(door.stub.Greet, pb.GreetRequest(name="Sri"), door.reader)

    with ThreadPoolExecutor(8) as callers:
        began = time.monotonic()
        answers = list(callers.map(lambda _: call_as(door.stub.Greet, request, door.reader), range(8)))
        took = time.monotonic() - began

    assert len({answer.worker for answer in answers}) == 8
    # One after another they would take 1.6 s.
    assert took < 0.9


def test_a_stream_is_a_worker_life_and_its_cancel_ends_it(door: Greeter) -> None:
    Lives.clear()
    whole = [
        greeting.text
        for greeting in call_as(door.stub.StreamGreetings, pb.StreamGreetingsRequest(count=3), door.reader)
    ]
    wait_until(lambda: Lives.ended == 1)

    endless = pb.StreamGreetingsRequest(count=1_000_000, pause_milliseconds=5)
    stream = call_as(door.stub.StreamGreetings, endless, door.reader)
    next(stream)
    assert (Lives.begun, Lives.ended) == (2, 1)
    stream.cancel()

    assert whole == ["0", "1", "2"]
    wait_until(lambda: Lives.ended == 2, seconds=5, what="the teardown of the cancelled stream")


def test_many_callers_and_many_failures_leave_no_worker_and_no_place_behind(door: Greeter) -> None:
    Lives.clear()
    ways = ["", "value", "closed", "not found", "conflict:1"]

    def codes(number: int) -> set[grpc.StatusCode]:
        seen = set()
        for step in range(20):
            request = pb.FailRequest(how=ways[(number + step) % len(ways)])
            try:
                call_as(door.stub.Fail, request, door.reader)
                seen.add(grpc.StatusCode.OK)
            except grpc.RpcError as failure:
                seen.add(refusal(failure).code)
        return seen

    with ThreadPoolExecutor(16) as callers:
        seen = set().union(*callers.map(codes, range(16)))

    assert seen <= {
        grpc.StatusCode.OK,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ABORTED,
    }
    wait_until(lambda: Lives.begun == Lives.ended and door.container._running == 0)


def test_the_test_contract_has_a_method_of_each_kind() -> None:
    """The tests above cover what they say only as long as the proto has these."""
    file = descriptor_pb2.FileDescriptorProto()
    pb.DESCRIPTOR.CopyToProto(file)
    kinds = {
        (method.client_streaming, method.server_streaming) for service in file.service for method in service.method
    }

    assert {(False, False), (False, True), (True, False)} <= kinds


def test_t12_small_mutated_bytes_are_never_our_failure(door: Greeter, seed: int) -> None:
    generator = random.Random(seed)
    create = pb.CreateGreetingRequest(
        greeting=pb.Greeting(agency_id=str(door.agency), text="Halo"), request_id=str(uuid4())
    )
    batch = pb.BatchCreateGreetingsRequest(requests=[create, create], request_id=str(uuid4()))
    good = [
        ("CreateGreeting", create.SerializeToString()),
        ("BatchCreateGreetings", batch.SerializeToString()),
        ("Ping", pb.PingRequest().SerializeToString()),
    ]
    codes = set()
    for _ in range(600):
        method, whole = generator.choice(good)
        data = bytearray(whole)
        for _ in range(generator.randint(1, 4)):
            place = generator.randrange(len(data) + 1)
            match generator.randrange(3):
                case 0:
                    data[place:place] = generator.randbytes(generator.randint(1, 8))
                case 1:
                    del data[place : place + generator.randint(1, 8)]
                case _ if place < len(data):
                    data[place] ^= 1 << generator.randrange(8)
        try:
            door.raw(method, bytes(data), door.writer)
            codes.add(grpc.StatusCode.OK)
        except grpc.RpcError as failure:
            seen = refusal(failure)
            assert seen.reason, seen
            codes.add(seen.code)

    assert grpc.StatusCode.INVALID_ARGUMENT in codes
    assert codes <= {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.PERMISSION_DENIED}
