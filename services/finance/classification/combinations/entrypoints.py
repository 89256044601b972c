"""CombinationRuleService: what each RPC does, in order."""

from __future__ import annotations

from typing import Any

from chassis.grpc import rpc
from chassis.paging import Page
from chassis.wire import from_date
from kelola.finance.v1 import combination_rule_pb2
from services.finance.classification.combinations import store, usecases, wire
from services.finance.classification.segment_wire import optional_segment

COMBINATION_RULE = combination_rule_pb2.DESCRIPTOR.services_by_name["CombinationRuleService"]


class CombinationRuleEntrypoints:
    """The RPCs of CombinationRuleService."""

    db: Any

    @rpc(COMBINATION_RULE)
    def batch_create_combination_rules(self, request, call):
        wanted = [
            wire.rule(one, f"combination_rules[{nth}]", at=call.now)
            for nth, one in enumerate(request.combination_rules)
        ]
        with self.db.begin(call) as work:
            outcome = usecases.create(work.session, wanted)
            work.reply(
                combination_rule_pb2.BatchCreateCombinationRulesResponse(
                    combination_rules=[wire.rule_message(rule) for rule, _ in outcome],
                    existing_count=sum(not is_new for _, is_new in outcome),
                )
            )
        return work.answer

    @rpc(COMBINATION_RULE)
    def end_combination_rule(self, request, call):
        with self.db.begin(call) as work:
            ended = usecases.end(work.session, wire.rule_id(request.name), from_date(request.valid_to, "valid_to"))
            work.reply(
                combination_rule_pb2.EndCombinationRuleResponse(combination_rule=wire.rule_message(ended)),
                resource=request.name,
            )
        return work.answer

    @rpc(COMBINATION_RULE)
    def get_combination_rule(self, request, call):
        with self.db.read(call) as session:
            return wire.rule_message(usecases.get(session, wire.rule_id(request.name)))

    @rpc(COMBINATION_RULE)
    def list_combination_rules(self, request, call):
        filters = {
            "valid_on": from_date(request.valid_on, "valid_on") if request.HasField("valid_on") else None,
            "segment": optional_segment(request.segment),
        }
        page = Page.of(request, filters)
        with self.db.read(call) as session:
            found = store.rules(session, **filters, after=page.after, limit=page.size + 1)
        shown = found[: page.size]
        return combination_rule_pb2.ListCombinationRulesResponse(
            combination_rules=[wire.rule_message(rule) for rule in shown],
            next_page_token=page.token([shown[-1].code, shown[-1].valid_from]) if len(found) > page.size else "",
        )
