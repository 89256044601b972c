"""Rules about combinations between the wire and the domain: no decisions."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from chassis import outbox
from chassis.ids import new_id
from chassis.wire import from_date, resource_id, resource_name, to_date, to_timestamp
from kelola.finance.v1 import classification_events_pb2, combination_rule_pb2
from services.finance.classification.combinations.domain import CombinationRule, Condition, Effect
from services.finance.classification.combinations.events import CombinationRuleChanged
from services.finance.classification.segment_wire import segment, segment_number

RULES = "combinationRules"

_EFFECT = combination_rule_pb2.CombinationEffect


def rule(message: combination_rule_pb2.CombinationRule, field: str, *, at: datetime) -> CombinationRule:
    """A rule to be made, with a fresh id."""
    return CombinationRule(
        combination_rule_id=new_id(),
        code=message.code,
        conditions=tuple(Condition(segment(one.segment), one.code) for one in message.conditions),
        segment=segment(message.segment),
        effect=Effect(_EFFECT.Name(message.effect).removeprefix("COMBINATION_EFFECT_")),
        codes=tuple(message.codes),
        explanation=message.explanation,
        legal_source=message.legal_source,
        valid_from=from_date(message.valid_from, f"{field}.valid_from"),
        valid_to=from_date(message.valid_to, f"{field}.valid_to") if message.HasField("valid_to") else None,
        recorded_at=at,
    )


def rule_message(value: CombinationRule) -> combination_rule_pb2.CombinationRule:
    """One rule."""
    return combination_rule_pb2.CombinationRule(
        name=resource_name(RULES, value.combination_rule_id),
        combination_rule_id=str(value.combination_rule_id),
        code=value.code,
        conditions=[
            combination_rule_pb2.CombinationCondition(segment=segment_number(one.segment), code=one.code)
            for one in value.conditions
        ],
        segment=segment_number(value.segment),
        effect=_EFFECT.Value(f"COMBINATION_EFFECT_{value.effect.value}"),
        codes=value.codes,
        explanation=value.explanation,
        legal_source=value.legal_source,
        valid_from=to_date(value.valid_from),
        valid_to=to_date(value.valid_to) if value.valid_to else None,
        create_time=to_timestamp(value.recorded_at),
    )


def rule_id(name: str) -> UUID:
    """The id in `combinationRules/{uuid}`."""
    return resource_id(RULES, name)


@outbox.translates(CombinationRuleChanged)
def _changed(event: CombinationRuleChanged) -> outbox.Envelope:
    message = classification_events_pb2.CombinationRuleChanged(combination_rule=rule_message(event.rule))
    return outbox.Envelope(message, event.rule.combination_rule_id, None, event.rule.version)
