"""Rules about combinations of segments as plain values: what a sound rule is, how it ends, what it says. Pure.

Which combinations may be posted is data of the government; each rule carries the law that it rests on. Which lines a
rule binds, and which rule is set aside by a more specific one, only the dated trees tell: that is decided in SQL, once
for journal lines and budget lines (migrations/0012_combinations.sql, docs/decisions/0015).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import Enum
from typing import Any
from uuid import UUID

from chassis.errors import FailedPrecondition, InvalidArgument
from services.finance.classification.domain import ClassificationConflict
from services.finance.classification.segments import Segment


class Effect(Enum):
    """What a rule asks of its segment."""

    MUST_BE_BELOW = "MUST_BE_BELOW"
    MUST_NOT_BE_BELOW = "MUST_NOT_BE_BELOW"
    MUST_BE_GIVEN = "MUST_BE_GIVEN"
    MUST_BE_EMPTY = "MUST_BE_EMPTY"
    UNRESTRICTED = "UNRESTRICTED"


_WITH_CODES = frozenset({Effect.MUST_BE_BELOW, Effect.MUST_NOT_BE_BELOW})


class CombinationRuleInvalid(InvalidArgument):
    """The rule says something that no line could be judged by."""

    reason = "COMBINATION_RULE_INVALID"


class CombinationRuleEnded(FailedPrecondition):
    """The rule has ended already, or would end before it began."""

    reason = "COMBINATION_RULE_ENDED"


class CombinationForbidden(FailedPrecondition):
    """A line has a combination of segments that a rule forbids."""

    reason = "COMBINATION_FORBIDDEN"


@dataclass(frozen=True)
class Condition:
    """The line's `segment` is `code` or lies below it."""

    segment: Segment
    code: str


@dataclass(frozen=True)
class CombinationRule:
    """One rule on the accounting days [valid_from, valid_to); what was recorded before it stays as it is."""

    combination_rule_id: UUID
    code: str
    conditions: tuple[Condition, ...]
    segment: Segment
    effect: Effect
    codes: tuple[str, ...]
    explanation: str
    legal_source: str
    valid_from: date
    valid_to: date | None
    recorded_at: datetime
    version: int = 1

    def like(self, other: CombinationRule) -> bool:
        """Whether both say the same, whenever they were made and in whichever order their conditions stand."""
        same = replace(
            self,
            combination_rule_id=other.combination_rule_id,
            recorded_at=other.recorded_at,
            version=other.version,
            conditions=other.conditions,
        )
        return same == other and set(self.conditions) == set(other.conditions)

    def known_codes(self) -> list[tuple[Segment, str, date]]:
        """The codes that it names, with the day on which each must be in its tree."""
        named = [(one.segment, one.code, self.valid_from) for one in self.conditions]
        return named + [(self.segment, code, self.valid_from) for code in self.codes]


def check_form(rule: CombinationRule) -> None:
    """Refuse what is wrong whatever the chart."""
    segments = [condition.segment for condition in rule.conditions]
    if not segments:
        raise CombinationRuleInvalid(f"rule {rule.code}: give at least one condition, or it would bind every line")
    if len(set(segments)) != len(segments):
        raise CombinationRuleInvalid(f"rule {rule.code}: two conditions on one segment; all hold together, so give one")
    if rule.segment in segments:
        raise CombinationRuleInvalid(
            f"rule {rule.code}: it speaks of {rule.segment.value}, and has a condition on it; what may be posted of "
            "one segment alone is said by the chart itself"
        )
    if bool(rule.codes) != (rule.effect in _WITH_CODES):
        needs = "needs" if rule.effect in _WITH_CODES else "takes no"
        raise CombinationRuleInvalid(f"rule {rule.code}: {rule.effect.value} {needs} codes")
    if len(set(rule.codes)) != len(rule.codes):
        raise CombinationRuleInvalid(f"rule {rule.code}: a code is given twice")
    if rule.valid_to is not None and rule.valid_to <= rule.valid_from:
        raise CombinationRuleInvalid(f"rule {rule.code}: valid_to {rule.valid_to} is not after {rule.valid_from}")


