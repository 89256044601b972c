"""When authority may move from one budget line to another: rules as dated data. Pure.

Domain rules §2, Virement. A rule names the segments that must be equal (whole, or their first levels), those that may
differ, banned directions, the most of the giving line's original appropriation that may leave it in the year (gross:
what came in does not help), and the role that approves. The most specific rule that fits wins; no rule = not allowed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import Enum
from fractions import Fraction
from uuid import UUID

from chassis.errors import AlreadyExists, FailedPrecondition, InvalidArgument
from chassis.money import Money
from services.finance.budget.domain import Line

# A whole code is more specific than any number of its levels.
_WHOLE = 99


class Segment(Enum):
    """A segment of a budget line's key that a rule may name."""

    FUND = "FUND"
    ORGANISATION = "ORGANISATION"
    PROGRAM = "PROGRAM"
    ACCOUNT = "ACCOUNT"
    FUNCTION = "FUNCTION"
    LOCATION = "LOCATION"
    PROJECT = "PROJECT"
    FUNDING_SOURCE = "FUNDING_SOURCE"

    def of(self, line: Line) -> str:
        """The line's code in this segment."""
        code: str = getattr(line, f"{self.value.lower()}_code")
        return code


class VirementNotAllowed(FailedPrecondition):
    """No rule allows the move, or one forbids its direction."""

    reason = "VIREMENT_NOT_ALLOWED"


class VirementShareExceeded(FailedPrecondition):
    """More of the giving line's original appropriation would leave it in the year than the rule lets go."""

    reason = "VIREMENT_SHARE_EXCEEDED"


@dataclass(frozen=True)
class Equal:
    """A segment that must be equal in both lines: its first `levels` levels, 0 for the whole code."""

    segment: Segment
    levels: int = 0

    def holds(self, giving: Line, receiving: Line) -> bool:
        """Whether the two lines agree."""
        mine, theirs = self.segment.of(giving), self.segment.of(receiving)
        if self.levels == 0:
            return mine == theirs
        return mine.split(".")[: self.levels] == theirs.split(".")[: self.levels]


@dataclass(frozen=True)
class Ban:
    """A direction that is forbidden, by account prefixes; an empty prefix is any account."""

    from_prefix: str
    to_prefix: str

    def hits(self, giving: Line, receiving: Line) -> bool:
        """Whether the move goes in this direction."""
        return _under(giving.account_code, self.from_prefix) and _under(receiving.account_code, self.to_prefix)


@dataclass(frozen=True)
class VirementRule:
    """One dated rule on [valid_from, valid_to)."""

    virement_rule_id: UUID
    code: str
    from_prefix: str
    to_prefix: str
    equal: tuple[Equal, ...]
    may_differ: frozenset[Segment]
    bans: tuple[Ban, ...]
    share_max: Fraction | None
    approver_role: str
    legal_source: str
    valid_from: date
    valid_to: date | None

    def fits(self, giving: Line, receiving: Line, on: date) -> bool:
        """Whether the rule speaks of this move: a segment that it does not let differ must be equal."""
        return (
            self.valid_from <= on
            and (self.valid_to is None or on < self.valid_to)
            and _under(giving.account_code, self.from_prefix)
            and _under(receiving.account_code, self.to_prefix)
            and all(equal.holds(giving, receiving) for equal in self.equal)
            and all(segment in self.may_differ or segment.of(giving) == segment.of(receiving) for segment in Segment)
        )

    @property
    def specificity(self) -> tuple[int, int, int]:
        """How narrowly the rule speaks: depth of its prefixes, levels that must be equal, segments that may differ."""
        prefixes = sum(len(prefix.split(".")) for prefix in (self.from_prefix, self.to_prefix) if prefix)
        return (prefixes, sum(equal.levels or _WHOLE for equal in self.equal), -len(self.may_differ))


