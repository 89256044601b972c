"""The segments of the classification by name: the economic account and the dimensions beside it."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from chassis.errors import FailedPrecondition

# A refusal names so many codes; the rest is counted.
CODES_SHOWN = 50


class Segment(Enum):
    """One segment; its value is the `kind` of its dimension values, ACCOUNT is the chart."""

    ACCOUNT = "ACCOUNT"
    FUND = "FUND"
    ORGANISATION = "ORGANISATION"
    PROGRAM = "PROGRAM"
    FUNCTION = "FUNCTION"
    LOCATION = "LOCATION"
    PROJECT = "PROJECT"
    FUNDING_SOURCE = "FUNDING_SOURCE"

    @property
    def column(self) -> str:
        """The column that holds it on journal and budget lines: FUNCTION is `function_code`."""
        return f"{self.value.lower()}_code"


class SegmentUnknown(FailedPrecondition):
    """Codes that are not in the tree of their segment on a day."""

    reason = "SEGMENT_UNKNOWN"


def unknown(missing: Iterable[tuple[Segment, str, object]]) -> SegmentUnknown:
    """The refusal of codes that are not there: (segment, code, day) of each."""
    found = [f"{segment.value} {code} on {on}" for segment, code, on in missing]
    shown = ", ".join(found[:CODES_SHOWN])
    return SegmentUnknown(
        f"{len(found)} codes are not in the classification: {shown}; create them first, or correct the code",
        metadata={"code_count": str(len(found)), "codes": shown},
    )
