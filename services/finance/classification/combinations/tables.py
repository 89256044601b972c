"""The table of rules about combinations. They belong to the whole government, as the chart does."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, Text, UniqueConstraint
from sqlmodel import Field

from chassis.tables import instant_field, uuid_key
from services.finance.classification.segments import Segment
from services.finance.tables import FinanceTable

_SEGMENTS = ", ".join(f"'{one.value}'" for one in Segment)


class CombinationRuleRow(FinanceTable, table=True):
    """One rule on the accounting days [valid_from, valid_to). The nth condition is its nth segment and code."""

    __tablename__ = "combination_rule"
    __table_args__ = (
        CheckConstraint(f"segment in ({_SEGMENTS})", name="segment"),
        CheckConstraint(
            "effect in ('MUST_BE_BELOW', 'MUST_NOT_BE_BELOW', 'MUST_BE_GIVEN', 'MUST_BE_EMPTY', 'UNRESTRICTED')",
            name="effect",
        ),
        CheckConstraint(
            "cardinality(condition_segments) = cardinality(condition_codes) and cardinality(condition_codes) > 0",
            name="conditions",
        ),
        CheckConstraint("valid_to > valid_from", name="days"),
        UniqueConstraint("code", "valid_from"),
    )

    combination_rule_id: UUID = uuid_key()
    code: str = Field(sa_type=Text)
    condition_segments: list[str] = Field(sa_type=ARRAY(Text), nullable=False)  # type: ignore[call-overload]  # SQLModel's stub knows classes only
    condition_codes: list[str] = Field(sa_type=ARRAY(Text), nullable=False)  # type: ignore[call-overload]  # SQLModel's stub knows classes only
    segment: str = Field(sa_type=Text)
    effect: str = Field(sa_type=Text)
    codes: list[str] = Field(sa_type=ARRAY(Text), nullable=False)  # type: ignore[call-overload]  # SQLModel's stub knows classes only
    explanation: str = Field(sa_type=Text)
    legal_source: str = Field(sa_type=Text)
    valid_from: date
    valid_to: date | None = Field(default=None, nullable=True)
    recorded_at: datetime = instant_field()
    version: int
