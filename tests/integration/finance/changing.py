"""Budget changes and overrides of a unit, through the public API, under the pack's rules of virement."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID, uuid4

from chassis.testing import Refusal, call_as, refused
from chassis.wire import to_date
from cli.load.virement import virement_rules
from kelola.finance.v1 import (
    budget_change_pb2,
    budget_change_pb2_grpc,
    budget_override_pb2,
    budget_override_pb2_grpc,
    budget_pb2,
)
from tests.integration.finance.books import YEAR, Books, minor, rid, rupiah
from tests.integration.finance.funds import Unit, new_line

# Details of one object (goods), and a detail of another object of the same type (travel).
SUPPLIES, MATERIALS, PRINTING, CLOTHING, WORKWEAR = (f"5.1.02.01.{n}" for n in ("01", "02", "03", "05", "06"))
TRAVEL = "5.1.02.04.01"
CONTINGENCY = "5.3.01.01"
SECRETARY = "finance.regional_secretary"

SUPPLEMENTARY = budget_change_pb2.BUDGET_CHANGE_KIND_SUPPLEMENTARY
VIREMENT = budget_change_pb2.BUDGET_CHANGE_KIND_VIREMENT
FREEZE = budget_change_pb2.BUDGET_CHANGE_KIND_FREEZE
UNFREEZE = budget_change_pb2.BUDGET_CHANGE_KIND_UNFREEZE


def load_rules(books: Books) -> None:
    """The pack's rules; what is there already is taken as it is."""
    stub = budget_change_pb2_grpc.BudgetChangeServiceStub(books.service.channel)
    request = budget_change_pb2.BatchCreateVirementRulesRequest(virement_rules=virement_rules(), request_id=rid())
    call_as(stub.BatchCreateVirementRules, request, books.token([uuid4()]))


