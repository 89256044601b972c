"""Segments between the wire and the classification."""

from __future__ import annotations

from typing import Any

from kelola.finance.v1 import combination_rule_pb2
from services.finance.classification.segments import Segment

_SEGMENT = combination_rule_pb2.ClassificationSegment


def segment(number: Any) -> Segment:
    """The segment of a proto enum's number."""
    return Segment(_SEGMENT.Name(number).removeprefix("CLASSIFICATION_SEGMENT_"))


def optional_segment(number: Any) -> Segment | None:
    """The segment that a list asks for; None for every one."""
    return segment(number) if number else None


def segment_number(value: Segment) -> Any:
    """The proto enum's number of a segment."""
    return _SEGMENT.Value(f"CLASSIFICATION_SEGMENT_{value.value}")
