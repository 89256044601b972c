"""A peer that speaks finance's BudgetService: it notes what logistics asks and answers as a test says.

The real finance stands in the system tests; here it is logistics' side of the conversation that is tested.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from kelola.finance.v1 import budget_pb2, budget_pb2_grpc


class FinanceDesk(budget_pb2_grpc.BudgetServiceServicer):
    """Answers yes, until `refuse_next` or `away_next` says otherwise."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.tokens: list[str] = []
        self._refusals: list[dict[str, str]] = []
        self._away = 0

    def refuse_next(self, **figures: str) -> None:
        """The next request meets BUDGET_EXCEEDED with these figures."""
        self._refusals.append(figures)

    def away_next(self, times: int) -> None:
        """The next `times` requests meet UNAVAILABLE (beyond what gRPC retries by itself)."""
        self._away = times

    def _answer(self, request: Any, context: grpc.ServicerContext, reply: Any) -> Any:
        self.asked.append(request)
        self.tokens += [value for key, value in context.invocation_metadata() if key == "authorization"]
        if self._away:
            self._away -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        if self._refusals:
            info = error_details_pb2.ErrorInfo(reason="BUDGET_EXCEEDED", metadata=self._refusals.pop(0))
            detail = any_pb2.Any()
            detail.Pack(info)
            status = status_pb2.Status(code=code_pb2.FAILED_PRECONDITION, message="short of funds", details=[detail])
            context.abort_with_status(rpc_status.to_status(status))
        return reply

    def ReserveFunds(self, request: Any, context: Any) -> Any:
        return self._answer(request, context, budget_pb2.ReserveFundsResponse())

    def ObligateFunds(self, request: Any, context: Any) -> Any:
        return self._answer(request, context, budget_pb2.ObligateFundsResponse())

    def ReleaseFunds(self, request: Any, context: Any) -> Any:
        return self._answer(request, context, budget_pb2.ReleaseFundsResponse())


@contextmanager
def finance_desk() -> Iterator[tuple[FinanceDesk, str]]:
    """The desk and its address, on a free port of the loopback."""
    desk = FinanceDesk()
    server = grpc.server(futures.ThreadPoolExecutor(4))
    budget_pb2_grpc.add_BudgetServiceServicer_to_server(desk, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield desk, f"127.0.0.1:{port}"
    finally:
        server.stop(grace=1).wait()
