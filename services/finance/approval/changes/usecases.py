"""Changes of the matrix: propose, decide, and write the rules that an approval brings and ends."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import date, datetime
from uuid import UUID

from sqlmodel import Session

from chassis import outbox
from chassis.errors import NotFound
from services.finance.approval import domain as matrix
from services.finance.approval import node_store, rule_store
from services.finance.approval.changes import domain, store
from services.finance.approval.changes.domain import RuleChange, RuleChangeStatus
from services.finance.approval.changes.events import ApprovalRulesChanged
from services.finance.approval.domain import Rule
from services.finance.classification.segment_store import check_known
from services.finance.classification.store import lock_classification


def propose(session: Session, wanted: RuleChange, *, deciders: Collection[str]) -> RuleChange:
    """Keep a change as PROPOSED. What could not be approved now is refused now, with the same words."""
    domain.check_form(wanted)
    # The days stay as they were asked: which one an end takes is known on the day of the approval.
    _planned(session, wanted, deciders=deciders, today=wanted.proposed_at.date())
    if not store.insert_change(session, wanted):
        raise domain.RuleChangeNumberTaken(
            f"the agency has a change {wanted.document_number} of the matrix; give this one a number of its own",
            metadata={"document_number": wanted.document_number},
        )
    outbox.emit(session, ApprovalRulesChanged(wanted))
    return wanted


def approve(
    session: Session, approval_rule_change_id: UUID, *, person_id: UUID, deciders: Collection[str], at: datetime
) -> RuleChange:
    """Put the change in force: never by who proposed it, and only while all of it still may be."""
    change = _locked(session, approval_rule_change_id)
    approved = domain.decide(change, RuleChangeStatus.APPROVED, by=person_id, at=at)
    planned = _planned(session, approved, deciders=deciders, today=at.date())
    for wanted, rule in zip(approved.additions, planned.additions, strict=True):
        if rule.approval_rule_id == wanted.approval_rule_id:
            rule_store.insert(session, rule, approval_rule_change_id)
    for one in planned.endings:
        rule_store.end(session, one.approval_rule_id, one.valid_to)
    store.save_decision(session, planned)
    outbox.emit(session, ApprovalRulesChanged(planned))
    return planned


def reject(
    session: Session, approval_rule_change_id: UUID, *, person_id: UUID, reason: str, at: datetime
) -> RuleChange:
    """Another person refuses a proposal, with a reason."""
    return _end(session, approval_rule_change_id, RuleChangeStatus.REJECTED, person_id=person_id, reason=reason, at=at)


def recall(
    session: Session, approval_rule_change_id: UUID, *, person_id: UUID, reason: str, at: datetime
) -> RuleChange:
    """The proposer takes the proposal back."""
    return _end(session, approval_rule_change_id, RuleChangeStatus.RECALLED, person_id=person_id, reason=reason, at=at)


def get(session: Session, approval_rule_change_id: UUID) -> RuleChange:
    """One change; NOT_FOUND when the caller does not see it."""
    found = store.change(session, approval_rule_change_id)
    if found is None:
        raise NotFound.resource("change of the approval matrix", approval_rule_change_id)
    return found


def _end(
    session: Session,
    approval_rule_change_id: UUID,
    status: RuleChangeStatus,
    *,
    person_id: UUID,
    reason: str,
    at: datetime,
) -> RuleChange:
    ended = domain.decide(_locked(session, approval_rule_change_id), status, by=person_id, at=at, reason=reason)
    store.save_decision(session, ended)
    outbox.emit(session, ApprovalRulesChanged(ended))
    return ended


def _locked(session: Session, approval_rule_change_id: UUID) -> RuleChange:
    found = store.change(session, approval_rule_change_id, lock=True)
    if found is None:
        raise NotFound.resource("change of the approval matrix", approval_rule_change_id)
    return found


def _planned(session: Session, change: RuleChange, *, deciders: Collection[str], today: date) -> RuleChange:
    """The change as it would come into force today; rules that are there already stand in it under their own ids."""
    # Whoever changes the chart or the matrix at this moment is waited for: what is checked here still holds at the
    # commit.
    lock_classification(session)
    for nth, rule in enumerate(change.additions):
        matrix.check_form(rule, domain.addition_field(nth), deciders=deciders)
    check_known(session, {(node.segment, node.code, one.valid_from) for one in change.additions for node in one.nodes})
    additions = tuple(_addition(session, rule, nth) for nth, rule in enumerate(change.additions))
    known = rule_store.rules(session, [one.approval_rule_id for one in change.endings])
    endings = tuple(
        domain.ending(one, known[one.approval_rule_id], nth, today=today) for nth, one in enumerate(change.endings)
    )
    return replace(change, additions=additions, endings=endings)


def _addition(session: Session, rule: Rule, nth: int) -> Rule:
    trees = node_store.trees(session, rule.nodes, rule.valid_from)
    for node in sorted(rule.nodes, key=lambda node: node.segment.value):
        trees.check_acyclic(node)
    return domain.admitted(rule, rule_store.of_content(session, rule), nth)
