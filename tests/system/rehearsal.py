"""A second, small government in which every RPC is called, each mutation as twins: two equal calls at once.

It shares nothing with the government of the story but the chart of accounts and the catalogue's item codes, so that
the story's books are left alone; and its officers are strangers to the first one's agencies, and the other way round.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from typing import Any, TypeVar
from uuid import UUID, uuid4

import grpc
from google.protobuf import field_mask_pb2
from google.protobuf.message import Message
from google.type import decimal_pb2, money_pb2

from chassis import telemetry
from chassis.testing import Refusal, refusal
from chassis.wire import to_date
from cli.connect import System
from cli.demo import cast
from tests.system.recording import PASSING, Recording, Rpc, rpcs, send
from tests.system.tokens import Tokens

OPERATOR = "operator"
YEAR = cast.FISCAL_YEAR
TODAY = to_date(date(YEAR, 1, 6))
JANUARY_FIRST = to_date(date(YEAR, 1, 1))
_FIRST_PERSON = 700
_TRIES = 8
_WAIT_SECONDS = 60.0

Result = TypeVar("Result")


@cache
def _by_request() -> dict[str, Rpc]:
    """Requests are never shared, so a request names its RPC."""
    return {rpc.descriptor.input_type.full_name: rpc for rpc in rpcs()}


def rpc_of(request: Message) -> Rpc:
    """The RPC that takes this request."""
    return _by_request()[request.DESCRIPTOR.full_name]


@dataclass
class Twin:
    """What the two equal calls of one mutation were answered."""

    rpc: Rpc
    request_id: str
    person_id: str  # or `operator`, or `service:hr`
    replies: tuple[bytes, bytes]


@dataclass
class Company:
    """The persons of the second government and how they act."""

    system: System
    recording: Recording
    tokens: Tokens
    persons: dict[str, str] = field(default_factory=dict)
    agencies: dict[str, str] = field(default_factory=dict)
    twins: list[Twin] = field(default_factory=list)
    # (RPC, what it said) of every document that its own maker tried to approve.
    maker_refusals: list[tuple[Rpc, Refusal]] = field(default_factory=list)

    def token(self, by: str) -> str:
        """A token of the officer with this label, as identity issues it; or of `service:hr`, with its own key."""
        if by.startswith("service:"):
            agencies = [UUID(self.agencies["unit"])]
            person_id = UUID(self.persons["payroll_approver"])
            return self.tokens.of_service(
                by.removeprefix("service:"), "finance", person_id=person_id, agencies=agencies
            )
        return self.system.token(self.persons.get(by, by))

    def act(self, request: Any, *, by: str) -> Any:
        """Call a mutation twice at once with one fresh request id; both must succeed. The answer."""
        rpc = rpc_of(request)
        request.request_id = str(uuid4())
        body, token = request.SerializeToString(deterministic=True), self.token(by)
        metadata = _trace()
        gate = threading.Barrier(2)

        def once(_: int) -> bytes:
            gate.wait(10)
            return self._insistent(rpc, body, token, metadata)

        with ThreadPoolExecutor(2) as pool:
            first, second = pool.map(once, range(2))
        subject = self.persons.get(by, by)
        self.twins.append(Twin(rpc, request.request_id, subject, (first, second)))
        self.recording.add(rpc.full_name, body, first, subject)
        return rpc.reply_class.FromString(first)

    def read(self, request: Any, *, by: str) -> Any:
        """Call a reading RPC; the answer."""
        rpc = rpc_of(request)
        body = request.SerializeToString(deterministic=True)
        reply = self._insistent(rpc, body, self.token(by) if rpc.permission else None)
        self.recording.add(rpc.full_name, body, reply, self.persons.get(by, by))
        return rpc.reply_class.FromString(reply)

    def refused_to_its_maker(self, request: Any, *, maker: str, checker: str) -> None:
        """Have `maker` try, who is given the checker's role too: nobody checks his own work (I9)."""
        rpc = rpc_of(request)
        request.request_id = str(uuid4())
        try:
            reply = send(
                self.system, rpc, request.SerializeToString(), token=self.token(f"{maker}+{checker}"), timeout=30
            )
        except grpc.RpcError as failure:
            self.maker_refusals.append((rpc, refusal(failure)))
        else:
            raise AssertionError(f"{rpc.full_name} was not refused to the document's own maker: {reply!r}")

    def _insistent(self, rpc: Rpc, body: bytes, token: str | None, metadata: Sequence[tuple[str, str]] = ()) -> bytes:
        for tries in range(1, _TRIES + 1):
            try:
                return send(self.system, rpc, body, token=token, metadata=metadata)
            except grpc.RpcError as failure:
                if failure.code() not in PASSING or tries == _TRIES:
                    said = refusal(failure)
                    raise AssertionError(f"{rpc.full_name} was refused: {said}") from failure
                time.sleep(0.1 * tries)
        raise AssertionError("unreachable")

    def until(self, look: Callable[[], Result], done: Callable[[Result], bool], what: str) -> Result:
        """Look until `done`; AssertionError with the last sight after a minute."""
        end, pause = time.monotonic() + _WAIT_SECONDS, 0.05
        while True:
            seen = look()
            if done(seen):
                return seen
            assert time.monotonic() < end, f"{what} did not come within {_WAIT_SECONDS:g} s; last seen: {seen}"
            time.sleep(pause)
            pause = min(pause * 1.5, 0.5)


