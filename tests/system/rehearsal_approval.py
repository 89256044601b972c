"""The second government's approval matrix: a payment request that is rejected, another that is approved."""

from __future__ import annotations

from datetime import date

from chassis.wire import to_date
from kelola.finance.v1 import approval_pb2, combination_rule_pb2, payables_pb2
from tests.system.rehearsal import YEAR, Company, rupiah
from tests.system.rehearsal_finance import UNIT

# A day of its own, so that the other payments of the rehearsal need no approval.
_DAY, _NEXT = to_date(date(YEAR, 1, 7)), to_date(date(YEAR, 1, 8))


def take_the_route(company: Company, payable_id: str) -> None:
    """Call every RPC of ApprovalService; the payable stays requested."""
    agency_id, chief = company.agencies["unit"], "accountant"
    rules = company.act(
        approval_pb2.BatchCreateApprovalRulesRequest(
            approval_rules=[
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
            ]
        ),
        by="budget_authority",
    ).approval_rules
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
    company.act(approval_pb2.EndApprovalRuleRequest(name=rules[0].name, valid_to=_NEXT), by="budget_authority")
    company.read(approval_pb2.ListApprovalRulesRequest(page_size=3), by=chief)


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
