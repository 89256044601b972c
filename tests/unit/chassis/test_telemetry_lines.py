"""Lines about calls that went well are written behind the calls: whole, masked, and before the process ends."""

from __future__ import annotations

import io
import json
import logging
import sys

import pytest

from chassis import telemetry


@pytest.fixture(autouse=True)
def logger(monkeypatch: pytest.MonkeyPatch):
    # As in a process that has not set up its logging: the place is then sys.stderr, which these tests read.
    monkeypatch.setattr(telemetry._behind, "handler", None)
    found = logging.getLogger("chassis.grpc")
    before = found.level
    found.setLevel(logging.INFO)
    yield found
    found.setLevel(before)


def test_a_line_is_there_after_a_flush_with_its_time_and_without_a_national_id(capsys: pytest.CaptureFixture[str]):
    telemetry.note_behind("rpc", {"rpc": "Ledger/Post", "request_id": "3171012345678901"})
    telemetry.flush()

    (line,) = [json.loads(text) for text in capsys.readouterr().err.splitlines()]
    assert line.pop("timestamp").endswith("Z")
    assert line == {"rpc": "Ledger/Post", "request_id": telemetry.MASK, "event": "rpc", "level": "info"}


def test_lines_keep_their_order(capsys: pytest.CaptureFixture[str]):
    for number in range(2_000):
        telemetry.note_behind("rpc", {"number": number})
    telemetry.flush()

    numbers = [json.loads(text)["number"] for text in capsys.readouterr().err.splitlines()]
    assert numbers == list(range(2_000))


def test_below_the_level_nothing_is_written(logger: logging.Logger, capsys: pytest.CaptureFixture[str]):
    logger.setLevel(logging.WARNING)

    telemetry.note_behind("rpc", {"rpc": "Ledger/Post"})
    telemetry.flush()

    assert capsys.readouterr().err == ""


def test_a_line_goes_to_the_loggers_own_place_whatever_stderr_is_by_then(monkeypatch: pytest.MonkeyPatch):
    """A test runner gives the process its own stderr back between two tests; a call may just have ended."""
    place, runners = io.StringIO(), io.StringIO()
    monkeypatch.setattr(telemetry._behind, "handler", logging.StreamHandler(place))
    monkeypatch.setattr(sys, "stderr", runners)

    telemetry.note_behind("rpc", {"rpc": "Ledger/Post"})
    telemetry.flush()

    assert json.loads(place.getvalue())["rpc"] == "Ledger/Post"
    assert runners.getvalue() == ""


def test_a_place_that_is_gone_leaves_the_lines_to_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    gone = io.StringIO()
    gone.close()
    monkeypatch.setattr(telemetry._behind, "handler", logging.StreamHandler(gone))

    telemetry.note_behind("rpc", {"rpc": "Ledger/Post"})
    telemetry.flush()

    assert json.loads(capsys.readouterr().err)["rpc"] == "Ledger/Post"
