"""The proof of an agency's books: what `kelola verify` asks from outside, asked every day from within.

Domain rules §1: a continuous proof that each sub-ledger is its control account. Asked behind the agency wall, so what
lies between two agencies, or between an agency and its treasury, is left to `kelola verify`.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from opentelemetry import metrics
from sqlmodel import Session

from chassis.errors import FailedPrecondition, KelolaError
from chassis.verify import Problem
from services.finance import verify

log = structlog.get_logger("finance.jobs")

# Differences that a refusal spells out; the rest is counted. `kelola verify` shows them all.
_SHOWN = 10
_differences = metrics.get_meter("kelola").create_counter("kelola.proof.differences", unit="{difference}")


class ProofFailed(FailedPrecondition):
    """The agency's books do not hold."""

    reason = "PROOF_FAILED"

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.count = len(problems)
        shown = "; ".join(f"{one.invariant}: {one.what}" for one in problems[:_SHOWN])
        super().__init__(
            f"{len(problems)} differences in the agency's books: {shown}",
            metadata={
                "difference_count": str(len(problems)),
                "invariants": ",".join(sorted({one.invariant for one in problems})),
            },
        )


def prove(session: Session) -> int:
    """How many proofs hold of the agency that the session sees; PROOF_FAILED names what does not."""
    found = [one for proof in verify.PROOFS_OF_AN_AGENCY for one in proof(session.connection())]
    if found:
        raise ProofFailed(found)
    return len(verify.PROOFS_OF_AN_AGENCY)


def raise_alarm(agency_id: object, refusal: KelolaError) -> None:
    """Let the operators know (KelolaBooksDiffer) of a run that found differences; other refusals are no alarm."""
    if isinstance(refusal, ProofFailed):
        _differences.add(refusal.count, {"kelola.service": "finance"})
        log.error("the books of an agency do not hold", agency=str(agency_id), error=refusal.message)
