"""Calls from service to service: whose rights count, how long they take, what they refuse."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

import grpc
import pytest

from chassis.errors import DeadlineExceeded
from chassis.peer import SERVICE_CONFIG, CallInTransaction, PeerAddressMissing, PeerClient, acting_for
from chassis.testing import TestKeys, call_as, refused, wait_until
from chassis.transaction_flag import open_transaction
from tests.integration.chassis.greeter import Greeter, greeter, pb, pb_grpc


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Greeter]:
    with greeter(tmp_path_factory.mktemp("greeter")) as service:
        yield service


@pytest.fixture
def peer(door: Greeter) -> Iterator[PeerClient]:
    """The service as another one reaches it: here a loop of the greeter itself."""
    client = PeerClient("greeter", door.container.settings)
    yield client
    client.close()


def test_inside_an_rpc_the_callers_own_token_is_passed_on(door: Greeter) -> None:
    answer = call_as(door.stub.Relay, pb.RelayRequest(), door.reader).greeted

    assert answer.subject == str(door.person)
    assert list(answer.agencies) == [str(door.agency)]


def test_the_deadline_is_passed_on(door: Greeter) -> None:
    answer = call_as(door.stub.Relay, pb.RelayRequest(), door.reader, timeout=4).greeted

    assert 1 < answer.seconds_left <= 4.1


def test_no_call_leaves_while_a_transaction_is_open(door: Greeter, peer: PeerClient) -> None:
    inside = refused(door.stub.Relay, pb.RelayRequest(how="in transaction"), door.reader)
    stub = peer.stub(pb_grpc.GreeterServiceStub)
    with open_transaction(), pytest.raises(CallInTransaction):
        stub.Ping(pb.PingRequest())

    assert inside.code is grpc.StatusCode.INTERNAL
    assert stub.Ping(pb.PingRequest()) == pb.PingResponse()


def test_a_peers_refusal_is_shown_as_it_is(door: Greeter) -> None:
    seen = refused(door.stub.Relay, pb.RelayRequest(how="refused"), door.reader)

    assert (seen.code, seen.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "GREETINGS_CLOSED")
    assert seen.metadata == {"closed_at": "16:00"}


def test_a_peers_own_failure_gets_a_reference_of_ours(door: Greeter) -> None:
    seen = refused(door.stub.Relay, pb.RelayRequest(how="broken"), door.reader)

    assert (seen.code, seen.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert "hunter2" not in seen.message


def test_a_saga_step_acts_as_the_service_for_the_recorded_person(door: Greeter, peer: PeerClient) -> None:
    person, agency = uuid4(), uuid4()

    with acting_for(person, [agency]):
        answer = peer.stub(pb_grpc.GreeterServiceStub).Greet(pb.GreetRequest(name="Sri"))

    assert (answer.subject, answer.person_id) == ("service:greeter", str(person))
    assert list(answer.agencies) == [str(agency)]


def test_each_thread_acts_for_its_own_person(door: Greeter, peer: PeerClient) -> None:
    stub = peer.stub(pb_grpc.GreeterServiceStub)

    def ask(_: int) -> tuple[str, str]:
        person = uuid4()
        with acting_for(person, [uuid4()]):
            return str(person), stub.Greet(pb.GreetRequest(name="Sri", sleep_milliseconds=20)).person_id

    with ThreadPoolExecutor(8) as threads:
        pairs = list(threads.map(ask, range(40)))

    assert [asked for asked, _ in pairs] == [seen for _, seen in pairs]


def test_a_loop_asks_as_the_service_with_nobody_behind_it(door: Greeter, peer: PeerClient) -> None:
    stub = peer.stub(pb_grpc.GreeterServiceStub)
    answer = stub.Greet(pb.GreetRequest(name="Sri"))
    seen = refused(stub.Greet, pb.GreetRequest(name="Sri", agency_id=str(door.agency)), None)

    # Its role lets it ask; no agency is behind it, so it sees no agency's rows and may name none.
    assert (answer.subject, answer.person_id, list(answer.agencies)) == ("service:greeter", "", [])
    assert seen.code is grpc.StatusCode.PERMISSION_DENIED


def test_an_outage_shorter_than_the_retries_is_not_seen(tmp_path: Path) -> None:
    keys = TestKeys(tmp_path, services=("greeter",))
    with greeter(tmp_path) as door:
        address = door.address
        port = int(address.rpartition(":")[2])
    client = PeerClient("greeter", keys.settings("greeter", peers={"greeter": address}))
    try:
        with ThreadPoolExecutor(1) as thread:
            stub = client.stub(pb_grpc.GreeterServiceStub)
            waiting = thread.submit(stub.Ping, pb.PingRequest(), timeout=20, wait_for_ready=True)
            time.sleep(0.3)
            with greeter(tmp_path, grpc_port=port):
                assert waiting.result(20) == pb.PingResponse()
    finally:
        client.close()


def test_calls_are_shared_by_all_processes_behind_a_name(tmp_path: Path) -> None:
    served: Counter[str] = Counter()
    with ExitStack() as stack:
        ports = [stack.enter_context(_counting_server(name, served)) for name in ("one", "other")]
        # Two addresses of one target are what a headless Service's name resolves to.
        target = "ipv4:" + ",".join(f"127.0.0.1:{port}" for port in ports)
        client = PeerClient("greeter", TestKeys(tmp_path, services=()).settings("other", peers={"greeter": target}))
        stack.callback(client.close)
        ask = client.stub(lambda channel: channel.unary_unary("/greeter/Ping"))
        wait_until(lambda: ask(b"") == b"" and len(served) == 2, seconds=10)
        served.clear()

        for _ in range(100):
            ask(b"")

    assert served == {"one": 50, "other": 50}


def test_a_connection_that_is_old_ends_between_calls_and_none_fails(tmp_path: Path) -> None:
    with greeter(tmp_path, connection_age_seconds=0.5) as door:
        states: list[grpc.ChannelConnectivity] = []
        with grpc.insecure_channel(door.address) as channel:
            channel.subscribe(states.append)
            stub, end = pb_grpc.GreeterServiceStub(channel), time.monotonic() + 20
            while states.count(grpc.ChannelConnectivity.READY) < 3 and time.monotonic() < end:
                assert stub.Ping(pb.PingRequest(), timeout=5) == pb.PingResponse()

    # Connected anew at least twice, and every call was answered.
    assert states.count(grpc.ChannelConnectivity.READY) >= 3


@contextmanager
def _counting_server(name: str, served: Counter[str]) -> Iterator[int]:
    def ping(request: bytes, context: grpc.ServicerContext) -> bytes:
        served[name] += 1
        return request

    server = grpc.server(ThreadPoolExecutor(2))
    handlers = {"Ping": grpc.unary_unary_rpc_method_handler(ping)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("greeter", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait()


def test_a_peer_without_an_address_says_which_setting_is_missing(tmp_path: Path) -> None:
    client = PeerClient("greeter", TestKeys(tmp_path, services=()).settings("other"))

    with pytest.raises(PeerAddressMissing, match="KELOLA_PEERS"):
        client.stub(pb_grpc.GreeterServiceStub)


def test_only_unavailable_is_retried_and_a_failing_peer_ends_the_retries() -> None:
    (method,) = SERVICE_CONFIG["methodConfig"]  # type: ignore[misc]
    policy = method["retryPolicy"]  # type: ignore[index]

    assert policy["retryableStatusCodes"] == ["UNAVAILABLE"]
    assert 2 <= policy["maxAttempts"] <= 5
    assert SERVICE_CONFIG["retryThrottling"]["maxTokens"] <= 1000  # type: ignore[call-overload,index]


def test_a_call_whose_time_is_over_asks_nobody(door: Greeter, peer: PeerClient) -> None:
    from datetime import UTC, datetime

    from chassis.call import Call, Principal
    from chassis.grpc.current import working_for

    late = Call(
        "m",
        None,
        Principal("anonymous", None, ()),
        frozenset(),
        None,
        b"",
        datetime.now(UTC),
        time.monotonic() - 1,
    )
    stub = peer.stub(pb_grpc.GreeterServiceStub)

    with working_for(late, None), pytest.raises(DeadlineExceeded):
        stub.Ping(pb.PingRequest())