def admit(wanted: Sequence[CombinationRule], present: Iterable[CombinationRule]) -> list[tuple[CombinationRule, bool]]:
    """What each wanted rule becomes: (the rule, is it new). `present` are the rules with one of the wanted codes.

    A rule that is there with the same content is taken as it is, so that a loader may run again; the same code with
    other content on a common day is refused with CLASSIFICATION_CONFLICT.
    """
    by_code: dict[str, list[CombinationRule]] = {}
    for rule in present:
        by_code.setdefault(rule.code, []).append(rule)
    outcome = []
    for rule in wanted:
        check_form(rule)
        others = by_code.setdefault(rule.code, [])
        same = next((other for other in others if rule.like(other)), None)
        if same is not None:
            outcome.append((same, False))
            continue
        other = next((other for other in others if _overlap(rule, other)), None)
        if other is not None:
            raise ClassificationConflict(
                f"rule {rule.code} binds already from {other.valid_from} until {other.valid_to or 'further notice'} "
                "with other content; end it first, or use another code",
                metadata={"code": rule.code, "valid_from": str(other.valid_from)},
            )
        others.append(rule)
        outcome.append((rule, True))
    return outcome


def _overlap(left: CombinationRule, right: CombinationRule) -> bool:
    return (left.valid_to is None or right.valid_from < left.valid_to) and (
        right.valid_to is None or left.valid_from < right.valid_to
    )


def end(rule: CombinationRule, valid_to: date) -> CombinationRule:
    """The rule, binding no day from `valid_to` on. Refused for one that ends on that day or before already."""
    if rule.valid_to is not None and rule.valid_to <= valid_to:
        raise CombinationRuleEnded(
            f"rule {rule.code} has ended on {rule.valid_to}; make a new one for later days",
            metadata={"code": rule.code, "valid_to": str(rule.valid_to)},
        )
    if valid_to <= rule.valid_from:
        raise CombinationRuleEnded(
            f"rule {rule.code} binds from {rule.valid_from}; it ends after that day, not on {valid_to}",
            metadata={"code": rule.code, "valid_from": str(rule.valid_from)},
        )
    return replace(rule, valid_to=valid_to, version=rule.version + 1)


def forbidden(what: str, figures: Mapping[str, Any]) -> CombinationForbidden:
    """The refusal of a line. `what` names the line; `figures` are those of the function combination_faults."""
    segments = figures["segments"] or {}
    shown = ", ".join(f"{segment} {code}" for segment, code in sorted(segments.items()))
    explanation = f" ({figures['explanation']})" if figures["explanation"] else ""
    return CombinationForbidden(
        f"{what}: rule {figures['rule']}{explanation} forbids its combination on {figures['on']}: "
        f"{_asked(figures)}; the line has {shown}; the rule rests on {figures['legal_source']}",
        metadata={
            "rule": figures["rule"],
            "legal_source": figures["legal_source"],
            "segment": figures["segment"],
            "found": figures["found"],
            "effect": figures["effect"],
            "codes": ",".join(figures["codes"]),
            "line_no": str(figures["line_no"]),
            "on": str(figures["on"]),
            "segments": shown,
        },
    )


def _asked(figures: Mapping[str, Any]) -> str:
    segment, codes = figures["segment"], ", ".join(figures["codes"])
    found = figures["found"] or "nothing"
    return {
        Effect.MUST_BE_GIVEN: f"{segment} must be given",
        Effect.MUST_BE_EMPTY: f"{segment} must be empty and is {found}",
        Effect.MUST_BE_BELOW: f"{segment} must lie below {codes} and is {found}",
        Effect.MUST_NOT_BE_BELOW: f"{segment} must not lie below {codes} and is {found}",
    }[Effect(figures["effect"])]