@dataclass
class Changing(Unit):
    """A unit whose budget changes."""

    changes: Any = field(init=False)
    overrides: Any = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.changes = budget_change_pb2_grpc.BudgetChangeServiceStub(self.books.service.channel)
        self.overrides = budget_override_pb2_grpc.BudgetOverrideServiceStub(self.books.service.channel)
        load_rules(self.books)

    def as_role(self, role: str, person_id: UUID | None = None) -> str:
        """A token of somebody, or of a named person, with this one role."""
        return self.books.token([self.agency_id], role, person_id=person_id)

    def lines_of(self, *accounts: tuple[str, int], **values: Any) -> list[str]:
        """Ids of active lines by account and whole rupiah."""
        lines = [
            new_line(amount, account=account, line_no=number, **values)
            for number, (account, amount) in enumerate(accounts, start=1)
        ]
        draft = call_as(self.budget.ImportAppropriation, self.import_request(lines), self.token("budget_officer"))
        self.activated(draft.appropriation)
        return list(draft.budget_line_ids)

    def change(self, kind: int, **values: Any) -> budget_change_pb2.CreateBudgetChangeRequest:
        """The request to propose a change."""
        return budget_change_pb2.CreateBudgetChangeRequest(
            budget_change=budget_change_pb2.BudgetChange(
                **{
                    "agency_id": str(self.agency_id),
                    "fiscal_year": YEAR,
                    "kind": kind,
                    "document_number": f"CHG/{uuid4().hex[:8]}",
                    "legal_reference": "Perda 9/2025",
                    "explanation": "a test's change",
                    "effective_on": to_date(date(YEAR, 4, 1)),
                    **values,
                }
            ),
            request_id=rid(),
        )

    def transfer(self, from_id: str, to_id: str, amount: int, **values: Any) -> Any:
        """The request to move whole rupiah from a line to a line."""
        return self.change(VIREMENT, transfers=[moved(from_id, to_id, amount)], **values)

    def proposed(self, request: Any) -> budget_change_pb2.BudgetChange:
        """The proposal; it must pass."""
        return call_as(self.changes.CreateBudgetChange, request, self.token("budget_officer"))

    def not_proposed(self, request: Any) -> Refusal:
        """The refusal of a proposal."""
        return refused(self.changes.CreateBudgetChange, request, self.token("budget_officer"))

    def approval(self, change: budget_change_pb2.BudgetChange) -> budget_change_pb2.ApproveBudgetChangeRequest:
        """The request to approve."""
        return budget_change_pb2.ApproveBudgetChangeRequest(name=change.name, request_id=rid())

    def approved(
        self, change: budget_change_pb2.BudgetChange, token: str | None = None
    ) -> budget_change_pb2.BudgetChange:
        """The change in force."""
        return call_as(
            self.changes.ApproveBudgetChange, self.approval(change), token or self.token("budget_authority")
        ).budget_change

    def not_approved(self, change: budget_change_pb2.BudgetChange, token: str | None = None) -> Refusal:
        """The refusal of an approval."""
        return refused(self.changes.ApproveBudgetChange, self.approval(change), token or self.token("budget_authority"))

    def done(self, request: Any, token: str | None = None) -> budget_change_pb2.BudgetChange:
        """Proposed and approved."""
        return self.approved(self.proposed(request), token)

    # --- overrides -----------------------------------------------------------------------------------------------

    def override(self, *items: tuple[str, int], **values: Any) -> budget_override_pb2.CreateBudgetOverrideRequest:
        """The request to propose an override of whole rupiah at nodes."""
        return budget_override_pb2.CreateBudgetOverrideRequest(
            budget_override=budget_override_pb2.BudgetOverride(
                **{
                    "agency_id": str(self.agency_id),
                    "fiscal_year": YEAR,
                    "document_number": f"OVR/{uuid4().hex[:8]}",
                    "authority_document": "SK Bupati 12/2025",
                    "reason": "a flood",
                    "coverage": "the supplementary budget of October",
                    "effective_on": to_date(date(YEAR, 3, 1)),
                    "expires_on": to_date(date(YEAR, 6, 30)),
                    "items": [
                        budget_override_pb2.BudgetOverrideItem(budget_line_id=line_id, amount=rupiah(amount))
                        for line_id, amount in items
                    ],
                    **values,
                }
            ),
            request_id=rid(),
        )

    def opened(self, request: Any) -> budget_override_pb2.BudgetOverride:
        """The override proposed and opened."""
        proposed = call_as(self.overrides.CreateBudgetOverride, request, self.token("budget_officer"))
        approval = budget_override_pb2.ApproveBudgetOverrideRequest(name=proposed.name, request_id=rid())
        return call_as(self.overrides.ApproveBudgetOverride, approval, self.token("budget_authority")).budget_override

    def override_now(self, override: budget_override_pb2.BudgetOverride) -> budget_override_pb2.BudgetOverride:
        """The override as it stands."""
        return call_as(
            self.overrides.GetBudgetOverride,
            budget_override_pb2.GetBudgetOverrideRequest(name=override.name),
            self.token("budget_officer"),
        )

    def given(self, override: budget_override_pb2.BudgetOverride) -> list[tuple[int, int]]:
        """What is open and what is consumed of each item, in whole rupiah."""
        return [
            (minor(item.open_amount) // 100, minor(item.consumed_amount) // 100)
            for item in self.override_now(override).items
        ]

    def authority(self, budget_line_id: str) -> tuple[int, int, int, int]:
        """Original, revised, frozen, available in whole rupiah."""
        shown = self.line(budget_line_id).figures
        return tuple(minor(getattr(shown, name)) // 100 for name in "original revised frozen available".split())  # type: ignore[return-value]  # four names

    def released(self, budget_line_id: str) -> int:
        """What was released of the line, in whole rupiah."""
        return minor(self.line(budget_line_id).figures.released) // 100

    def movements(self, budget_line_id: str) -> list[budget_pb2.FundsMovement]:
        """The line's movements, the newest first."""
        request = budget_pb2.ListFundsMovementsRequest(budget_line_id=budget_line_id)
        return list(call_as(self.budget.ListFundsMovements, request, self.token("budget_officer")).funds_movements)


def moved(from_id: str, to_id: str, amount: int) -> budget_change_pb2.VirementTransfer:
    """One transfer in whole rupiah."""
    return budget_change_pb2.VirementTransfer(
        from_budget_line_id=from_id, to_budget_line_id=to_id, amount=rupiah(amount)
    )


def changed(budget_line_id: str, amount: int) -> budget_change_pb2.BudgetChangeLine:
    """What a change does to a line, in whole rupiah."""
    return budget_change_pb2.BudgetChangeLine(budget_line_id=budget_line_id, amount=rupiah(amount))
