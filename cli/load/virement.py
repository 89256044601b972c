"""The country pack's rules of virement as messages (`virement_rules.csv`)."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from google.type import decimal_pb2

from chassis.wire import to_date
from cli.load.chart import PACK, rows_of
from kelola.finance.v1 import budget_change_pb2


def virement_rules(folder: Path = PACK) -> list[budget_change_pb2.VirementRule]:
    """The rules. Columns with several values separate them by blanks: `ACCOUNT:3` is the first three levels of the
    account, `5.1.01>5.2` bans that direction, an empty side is any account."""
    return [_rule(row) for row in rows_of(folder / "virement_rules.csv")]


def _rule(row: dict[str, str]) -> budget_change_pb2.VirementRule:
    rule = budget_change_pb2.VirementRule(
        code=row["code"],
        from_prefix=row["from_prefix"],
        to_prefix=row["to_prefix"],
        may_differ=[_segment(word) for word in row["may_differ"].split()],
        approver_role=row["approver_role"],
        legal_source=row["legal_source"],
        valid_from=to_date(date.fromisoformat(row["valid_from"])),
    )
    for word in row["equal"].split():
        segment, _, levels = word.partition(":")
        rule.equal_segments.add(segment=_segment(segment), levels=int(levels or 0))
    for word in row["bans"].split():
        from_prefix, _, to_prefix = word.partition(">")
        rule.bans.add(from_prefix=from_prefix, to_prefix=to_prefix)
    if row["share_max"]:
        rule.share_max.CopyFrom(decimal_pb2.Decimal(value=row["share_max"]))
    if row["valid_to"]:
        rule.valid_to.CopyFrom(to_date(date.fromisoformat(row["valid_to"])))
    return rule


def _segment(word: str) -> budget_change_pb2.BudgetSegment.ValueType:
    return budget_change_pb2.BudgetSegment.Value(f"BUDGET_SEGMENT_{word}")
