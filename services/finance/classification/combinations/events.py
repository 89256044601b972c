"""Facts of rules about combinations, before they become messages (wire.py)."""

from __future__ import annotations

from dataclasses import dataclass

from services.finance.classification.combinations.domain import CombinationRule


@dataclass(frozen=True)
class CombinationRuleChanged:
    """A rule was made, or ended."""

    rule: CombinationRule
