"""What happened to a change of the matrix, before it becomes a message (wire.py)."""

from __future__ import annotations

from dataclasses import dataclass

from services.finance.approval.changes.domain import RuleChange


@dataclass(frozen=True)
class ApprovalRulesChanged:
    """A change of the matrix was proposed, approved, rejected or recalled; the matrix changes with the approval."""

    change: RuleChange
