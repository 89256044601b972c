"""The second government's approval matrix: a payment request that is rejected, another that is approved."""

from __future__ import annotations

from datetime import date
from typing import Any

from chassis.wire import to_date
from kelola.finance.v1 import approval_pb2, approval_rule_change_pb2, combination_rule_pb2, payables_pb2
from tests.system.rehearsal import YEAR, Company, rupiah
from tests.system.rehearsal_finance import UNIT

OFFICER, AUTHORITY = "budget_officer", "budget_authority"
# A day of its own, so that the other payments of the rehearsal need no approval.
_DAY, _NEXT = to_date(date(YEAR, 1, 7)), to_date(date(YEAR, 1, 8))


def take_the_route(company: Company, payable_id: str) -> None:
    """Call every RPC of ApprovalService and ApprovalRuleService; the payable stays requested."""
    agency_id, chief = company.agencies["unit"], "accountant"
    rule = _changed_matrix(
        company,
        additions=[
            approval_pb2.ApprovalRule(
                document_kind=approval_pb2.APPROVAL_DOCUMENT_KIND_PAYMENT_REQUEST,
                step_number=1,
                display_name="Persetujuan uji",
                role="finance.accountant",
                amount_from=rupiah(0),
                nodes=[
                    approval_pb2.ApprovalRuleNode(
                        segment=combination_rule_pb2.CLASSIFICATION_SEGMENT_ORGANISATION, code=UNIT
                    )
                ],
                deadline_days=3,
                legal_source="none: a test's own rule",
                valid_from=_DAY,
            )
        ],
    ).additions[0]
    rejected = _requested(company, payable_id)
    company.act(approval_pb2.RejectStepRequest(name=rejected, explanation="Belum lengkap"), by=chief)
    company.act(
        payables_pb2.WithdrawPaymentRequestRequest(
            name=rejected.replace("approvals", "paymentRequests"), explanation="Dilengkapi"
        ),
        by="expenditure_treasurer",
    )
    name = _requested(company, payable_id)
    delegation = company.act(
        approval_pb2.CreateApprovalDelegationRequest(
            approval_delegation=approval_pb2.ApprovalDelegation(
                agency_id=agency_id,
                role="finance.accountant",
                to_person_id=company.persons["budget_user"],
                valid_from=_DAY,
                valid_until=to_date(date(YEAR + 5, 1, 1)),
                explanation="Cuti",
            )
        ),
        by=chief,
    )
    company.act(approval_pb2.EndApprovalDelegationRequest(name=delegation.name), by=chief)
    company.read(approval_pb2.ListApprovalDelegationsRequest(agency_id=agency_id), by=chief)
    approve = approval_pb2.ApproveStepRequest(name=name)
    company.refused_to_its_maker(approve, maker="expenditure_treasurer", checker=chief)
    company.act(approve, by=chief)
    company.read(approval_pb2.GetApprovalRequest(name=name), by=chief)
    company.read(approval_pb2.ListApprovalsRequest(agency_id=agency_id, page_size=3), by=chief)
    ending = approval_rule_change_pb2.ApprovalRuleEnding(approval_rule_id=rule.approval_rule_id, valid_to=_NEXT)
    _changed_matrix(company, endings=[ending])
    company.read(approval_pb2.ListApprovalRulesRequest(page_size=3), by=chief)


def _changed_matrix(company: Company, **values: Any) -> approval_rule_change_pb2.ApprovalRuleChange:
    """A change of the matrix in force, after another that was rejected and one that was taken back."""
    agency_id = company.agencies["unit"]

    def proposed(number: str) -> approval_rule_change_pb2.ApprovalRuleChange:
        change = approval_rule_change_pb2.ApprovalRuleChange(
            agency_id=agency_id,
            document_number=f"SK/{number}/{'-'.join(values)}",
            explanation="Matriks persetujuan uji",
            **values,
        )
        return company.act(
            approval_rule_change_pb2.CreateApprovalRuleChangeRequest(approval_rule_change=change), by=OFFICER
        )

    recalled, rejected, change = proposed("1"), proposed("2"), proposed("3")
    company.act(approval_rule_change_pb2.RecallApprovalRuleChangeRequest(name=recalled.name), by=OFFICER)
    rejection = approval_rule_change_pb2.RejectApprovalRuleChangeRequest(name=rejected.name, reason="Belum disetujui")
    company.refused_to_its_maker(rejection, maker=OFFICER, checker=AUTHORITY)
    company.act(rejection, by=AUTHORITY)
    approval = approval_rule_change_pb2.ApproveApprovalRuleChangeRequest(name=change.name)
    company.refused_to_its_maker(approval, maker=OFFICER, checker=AUTHORITY)
    approved = company.act(approval, by=AUTHORITY).approval_rule_change
    company.read(approval_rule_change_pb2.GetApprovalRuleChangeRequest(name=change.name), by=AUTHORITY)
    request = approval_rule_change_pb2.ListApprovalRuleChangesRequest(agency_id=agency_id, page_size=1)
    company.read(request, by=AUTHORITY)
    return approved


def _requested(company: Company, payable_id: str) -> str:
    """The route of a new payment request."""
    request = company.act(
        payables_pb2.CreatePaymentRequestRequest(
            payment_request=payables_pb2.PaymentRequest(
                agency_id=company.agencies["unit"], payable_ids=[payable_id], requested_on=_DAY
            )
        ),
        by="expenditure_treasurer",
    )
    return f"approvals/{request.payment_request_id}"
