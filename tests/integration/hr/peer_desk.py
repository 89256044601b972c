"""Peers that speak identity's and finance's contracts: they note what HR asks and answer as a test says.

The real ones stand in the system tests; here it is HR's side of the conversation that is tested.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import grpc
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from kelola.finance.v1 import budget_pb2, budget_pb2_grpc, payables_pb2, payables_pb2_grpc
from kelola.identity.v1 import person_pb2, person_pb2_grpc


class PeerDesk(
    budget_pb2_grpc.BudgetServiceServicer,
    payables_pb2_grpc.PayablesServiceServicer,
    person_pb2_grpc.PersonServiceServicer,
):
    """Answers yes, until `refuse_next` or `away_next` says otherwise."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self._refusals: dict[str, list[tuple[str, dict[str, str]]]] = {}
        self._away = 0

    def refuse_next(self, request_name: str, reason: str = "BUDGET_EXCEEDED", **figures: str) -> None:
        """The next request of this name meets a refusal with these figures."""
        self._refusals.setdefault(request_name, []).append((reason, figures))

    def away_next(self, times: int) -> None:
        """The next `times` requests meet ABORTED: no outcome, to be asked again."""
        self._away = times

    def of(self, request_name: str) -> list[Any]:
        """What was asked by this name, in order."""
        return [request for request in self.asked if type(request).__name__ == request_name]

    def _answer(self, request: Any, context: grpc.ServicerContext, reply: Any) -> Any:
        self.asked.append(request)
        if self._away:
            self._away -= 1
            context.abort(grpc.StatusCode.ABORTED, "somebody else was first")
        if waiting := self._refusals.get(type(request).__name__):
            reason, figures = waiting.pop(0)
            detail = any_pb2.Any()
            detail.Pack(error_details_pb2.ErrorInfo(reason=reason, metadata=figures))
            status = status_pb2.Status(code=code_pb2.FAILED_PRECONDITION, message="refused", details=[detail])
            context.abort_with_status(rpc_status.to_status(status))
        return reply

    def GetPerson(self, request: Any, context: Any) -> Any:
        return self._answer(request, context, person_pb2.Person(name=request.name))

    def ObligateFunds(self, request: Any, context: Any) -> Any:
        return self._answer(request, context, budget_pb2.ObligateFundsResponse())

    def ReleaseFunds(self, request: Any, context: Any) -> Any:
        return self._answer(request, context, budget_pb2.ReleaseFundsResponse())

    def AdjustObligation(self, request: Any, context: Any) -> Any:
        return self._answer(request, context, budget_pb2.AdjustObligationResponse())

    def AcceptPayroll(self, request: Any, context: Any) -> Any:
        return self._answer(request, context, payables_pb2.AcceptPayrollResponse(journal_entry_id=str(uuid4())))


@contextmanager
def peer_desk() -> Iterator[tuple[PeerDesk, str]]:
    """The desk on a free port, with its address."""
    desk = PeerDesk()
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
    budget_pb2_grpc.add_BudgetServiceServicer_to_server(desk, server)
    payables_pb2_grpc.add_PayablesServiceServicer_to_server(desk, server)
    person_pb2_grpc.add_PersonServiceServicer_to_server(desk, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield desk, f"127.0.0.1:{port}"
    finally:
        server.stop(grace=None).wait()
