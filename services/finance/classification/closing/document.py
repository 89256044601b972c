"""Reopenings of fiscal periods as documents: what may come next, and by whom."""

from __future__ import annotations

from services.finance.documents.domain import DocumentKind, DocumentType, NextAct

_APPROVE = "finance.fiscal_period_reopening.approve"
_PROPOSER = frozenset({"proposed"})

FISCAL_PERIOD_REOPENING = DocumentType(
    DocumentKind.FISCAL_PERIOD_REOPENING,
    "fiscalPeriodReopenings",
    "finance.fiscal_period_reopening.read",
    {
        "PROPOSED": (
            NextAct("ApproveFiscalPeriodReopening", _APPROVE, apart=_PROPOSER, routed=True),
            NextAct("RejectFiscalPeriodReopening", _APPROVE, apart=_PROPOSER, onward=False),
            NextAct(
                "RecallFiscalPeriodReopening",
                "finance.fiscal_period_reopening.create",
                only="proposed",
                onward=False,
            ),
        )
    },
)