def _trace() -> list[tuple[str, str]]:
    """The journey that the caller is on, where he is on one."""
    parent = telemetry.traceparent()
    return [("traceparent", parent)] if parent is not None else []


def rupiah(amount: int) -> money_pb2.Money:
    """Whole rupiah."""
    return money_pb2.Money(currency_code="IDR", units=amount)


def decimal(value: int | str) -> decimal_pb2.Decimal:
    """A quantity or rate."""
    return decimal_pb2.Decimal(value=str(value))


def mask(*paths: str) -> field_mask_pb2.FieldMask:
    """An update mask."""
    return field_mask_pb2.FieldMask(paths=paths)


def person(number: int, label: str) -> cast.Person:
    """A synthetic person that is not in the story."""
    return cast.person(_FIRST_PERSON + number, label)


def rehearse(system: System, recording: Recording, tokens: Tokens) -> Company:
    """Call every RPC at least once in a government of its own."""
    from tests.system import (
        rehearsal_approval,
        rehearsal_billing,
        rehearsal_budget,
        rehearsal_calendar,
        rehearsal_classification,
        rehearsal_documents,
        rehearsal_finance,
        rehearsal_foreign,
        rehearsal_hr,
        rehearsal_identity,
        rehearsal_imprest,
        rehearsal_logistics,
        rehearsal_payables,
        rehearsal_preparation,
        rehearsal_treasury,
    )

    company = Company(system, recording, tokens)
    rehearsal_identity.found(company)
    budget = rehearsal_finance.open_the_books(company)
    claim = rehearsal_billing.work_by_contract(company, budget)
    rehearsal_approval.take_the_route(company, claim)
    rehearsal_hr.employ(company, budget)
    rehearsal_logistics.buy_and_pay(company, budget)
    rehearsal_imprest.spend_cash(company, budget, rehearsal_logistics.pay_at_once)
    rehearsal_treasury.go_to_the_bank(company)
    rehearsal_treasury.book_charges(company, budget.goods)
    rehearsal_payables.take_back(company, budget.goods)
    rehearsal_budget.change_the_budget(company, budget)
    rehearsal_preparation.prepare_a_budget(company)
    rehearsal_preparation.control_the_lines(company, budget)
    rehearsal_foreign.commit_abroad(company, budget.goods)
    rehearsal_calendar.keep_the_calendar(company)
    rehearsal_classification.classify(company)
    rehearsal_documents.keep_the_papers(company)
    rehearsal_identity.read(company)
    return company
