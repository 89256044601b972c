"""A unit that asks for its budget, the team that sets ceilings and reviews, and who approves: by the public API."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from chassis.migrate import sqlalchemy_url
from chassis.testing import Refusal, call_as, refused
from chassis.wire import to_date
from kelola.finance.v1 import budget_preparation_pb2 as pb
from kelola.finance.v1 import budget_preparation_pb2_grpc
from services.finance.budget.preparation import verify as preparation_verify
from tests.integration.finance.books import FUND, minor, rid, rupiah
from tests.integration.finance.funds import GOODS, UNIT, Unit

# A budget is prepared before its year begins.
NEXT_YEAR = 2026
TRAVEL = "5.1.02.04.01"
FINAL = pb.BUDGET_REQUEST_STAGE_FINAL
AFTER_REVIEW = pb.BUDGET_REQUEST_STAGE_AFTER_REVIEW
SINCE = date(2025, 7, 1)


def asked(amount: int, later: int = 0, *, account: str = GOODS, line_no: int = 1, **values: Any) -> Any:
    """One line in whole rupiah: for the budget year, and for the one medium-term year of the pack."""
    return pb.BudgetRequestLine(
        **{
            "fund_code": FUND,
            "organisation_code": UNIT,
            "account_code": account,
            "line_no": line_no,
            "amount": rupiah(amount),
            "medium_term_amounts": [rupiah(later)],
            **values,
        }
    )


def head(amount: int, later: int | None = None, **values: Any) -> pb.BudgetCeilingHead:
    """A ceiling in whole rupiah, on everything of the agency unless a place is named."""
    medium_term = [] if later is None else [rupiah(later)]
    return pb.BudgetCeilingHead(amount=rupiah(amount), medium_term_amounts=medium_term, **values)


@dataclass
class Preparing(Unit):
    """An agency that prepares the budget of next year."""

    preparation: Any = field(init=False)
    approver_id: UUID = field(default_factory=uuid4)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.preparation = budget_preparation_pb2_grpc.BudgetPreparationServiceStub(self.books.service.channel)

    # --- ceilings ------------------------------------------------------------------------------------------------

    def ceiling_request(self, *heads: pb.BudgetCeilingHead, **values: Any) -> pb.CreateBudgetCeilingRequest:
        """The request to propose a ceiling document."""
        document = pb.BudgetCeiling(
            **{
                "agency_id": str(self.agency_id),
                "fiscal_year": NEXT_YEAR,
                "document_number": f"PPAS/{uuid4().hex[:8]}",
                "legal_reference": "Nota Kesepakatan KUA-PPAS 2026",
                "effective_on": to_date(SINCE),
                "heads": heads,
                **values,
            }
        )
        return pb.CreateBudgetCeilingRequest(budget_ceiling=document, request_id=rid())

    def proposed_ceiling(self, *heads: pb.BudgetCeilingHead, **values: Any) -> pb.BudgetCeiling:
        """A ceiling document that waits."""
        request = self.ceiling_request(*heads, **values)
        return call_as(self.preparation.CreateBudgetCeiling, request, self.token("budget_officer"))

    def ceiling(self, *heads: pb.BudgetCeilingHead, **values: Any) -> pb.BudgetCeiling:
        """A ceiling document in force."""
        proposed = self.proposed_ceiling(*heads, **values)
        request = pb.ApproveBudgetCeilingRequest(name=proposed.name, request_id=rid())
        return call_as(self.preparation.ApproveBudgetCeiling, request, self.token("budget_authority")).budget_ceiling

    def figures(self, **values: Any) -> list[pb.BudgetCeilingFigures]:  # type: ignore[override]  # of ceilings here
        """What binds."""
        request = pb.ListBudgetCeilingFiguresRequest(
            agency_id=str(self.agency_id), fiscal_year=NEXT_YEAR, currency_code="IDR", **values
        )
        reply = call_as(self.preparation.ListBudgetCeilingFigures, request, self.token("budget_officer"))
        return list(reply.budget_ceiling_figures)

    def left(self) -> list[int]:
        """What is left for the budget year under each head, in whole rupiah."""
        return [minor(one.years[0].left) // 100 for one in self.figures()]

    # --- requests ------------------------------------------------------------------------------------------------

    def opening(self, **values: Any) -> pb.CreateBudgetRequestRequest:
        """The request to open a unit's request."""
        document = pb.BudgetRequest(
            **{
                "agency_id": str(self.agency_id),
                "fiscal_year": NEXT_YEAR,
                "organisation_code": UNIT,
                "document_number": f"RKA/{uuid4().hex[:8]}",
                "currency_code": "IDR",
                **values,
            }
        )
        return pb.CreateBudgetRequestRequest(budget_request=document, request_id=rid())

    def opened(self, *lines: pb.BudgetRequestLine, **values: Any) -> pb.BudgetRequest:
        """A draft with these lines."""
        made = call_as(self.preparation.CreateBudgetRequest, self.opening(**values), self.token("budget_user"))
        return self.written(made, *lines) if lines else made

    def writing(
        self, request: pb.BudgetRequest, lines: Sequence[pb.BudgetRequestLine], removed: Sequence[str] = ()
    ) -> pb.SetBudgetRequestLinesRequest:
        """The request to write lines."""
        return pb.SetBudgetRequestLinesRequest(
            name=request.name, lines=lines, removed_budget_request_line_ids=removed, request_id=rid()
        )

    def written(
        self, request: pb.BudgetRequest, *lines: pb.BudgetRequestLine, removed: Sequence[str] = ()
    ) -> pb.BudgetRequest:
        """The draft with lines written."""
        return call_as(
            self.preparation.SetBudgetRequestLines,
            self.writing(request, lines, removed),
            self.token("budget_user"),
        ).budget_request

    def not_written(self, request: pb.BudgetRequest, *lines: pb.BudgetRequestLine) -> Refusal:
        """The refusal of lines."""
        return refused(self.preparation.SetBudgetRequestLines, self.writing(request, lines), self.token("budget_user"))

    def submission(self, request: pb.BudgetRequest, **values: Any) -> pb.SubmitBudgetRequestRequest:
        """The request to hand in."""
        return pb.SubmitBudgetRequestRequest(
            **{
                "name": request.name,
                "control_line_count": request.latest_version.line_count,
                "control_total": request.latest_version.total,
                "request_id": rid(),
                **values,
            }
        )

    def submitted(self, request: pb.BudgetRequest) -> pb.BudgetRequest:
        """The draft handed in."""
        return call_as(
            self.preparation.SubmitBudgetRequest, self.submission(request), self.token("budget_user")
        ).budget_request

    def reviewed(self, request: pb.BudgetRequest) -> pb.BudgetRequest:
        """The version found good."""
        act = pb.ReviewBudgetRequestRequest(name=request.name, remark="sesuai PPAS", request_id=rid())
        return call_as(self.preparation.ReviewBudgetRequest, act, self.token("budget_officer")).budget_request

    def returned(self, request: pb.BudgetRequest, reason: str = "terlalu besar") -> pb.BudgetRequest:
        """The version given back."""
        act = pb.ReturnBudgetRequestRequest(name=request.name, reason=reason, request_id=rid())
        return call_as(self.preparation.ReturnBudgetRequest, act, self.token("budget_officer")).budget_request

    def approving(self, request: pb.BudgetRequest) -> pb.ApproveBudgetRequestRequest:
        """The request to approve."""
        return pb.ApproveBudgetRequestRequest(name=request.name, request_id=rid())

    def approved(self, request: pb.BudgetRequest) -> pb.BudgetRequest:
        """The version approved."""
        return call_as(
            self.preparation.ApproveBudgetRequest,
            self.approving(request),
            self.token("budget_authority", person_id=self.approver_id),
        ).budget_request

    def through(self, request: pb.BudgetRequest) -> pb.BudgetRequest:
        """The draft handed in, reviewed and approved."""
        return self.approved(self.reviewed(self.submitted(request)))

    def next_version(self, request: pb.BudgetRequest, stage: int = FINAL) -> pb.BudgetRequest:
        """The next draft."""
        act = pb.OpenBudgetRequestVersionRequest(name=request.name, stage=stage, request_id=rid())
        return call_as(self.preparation.OpenBudgetRequestVersion, act, self.token("budget_user")).budget_request

    def final(self, *lines: pb.BudgetRequestLine) -> pb.BudgetRequest:
        """A request whose final version is approved."""
        first = self.through(self.opened(*lines))
        return self.through(self.next_version(first))

    def appropriating(self, request: pb.BudgetRequest, **values: Any) -> pb.AppropriateBudgetRequestRequest:
        """The request to turn the final version into an appropriation."""
        return pb.AppropriateBudgetRequestRequest(
            **{
                "name": request.name,
                "document_number": f"DPA/{uuid4().hex[:8]}",
                "control_line_count": request.latest_version.line_count,
                "control_total": request.latest_version.total,
                "request_id": rid(),
                **values,
            }
        )

    def appropriated(self, request: pb.BudgetRequest) -> pb.AppropriateBudgetRequestResponse:
        """The final version turned into a draft appropriation."""
        return call_as(
            self.preparation.AppropriateBudgetRequest, self.appropriating(request), self.token("budget_officer")
        )

    def lines_of(self, request: pb.BudgetRequest, version: int = 0) -> list[pb.BudgetRequestLine]:
        """The lines of a version."""
        wanted = pb.ListBudgetRequestLinesRequest(budget_request=request.name, version_number=version, page_size=500)
        reply = call_as(self.preparation.ListBudgetRequestLines, wanted, self.token("budget_officer"))
        return list(reply.budget_request_lines)

    def preparation_problems(self) -> list[str]:
        """What verify finds wrong with the preparation."""
        engine = create_engine(sqlalchemy_url(self.books.database.reader_url), poolclass=NullPool)
        with engine.connect() as connection:
            return [f"{problem.invariant} {problem.what}" for problem in preparation_verify.problems(connection)]

    def now(self, request: pb.BudgetRequest) -> pb.BudgetRequest:
        """The request as it stands."""
        return call_as(
            self.preparation.GetBudgetRequest,
            pb.GetBudgetRequestRequest(name=request.name),
            self.token("budget_officer"),
        )
