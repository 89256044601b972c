"""Changes of the approval matrix as documents: what may come next, and by whom.

They take no route through the matrix: a wrong rule cannot bar the way to its correction.
"""

from __future__ import annotations

from services.finance.documents.domain import DocumentKind, DocumentType, NextAct

_APPROVE, _CREATE = "finance.approval_rule.approve", "finance.approval_rule.create"
_PROPOSER = frozenset({"proposed"})

APPROVAL_RULE_CHANGE = DocumentType(
    DocumentKind.APPROVAL_RULE_CHANGE,
    "approvalRuleChanges",
    "finance.approval.read",
    {
        "PROPOSED": (
            NextAct("ApproveApprovalRuleChange", _APPROVE, apart=_PROPOSER),
            NextAct("RejectApprovalRuleChange", _APPROVE, apart=_PROPOSER, onward=False),
            NextAct("RecallApprovalRuleChange", _CREATE, only="proposed", onward=False),
        )
    },
)
