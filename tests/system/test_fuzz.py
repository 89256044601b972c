"""Requests that nobody should send (trust T12, its CI size): good ones with broken fields, and broken bytes.

KELOLA_FUZZ_REQUESTS sets how many each service gets (default 1 000); KELOLA_TEST_SEED repeats a run.
"""

from __future__ import annotations

import os
import random
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import grpc
import pytest

from chassis.testing import refusal
from tests.system import books
from tests.system.mutation import broken
from tests.system.recording import Rpc, rpcs, send

REQUESTS = int(os.environ.get("KELOLA_FUZZ_REQUESTS", "1000"))
_WORKERS = 4
# The first part fills pools, caches and the threads' heaps; growth is measured on the rest.
_WARM_UP = 0.4
_GROWTH_MAX, _GROWTH_MAX_KB = 0.05, 16 * 1024
_ALLOWED = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.UNAUTHENTICATED,  # TokenService judges a broken client assertion so
}
_INNARDS = re.compile(
    r"traceback|psycopg|sqlalchemy|\.py\b|site-packages|\bselect\b.{1,200}\bfrom\b|\binsert into\b|\bupdate \w+ set\b"
    r"|violates|duplicate key|relation \"|detail:|sqlstate|0x[0-9a-f]{8}|<[a-z_.]+ object",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True)
class _Attempt:
    rpc: Rpc
    body: bytes
    token: str


@pytest.mark.parametrize("service", ["identity", "finance", "hr", "logistics"])
def test_broken_requests_are_refused_with_a_named_fault_and_nothing_else_happens(lived, seed, service):
    chance = random.Random(f"{seed}/{service}")
    attempts = _attempts(lived, service, chance)
    warm = int(len(attempts) * _WARM_UP)

    findings, seen = _run(lived, attempts[:warm])
    before_kb = _resident_kb(lived.platform.children[service].pid)
    more_findings, more_seen = _run(lived, attempts[warm:])
    after_kb = _resident_kb(lived.platform.children[service].pid)

    assert findings + more_findings == [], f"seed {seed}"
    assert lived.platform.children[service].running
    seen += more_seen
    assert sum(seen.values()) == REQUESTS
    assert seen["INVALID_ARGUMENT"] > REQUESTS / 10, f"the mutations must reach the checks: {seen}"
    assert after_kb - before_kb < max(before_kb * _GROWTH_MAX, _GROWTH_MAX_KB), f"{before_kb} -> {after_kb} kB"
    _still_serves(lived, service)


def _attempts(lived, service: str, chance: random.Random) -> list[_Attempt]:
    found = [rpc for rpc in rpcs() if rpc.service == service]
    tokens = {rpc: lived.token_of(lived.example(rpc)) if rpc.permission else "" for rpc in found}
    attempts = []
    for number in range(REQUESTS):
        rpc = found[number % len(found)]
        request = chance.choice(lived.rehearsed.of(rpc)).message
        if rpc.mutates and chance.random() < 0.8:
            # Under the recorded id it would be refused as another content, and no rule behind that be reached.
            request.request_id = str(UUID(int=chance.getrandbits(128), version=4))
        attempts.append(_Attempt(rpc, broken(request, chance), tokens[rpc]))
    return attempts


def _run(lived, attempts: list[_Attempt]) -> tuple[list[str], Counter[str]]:
    """(what is wrong, how calls ended)."""

    def attempt(one: _Attempt) -> tuple[str, str]:
        try:
            send(lived.system, one.rpc, one.body, token=one.token or None)
        except grpc.RpcError as failure:
            said = refusal(failure)
            text = f"{said.message} {said.metadata} {said.fields} {failure.trailing_metadata()}"
            if said.code not in _ALLOWED or _INNARDS.search(text):
                return said.code.name, f"{one.rpc.full_name} {one.body!r}: {said.code.name} {text}"
            return said.code.name, ""
        return "OK", ""

    with ThreadPoolExecutor(_WORKERS) as pool:
        outcomes = list(pool.map(attempt, attempts))
    return [finding for _, finding in outcomes if finding], Counter(code for code, _ in outcomes)


def _resident_kb(pid: int) -> int:
    """The process's resident memory."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    match = re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
    assert match, f"process {pid} has no memory"
    return int(match[1])


def _still_serves(lived, service: str) -> None:
    """Every RPC that reads answers as before to its good request."""
    for rpc in rpcs():
        if rpc.service == service and rpc.permission and not rpc.mutates:
            example = lived.example(rpc)
            send(lived.system, rpc, example.request, token=lived.token_of(example))
    assert books.one(lived.platform, service, "select count(*) from saga where status = 'STUCK'") == (0,)
