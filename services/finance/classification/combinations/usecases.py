"""Rules about combinations: made, ended, and asked for budget lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlmodel import Session

from chassis import outbox
from chassis.errors import NotFound
from services.finance.classification.combinations import domain, store
from services.finance.classification.combinations.domain import CombinationRule
from services.finance.classification.combinations.events import CombinationRuleChanged
from services.finance.classification.segment_store import check_known
from services.finance.classification.segments import Segment
from services.finance.classification.store import lock_classification


def create(session: Session, wanted: Sequence[CombinationRule]) -> list[tuple[CombinationRule, bool]]:
    """Add rules, all or none; (rule, is it new) in the order given. They bind what is posted from now on."""
    lock_classification(session)
    outcome = domain.admit(wanted, store.rules_by_code(session, {rule.code for rule in wanted}))
    new = [rule for rule, is_new in outcome if is_new]
    check_known(session, [code for rule in new for code in rule.known_codes()])
    store.add(session, new)
    outbox.emit_all(session, [CombinationRuleChanged(rule) for rule in new])
    return outcome


def end(session: Session, combination_rule_id: UUID, valid_to: date) -> CombinationRule:
    """End a rule: it binds no accounting day from `valid_to` on."""
    lock_classification(session)
    found = store.rule(session, combination_rule_id, lock=True)
    if found is None:
        raise NotFound.resource("combination rule", combination_rule_id)
    ended = domain.end(found, valid_to)
    store.save_end(session, ended)
    outbox.emit(session, CombinationRuleChanged(ended))
    return ended


def get(session: Session, combination_rule_id: UUID) -> CombinationRule:
    """One rule; NOT_FOUND when it is not there."""
    found = store.rule(session, combination_rule_id)
    if found is None:
        raise NotFound.resource("combination rule", combination_rule_id)
    return found


def check_lines(session: Session, lines: Mapping[int, Any], *, on: date) -> None:
    """Refuse with COMBINATION_FORBIDDEN the first of `lines` that a rule forbids on a day.

    A line has its codes as attributes (`account_code`, `function_code`, …); its number is its place in the caller's
    request, from 0 on.
    """
    codes = {number: {one.column: getattr(line, one.column) for one in Segment} for number, line in lines.items()}
    figures = store.first_fault(session, codes, on=on) if codes else None
    if figures is not None:
        raise domain.forbidden(f"lines[{figures['line_no']}]", figures)


def check_appropriation(session: Session, appropriation_id: UUID, *, on: date) -> None:
    """Refuse with COMBINATION_FORBIDDEN unless every line of the draft may come into force on a day."""
    figures = store.first_fault_of_appropriation(session, appropriation_id, on=on)
    if figures is not None:
        raise domain.forbidden(f"budget line {figures['budget_line_id']}", figures)
