"""Classes of statistics and which codes belong to them, as plain values. Pure.

COFOG (UN 1999) classifies functions, GFSM 2014 (IMF) economic accounts; the engine knows neither: a scheme is data, and
classifies one segment of the chart.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from uuid import UUID

from chassis.errors import InvalidArgument
from services.finance.classification.domain import ClassificationConflict, ParentUnknown
from services.finance.classification.segments import Segment


@dataclass(frozen=True)
class Rows:
    """What a report's rows are: the classes of `scheme`, or the heads of a segment's own tree down to `depth` levels.

    `segment` is None with a scheme. A depth of 1 keeps the roots, 0 every level.
    """

    scheme: str
    segment: Segment | None
    depth: int

    def __post_init__(self) -> None:
        if (self.scheme == "") == (self.segment is None):
            raise InvalidArgument.field("scheme", "give a scheme, or a segment whose own tree gives the rows, not both")
        if self.depth and self.segment is None:
            raise InvalidArgument.field("depth", "it cuts the tree of a segment; a scheme has classes of its own")


class ClassMappingInvalid(InvalidArgument):
    """A scheme would classify two segments, or a rule names a class that is not there."""

    reason = "CLASS_MAPPING_INVALID"


@dataclass(frozen=True)
class ReportingClass:
    """One class of a scheme."""

    reporting_class_id: UUID
    scheme: str
    code: str
    parent_code: str
    display_name: str

    def like(self, other: ReportingClass) -> bool:
        """Whether both say the same but for their ids."""
        return replace(self, reporting_class_id=other.reporting_class_id) == other


@dataclass(frozen=True)
class ClassMapping:
    """On [valid_from, valid_to): a code of the chart, and what lies below it, belongs to a class."""

    class_mapping_id: UUID
    scheme: str
    segment: Segment
    segment_code: str
    class_code: str
    legal_source: str
    valid_from: date
    valid_to: date | None = None

    def like(self, other: ClassMapping) -> bool:
        """Whether both say the same but for their ids."""
        return replace(self, class_mapping_id=other.class_mapping_id) == other


def admit_classes(
    wanted: Sequence[ReportingClass], present: Iterable[ReportingClass]
) -> list[tuple[ReportingClass, bool]]:
    """What each wanted class becomes: (the class, is it new). `present` are those with a wanted code or parent."""
    known = {(one.scheme, one.code): one for one in present}
    outcome = []
    for one in wanted:
        same = known.setdefault((one.scheme, one.code), one)
        if not one.like(same):
            raise ClassificationConflict(
                f"{one.scheme} {one.code} is there already as {same.display_name} below "
                f"{same.parent_code or 'nothing'}",
                metadata={"code": one.code, "scheme": one.scheme},
            )
        outcome.append((same, same is one))
    for one, is_new in outcome:
        if is_new and one.parent_code and (one.scheme, one.parent_code) not in known:
            raise ParentUnknown(
                f"{one.scheme} {one.code}: its parent {one.parent_code} is not there; create it first or in the same "
                "batch",
                metadata={"code": one.code, "parent_code": one.parent_code},
            )
    return outcome


def admit_mappings(
    wanted: Sequence[ClassMapping],
    present: Iterable[ClassMapping],
    *,
    segments: Mapping[str, Segment],
    classes: Collection[tuple[str, str]],
) -> list[tuple[ClassMapping, bool]]:
    """What each wanted rule becomes: (the rule, is it new). `present` are those with a wanted scheme and code.

    `segments` are what each scheme classifies so far, `classes` the (scheme, code) that are there.
    """
    of_scheme = dict(segments)
    by_key: dict[tuple[str, str], list[ClassMapping]] = {}
    for one in present:
        by_key.setdefault((one.scheme, one.segment_code), []).append(one)
    outcome = []
    for one in wanted:
        if one.valid_to is not None and one.valid_to <= one.valid_from:
            raise InvalidArgument.field("valid_to", f"{one.valid_to} is not after valid_from {one.valid_from}")
        if of_scheme.setdefault(one.scheme, one.segment) is not one.segment:
            raise ClassMappingInvalid(
                f"{one.scheme} classifies {of_scheme[one.scheme].value}; a line would have two classes if it "
                f"classified {one.segment.value} too",
                metadata={"scheme": one.scheme, "segment": of_scheme[one.scheme].value},
            )
        if (one.scheme, one.class_code) not in classes:
            raise ClassMappingInvalid(
                f"{one.scheme} has no class {one.class_code}: create it first (BatchCreateReportingClasses)",
                metadata={"scheme": one.scheme, "class_code": one.class_code},
            )
        others = by_key.setdefault((one.scheme, one.segment_code), [])
        same = next((other for other in others if one.like(other)), None)
        if same is None and (other := next((other for other in others if _overlap(one, other)), None)) is not None:
            raise ClassificationConflict(
                f"{one.segment.value} {one.segment_code} is of {one.scheme} {other.class_code} already from "
                f"{other.valid_from} until {other.valid_to or 'further notice'}",
                metadata={"code": one.segment_code, "valid_from": str(other.valid_from)},
            )
        if same is None:
            others.append(one)
        outcome.append((same or one, same is None))
    return outcome


def _overlap(left: ClassMapping, right: ClassMapping) -> bool:
    return (left.valid_to is None or right.valid_from < left.valid_to) and (
        right.valid_to is None or left.valid_from < right.valid_to
    )