def rule_for(rules: Iterable[VirementRule], giving: Line, receiving: Line, *, on: date) -> VirementRule:
    """The rule that allows the move on the day `on`; of equally specific ones the latest, then the first by code."""
    fitting = [rule for rule in rules if rule.fits(giving, receiving, on)]
    if not fitting:
        raise VirementNotAllowed(
            f"no rule of virement lets authority go from {_named(giving)} to {_named(receiving)} on {on}: "
            "the move needs an amendment of the budget (SUPPLEMENTARY)",
            metadata=_metadata(giving, receiving),
        )
    fitting.sort(key=lambda rule: rule.code)
    fitting.sort(key=lambda rule: (rule.specificity, rule.valid_from), reverse=True)
    rule = fitting[0]
    for ban in rule.bans:
        if ban.hits(giving, receiving):
            raise VirementNotAllowed(
                f"rule {rule.code} forbids virement from {ban.from_prefix or 'any account'} to "
                f"{ban.to_prefix or 'any account'}: {_named(giving)} to {_named(receiving)}",
                metadata={**_metadata(giving, receiving), "virement_rule": rule.code},
            )
    return rule


def check_share(rule: VirementRule, giving: Line, amount: int) -> None:
    """Refuse when what leaves `giving` in the year, gross and with `amount`, is above the rule's share (N8)."""
    if rule.share_max is None:
        return
    gone = giving.virement_out + amount
    # Compared as fractions: a limit of 10 % of 1 005 is 100.5 and nothing is rounded in anybody's favour.
    if gone > rule.share_max * giving.original:

        def money(minor: int) -> str:
            return str(Money(minor, giving.currency))

        raise VirementShareExceeded(
            f"{_named(giving)}: {money(giving.virement_out)} left it this year, {money(amount)} more make "
            f"{money(gone)}, above {rule.share_max.numerator}/{rule.share_max.denominator} of its original "
            f"{money(giving.original)} (rule {rule.code}; what came in does not count)",
            metadata={
                "budget_line_id": str(giving.budget_line_id),
                "virement_rule": rule.code,
                "original": money(giving.original),
                "virement_out": money(giving.virement_out),
                "asked": money(amount),
                "legal_source": rule.legal_source,
            },
        )


def _under(code: str, prefix: str) -> bool:
    return not prefix or code == prefix or code.startswith(f"{prefix}.")


def _named(line: Line) -> str:
    return f"budget line {line.organisation_code} {line.account_code} ({line.budget_line_id})"


def _metadata(giving: Line, receiving: Line) -> dict[str, str]:
    return {
        "from_budget_line_id": str(giving.budget_line_id),
        "to_budget_line_id": str(receiving.budget_line_id),
        "from_account_code": giving.account_code,
        "to_account_code": receiving.account_code,
        "differing_segments": ",".join(
            segment.value for segment in Segment if segment.of(giving) != segment.of(receiving)
        ),
    }


class VirementRuleConflict(AlreadyExists):
    """A rule of that code holds already on a common day, with other content."""

    reason = "VIREMENT_RULE_EXISTS"


def admit(wanted: Sequence[VirementRule], present: Iterable[VirementRule]) -> list[tuple[VirementRule, bool]]:
    """What each wanted rule becomes: (the rule, is it new). One with equal content is taken as it is."""
    known = list(present)
    outcome = []
    for rule in wanted:
        if rule.valid_to is not None and rule.valid_to <= rule.valid_from:
            raise InvalidArgument.field("valid_to", f"{rule.valid_to} is not after valid_from {rule.valid_from}")
        others = [other for other in known if other.code == rule.code]
        same = next((o for o in others if replace(rule, virement_rule_id=o.virement_rule_id) == o), None)
        if same is not None:
            outcome.append((same, False))
            continue
        clash = next((o for o in others if _overlap(rule, o)), None)
        if clash is not None:
            raise VirementRuleConflict(
                f"virement rule {rule.code} holds already from {clash.valid_from} until "
                f"{clash.valid_to or 'further notice'} with other content; end it first, or use another code",
                metadata={"code": rule.code, "valid_from": str(clash.valid_from)},
            )
        known.append(rule)
        outcome.append((rule, True))
    return outcome


def _overlap(left: VirementRule, right: VirementRule) -> bool:
    return (left.valid_to is None or right.valid_from < left.valid_to) and (
        right.valid_to is None or left.valid_from < right.valid_to
    )
