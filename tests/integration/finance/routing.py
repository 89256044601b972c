"""The approval matrix and the status of documents, through the public API."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID, uuid4

from chassis.testing import Refusal, call_as, refused
from chassis.wire import to_date
from kelola.finance.v1 import (
    approval_pb2,
    approval_pb2_grpc,
    approval_rule_change_pb2,
    approval_rule_change_pb2_grpc,
    combination_rule_pb2,
    document_status_pb2,
    document_status_pb2_grpc,
)
from tests.integration.finance.books import YEAR, Books, rid, rupiah
from tests.integration.finance.funds import Unit

# There is one rule of each content, ended or not: each has a first day of its own.
_days = count()
CHIEF, HEAD, OFFICER = "finance.budget_authority", "finance.accountant", "finance.budget_officer"


def kind(name: str) -> int:
    """A kind of document that takes routes, by its name."""
    return approval_pb2.ApprovalDocumentKind.Value(f"APPROVAL_DOCUMENT_KIND_{name}")


def under(**codes: str) -> list[approval_pb2.ApprovalRuleNode]:
    """The nodes of a rule by the names of their segments; an empty code is none."""
    return [
        approval_pb2.ApprovalRuleNode(
            segment=combination_rule_pb2.ClassificationSegment.Value(f"CLASSIFICATION_SEGMENT_{name.upper()}"),
            code=code,
        )
        for name, code in codes.items()
        if code
    ]


class Routes:
    """What approvers do with the documents of an agency, the first of `agencies`, and what anybody asks about them."""

    def __init__(self, books: Books, agencies: list[UUID]) -> None:
        self.books, self.agencies = books, agencies
        self.approvals = approval_pb2_grpc.ApprovalServiceStub(books.service.channel)
        self.rules = approval_rule_change_pb2_grpc.ApprovalRuleServiceStub(books.service.channel)
        self.statuses = document_status_pb2_grpc.DocumentStatusServiceStub(books.service.channel)

    @classmethod
    def of(cls, unit: Unit) -> Routes:
        """Those of a unit and its treasury."""
        return cls(unit.books, [unit.agency_id, unit.treasury.agency_id])

    def token(self, *roles: str, person_id: UUID | None = None) -> str:
        """A token of somebody with these roles in the agencies."""
        return self.books.token(self.agencies, *roles, person_id=person_id or uuid4())

    def rule(self, document_kind: str, role: str = CHIEF, **values: Any) -> approval_pb2.ApprovalRule:
        """Add a rule to the matrix; without `nodes` it holds for every test's documents."""
        return self.changed(additions=[self.a_rule(document_kind, role, **values)]).additions[0]

    def a_rule(self, document_kind: str, role: str = CHIEF, **values: Any) -> approval_pb2.ApprovalRule:
        """A rule that is not in the matrix yet."""
        return approval_pb2.ApprovalRule(
            **{
                "document_kind": kind(document_kind),
                "step_number": 1,
                "display_name": "Step",
                "role": role,
                "amount_from": rupiah(0),
                "legal_source": "a made-up regulation of these tests",
                "valid_from": to_date(date(YEAR, 1, 1) - timedelta(days=next(_days))),
                **values,
            }
        )

    def changing(self, **values: Any) -> approval_rule_change_pb2.CreateApprovalRuleChangeRequest:
        """The request to change the matrix: `additions` and `endings`."""
        change = approval_rule_change_pb2.ApprovalRuleChange(
            **{
                "agency_id": str(self.agencies[0]),
                "document_number": f"matrix {rid()}",
                "explanation": "a test's own rules",
                **values,
            }
        )
        return approval_rule_change_pb2.CreateApprovalRuleChangeRequest(approval_rule_change=change, request_id=rid())

    def proposed(self, token: str | None = None, **values: Any) -> approval_rule_change_pb2.ApprovalRuleChange:
        """A change of the matrix that waits for another person."""
        return call_as(self.rules.CreateApprovalRuleChange, self.changing(**values), token or self.token(OFFICER))

    def approval_of(
        self, change: approval_rule_change_pb2.ApprovalRuleChange
    ) -> approval_rule_change_pb2.ApproveApprovalRuleChangeRequest:
        """The request to put a change in force."""
        return approval_rule_change_pb2.ApproveApprovalRuleChangeRequest(name=change.name, request_id=rid())

    def changed(self, **values: Any) -> approval_rule_change_pb2.ApprovalRuleChange:
        """A change of the matrix, in force."""
        request = self.approval_of(self.proposed(**values))
        return call_as(self.rules.ApproveApprovalRuleChange, request, self.token(CHIEF)).approval_rule_change

    def ending(self, rule: approval_pb2.ApprovalRule, on: date | None = None) -> dict[str, Any]:
        """What ends a rule, today or on a day."""
        one = approval_rule_change_pb2.ApprovalRuleEnding(
            approval_rule_id=rule.approval_rule_id, valid_to=to_date(on or datetime.now(UTC).date())
        )
        return {"endings": [one]}

    def ended(self, *rules: approval_pb2.ApprovalRule) -> None:
        """End rules today, so that the documents of other tests do not take them."""
        self.changed(endings=[one for rule in rules for one in self.ending(rule)["endings"]])

    def step(self, document_id: str, **values: Any) -> approval_pb2.ApproveStepRequest:
        """The request to approve the open step."""
        return approval_pb2.ApproveStepRequest(name=f"approvals/{document_id}", request_id=rid(), **values)

    def approved(self, document_id: str, token: str | None = None, **values: Any) -> approval_pb2.Approval:
        """The route after its open step was approved."""
        return call_as(
            self.approvals.ApproveStep, self.step(document_id, **values), token or self.token(CHIEF)
        ).approval

    def not_approved(self, document_id: str, token: str, **values: Any) -> Refusal:
        """The refusal of an approval."""
        return refused(self.approvals.ApproveStep, self.step(document_id, **values), token)

    def rejected(self, document_id: str, token: str | None = None) -> approval_pb2.Approval:
        """The route after its open step was rejected."""
        request = approval_pb2.RejectStepRequest(
            name=f"approvals/{document_id}", explanation="not this year", request_id=rid()
        )
        return call_as(self.approvals.RejectStep, request, token or self.token(CHIEF)).approval

    def route(self, document_id: str) -> approval_pb2.Approval:
        """The route as it stands."""
        request = approval_pb2.GetApprovalRequest(name=f"approvals/{document_id}")
        return call_as(self.approvals.GetApproval, request, self.token(HEAD))

    def delegated(self, role: str, from_person_id: UUID, to_person_id: UUID) -> approval_pb2.ApprovalDelegation:
        """A role that one person lets another use for a week."""
        today = datetime.now(UTC).date()
        request = approval_pb2.CreateApprovalDelegationRequest(
            approval_delegation=approval_pb2.ApprovalDelegation(
                agency_id=str(self.agencies[0]),
                role=role,
                to_person_id=str(to_person_id),
                valid_from=to_date(today - timedelta(days=1)),
                valid_until=to_date(today + timedelta(days=7)),
                explanation="leave",
            ),
            request_id=rid(),
        )
        token = self.token(role, person_id=from_person_id)
        return call_as(self.approvals.CreateApprovalDelegation, request, token)

    def status(self, document_id: str, token: str | None = None) -> document_status_pb2.DocumentStatus:
        """Where a document is."""
        request = document_status_pb2.GetDocumentStatusRequest(name=f"documentStatuses/{document_id}")
        return call_as(self.statuses.GetDocumentStatus, request, token or self.token(HEAD))

    def history(self, document_id: str, **values: Any) -> document_status_pb2.ListDocumentActsResponse:
        """What was done with a document."""
        request = document_status_pb2.ListDocumentActsRequest(
            document_status=f"documentStatuses/{document_id}", **values
        )
        return call_as(self.statuses.ListDocumentActs, request, self.token(HEAD))

    def desk(self, token: str, **values: Any) -> list[str]:
        """The documents of the agency that wait for a caller, all pages."""
        found: list[str] = []
        page_token = ""
        while True:
            request = document_status_pb2.ListWaitingDocumentsRequest(
                agency_id=str(self.agencies[0]), page_token=page_token, **values
            )
            page = call_as(self.statuses.ListWaitingDocuments, request, token)
            found += [one.document_status_id for one in page.document_statuses]
            page_token = page.next_page_token
            if not page_token:
                return found
