"""A unit whose budget year ends, and the next one's lines, all through the public API."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import uuid4

from chassis.testing import Refusal, call_as, refused
from chassis.wire import to_date
from kelola.finance.v1 import budget_pb2, budget_year_end_pb2, budget_year_end_pb2_grpc
from tests.integration.finance.books import YEAR, rid, rupiah
from tests.integration.finance.changing import Changing
from tests.integration.finance.funds import GOODS, activation, new_line

NEXT = YEAR + 1
CARRY, CANCEL = budget_year_end_pb2.YEAR_END_DECISION_CARRY, budget_year_end_pb2.YEAR_END_DECISION_CANCEL
POSITION = budget_pb2.FUNDS_DOCUMENT_KIND_POSITION


@dataclass
class Ending(Changing):
    """A unit whose year ends."""

    ends: Any = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.ends = budget_year_end_pb2_grpc.BudgetYearEndServiceStub(self.books.service.channel)
        self.agency.open_year(NEXT)
        self.treasury.open_year(NEXT)

    def next_year(self, *amounts: int, account: str = GOODS) -> list[str]:
        """Active lines of next year with the segments of this year's, in the order of line numbers."""
        lines = [new_line(amount, account=account, line_no=number) for number, amount in enumerate(amounts, start=1)]
        request = self.import_request(lines, fiscal_year=NEXT)
        draft = call_as(self.budget.ImportAppropriation, request, self.token("budget_officer"))
        call_as(
            self.budget.ActivateAppropriation,
            activation(draft.appropriation, effective_on=to_date(date(NEXT, 1, 2))),
            self.token("budget_authority"),
        )
        return list(draft.budget_line_ids)

    def allotted_next(self, line: str, amount: int) -> None:
        """A release of next year's line for the whole year."""
        call_as(
            self.budget.AllotFunds,
            budget_pb2.AllotFundsRequest(
                agency_id=str(self.agency_id),
                fiscal_year=NEXT,
                document_number=f"SPD/{uuid4().hex[:8]}",
                month_from=1,
                month_to=12,
                lines=[budget_pb2.AllotmentLine(budget_line_id=line, amount=rupiah(amount))],
                effective_on=to_date(date(NEXT, 1, 2)),
                request_id=rid(),
            ),
            self.token("budget_authority"),
        )

    def end(self, **values: Any) -> budget_year_end_pb2.CreateBudgetYearEndRequest:
        """The request to end this year, carrying obligations."""
        return budget_year_end_pb2.CreateBudgetYearEndRequest(
            budget_year_end=budget_year_end_pb2.BudgetYearEnd(
                **{
                    "agency_id": str(self.agency_id),
                    "fiscal_year": YEAR,
                    "document_number": f"END/{uuid4().hex[:8]}",
                    "explanation": "the year is over",
                    "default_decision": CARRY,
                    "opened_on": to_date(date(NEXT, 1, 2)),
                    **values,
                }
            ),
            request_id=rid(),
        )

    def proposed_end(self, **values: Any) -> budget_year_end_pb2.BudgetYearEnd:
        """The proposal; it must pass."""
        return call_as(self.ends.CreateBudgetYearEnd, self.end(**values), self.token("budget_officer"))

    def ended(self, **values: Any) -> budget_year_end_pb2.BudgetYearEnd:
        """Proposed and approved."""
        request = budget_year_end_pb2.ApproveBudgetYearEndRequest(
            name=self.proposed_end(**values).name, request_id=rid()
        )
        return call_as(self.ends.ApproveBudgetYearEnd, request, self.token("budget_authority")).budget_year_end

    def not_ended(self, **values: Any) -> Refusal:
        """The refusal of a proposal."""
        return refused(self.ends.CreateBudgetYearEnd, self.end(**values), self.token("budget_officer"))
