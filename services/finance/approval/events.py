"""What happened to documents on their route, before it becomes a message (wire.py)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.finance.approval.domain import ApprovalStatus, DocumentKind


@dataclass(frozen=True)
class AskedStep:
    """A step that is open, or open for another role because its deadline has passed."""

    approval_step_id: UUID
    role: str
    due_at: datetime | None
    escalated: bool


@dataclass(frozen=True)
class ApprovalAsked:
    """Steps of a route are asked."""

    approval_id: UUID
    agency_id: UUID
    document_kind: DocumentKind
    steps: tuple[AskedStep, ...]
    version: int


@dataclass(frozen=True)
class ApprovalEnded:
    """A route ended."""

    approval_id: UUID
    agency_id: UUID
    document_kind: DocumentKind
    status: ApprovalStatus
    version: int
