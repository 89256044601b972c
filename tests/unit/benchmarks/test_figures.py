"""The arithmetic behind the figures, and the client that takes them. No figure is asserted anywhere."""

from __future__ import annotations

import socket
import threading

import pytest

from benchmarks.figures import Latency, median, percentile, ratio
from benchmarks.http2 import CallFailed, Http2Connection, framed


def test_a_percentile_is_a_value_that_was_measured():
    values = [float(number) for number in range(100, 0, -1)]

    assert percentile(values, 0.99) == 99
    assert percentile(values, 0.5) == 50
    assert percentile(values, 1) == 100
    assert percentile(values, 0) == 1
    assert percentile([7.0], 0.99) == 7


def test_a_percentile_of_few_values_is_the_next_higher_one():
    assert percentile([1.0, 2.0, 3.0], 0.99) == 3
    assert percentile([1.0, 2.0, 3.0], 0.34) == 2


def test_the_median_of_an_even_number_lies_between_the_two_in_the_middle():
    assert median([4.0, 1.0, 3.0, 2.0]) == 2.5
    assert median([3.0, 1.0, 2.0]) == 2


@pytest.mark.parametrize("arithmetic", [median, lambda values: percentile(values, 0.5), Latency.of])
def test_nothing_measured_is_no_figure(arithmetic):
    with pytest.raises(ValueError, match="nothing was measured"):
        arithmetic([])


@pytest.mark.parametrize("share", [-0.01, 1.01])
def test_a_share_outside_the_whole_is_refused(share):
    with pytest.raises(ValueError, match="between 0 and 1"):
        percentile([1.0], share)


def test_a_ratio_needs_a_baseline():
    assert ratio(30, 40) == 0.75
    with pytest.raises(ValueError, match="measures nothing"):
        ratio(30, 0)


def test_a_latency_is_told_in_milliseconds():
    latency = Latency.of([0.001] * 98 + [0.050, 0.2])

    assert latency == Latency(median_ms=1.0, p99_ms=50.0, max_ms=200.0, count=100)


def test_a_message_is_framed_as_grpc_wants_it():
    assert framed(b"abc") == b"\x00\x00\x00\x00\x03abc"


class _Peer:
    """A server that says what it is told to say once a call has come."""

    def __init__(self, answer: bytes) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._answer = answer
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            connection.recv(65536)
            if self._answer:
                connection.sendall(self._answer)
                connection.recv(65536)  # until the client goes

    def close(self) -> None:
        self._listener.close()


def _trailers(status: bytes) -> bytes:
    block = b"\x40\x0bgrpc-status" + bytes((len(status),)) + status
    return len(block).to_bytes(3, "big") + b"\x01\x05\x00\x00\x00\x01" + block


def _first_answer(answer: bytes) -> list[int]:
    peer = _Peer(answer)
    connection = Http2Connection(peer.address, "/a.B/C", {})
    try:
        connection.begin(framed(b"abc"))
        connection.flush()
        return connection.receive()
    finally:
        connection.close()
        peer.close()


def test_the_client_counts_a_call_only_when_its_status_is_ok():
    assert _first_answer(_trailers(b"0")) == [1]


@pytest.mark.parametrize("status", [b"8", b"13"])
def test_the_client_stops_at_a_refusal_so_that_none_is_counted_as_work(status):
    with pytest.raises(CallFailed, match=r"grpc-status.*" + status.decode()):
        _first_answer(_trailers(status))


def test_the_client_stops_when_the_server_hangs_up():
    with pytest.raises(CallFailed, match="closed the connection"):
        _first_answer(b"")
