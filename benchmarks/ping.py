"""Unary ping through the whole interceptor chain, beside a bare grpcio server with the same messages."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from benchmarks import ping_server
from benchmarks.callers import Load, Outcome, run
from benchmarks.figures import Latency, median, ratio
from benchmarks.processes import cpu_seconds
from chassis.local.child import Child
from chassis.testing import ISSUER, TestKeys

CALLERS = (1, 64)
_START_SECONDS = 60.0


def measure(say: Callable[[str], None], *, seconds: float, rounds: int) -> dict[str, Any]:
    """Both servers in turn, `rounds` times `seconds` for each number of callers; medians of the rounds."""
    with tempfile.TemporaryDirectory(prefix="kelola-ping-") as scratch:
        folder = Path(scratch)
        ping_server.compile_contract(folder)
        metadata, request, environment = _visitor(folder)
        found: dict[str, Any] = {}
        with _server("chain", folder, environment) as chain, _server("bare", folder, environment) as bare:
            for callers in CALLERS:
                runs: dict[str, list[tuple[Outcome, float]]] = {"chain": [], "bare": []}
                for number in range(rounds):
                    for kind, (child, address) in {"bare": bare, "chain": chain}.items():
                        say(f"ping, {callers} callers, {kind}, round {number + 1} of {rounds}")
                        load = Load(address, ping_server.PATH, metadata, [request], callers, seconds, seed=number)
                        before = cpu_seconds(child.pid)
                        outcome = run([load])
                        runs[kind].append((outcome, cpu_seconds(child.pid) - before))
                found[f"callers_{callers}"] = _compared(runs)
    return found


def _visitor(folder: Path) -> tuple[dict[str, str], bytes, dict[str, str]]:
    """A person who may ping in one agency: call metadata, request, and the environment of a service that knows."""
    policies = folder / "policies"
    policies.mkdir()
    (policies / "ping.cedar").write_text(ping_server.POLICY, encoding="utf-8")
    keys = TestKeys(folder, services=("ping",))
    agency = uuid4()
    token = keys.token(uuid4(), grants=[("ping.reader", [agency])], audience="ping")
    environment = {
        **os.environ,
        "KELOLA_TOKEN_ISSUER": ISSUER,
        "KELOLA_JWKS_URL": keys.jwks_file.as_uri(),
        "KELOLA_SERVICE_JWKS_URL": keys.service_jwks_file.as_uri(),
        "KELOLA_POLICIES_DIR": str(policies),
        "KELOLA_TRACE_DIR": str(folder / "spans"),
    }
    sys.path.append(str(folder))
    from kelola.ping.v1 import ping_pb2

    request = ping_pb2.PingRequest(agency_id=str(agency), text="apa kabar").SerializeToString()
    return {"authorization": f"Bearer {token}"}, request, environment


@contextmanager
def _server(kind: str, folder: Path, environment: dict[str, str]) -> Iterator[tuple[Child, str]]:
    from chassis.settings import ROOT

    command = [sys.executable, "-m", "benchmarks.ping_server", kind, str(folder)]
    child = Child(f"ping-{kind}", command, log=folder / f"{kind}.log", env=environment, cwd=ROOT)
    try:
        file = ping_server.address_file(folder, kind)
        child.wait_until(file.exists, seconds=_START_SECONDS)
        yield child, file.read_text(encoding="ascii")
    finally:
        child.stop()


def _compared(runs: dict[str, list[tuple[Outcome, float]]]) -> dict[str, Any]:
    sides = {kind: _side(rounds) for kind, rounds in runs.items()}
    return {
        **sides,
        "ratio": round(ratio(sides["chain"]["calls_per_second"], sides["bare"]["calls_per_second"]), 3),
        "ratio_by_round": [
            round(ratio(ours.calls_per_second, theirs.calls_per_second), 3)
            for (ours, _), (theirs, _) in zip(runs["chain"], runs["bare"], strict=True)
        ],
    }


def _side(rounds: list[tuple[Outcome, float]]) -> dict[str, Any]:
    latency = Latency.of([seconds for outcome, _ in rounds for seconds in outcome.latencies])
    calls = sum(outcome.calls_in_all for outcome, _ in rounds)
    return {
        "calls_per_second": round(median([outcome.calls_per_second for outcome, _ in rounds]), 1),
        "median_ms": latency.median_ms,
        "p99_ms": latency.p99_ms,
        "calls": sum(outcome.calls for outcome, _ in rounds),
        "server_cpu_us_per_call": round(sum(cpu for _, cpu in rounds) / calls * 1e6, 1),
        "client_cpu_us_per_call": round(
            sum(one.client_cpu_seconds for one, _ in rounds) / sum(one.calls for one, _ in rounds) * 1e6, 1
        ),
    }
