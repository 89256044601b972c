"""Nodes of the chart that a rule of the matrix names, and which lines lie under them on a day. Pure.

Every segment is a tree of its own with dated codes; a node holds for its own code and for everything below it, by the
tree and not by how codes are spelled. A code that has ended stands where it last stood, and one that is yet to begin
where it will: no document escapes a rule because its line is older, or younger, than the chart of the day.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from chassis.errors import FailedPrecondition
from services.finance.classification.segments import Segment


class NodeCyclic(FailedPrecondition):
    """Above a node stands, in the end, a code that stands above itself: nobody can say what lies under it."""

    reason = "APPROVAL_NODE_CYCLIC"


@dataclass(frozen=True)
class Node:
    """A code of one segment."""

    segment: Segment
    code: str

    def __str__(self) -> str:
        """As a clerk reads it: `ORGANISATION 1.02`."""
        return f"{self.segment.value} {self.code}"


# The codes of one budget line; a segment that it leaves empty has none.
Line = frozenset[Node]


def line_of(row: Any) -> Line:
    """The codes of what has them as attributes by the names of their columns: `account_code`, `fund_code`, …"""
    return frozenset(Node(one, code) for one in Segment if (code := getattr(row, one.column)))


@dataclass(frozen=True)
class Trees:
    """What stands directly above each code on a day; empty above a root, and above what is in no tree."""

    parents: Mapping[Node, str]

    def way_up(self, node: Node) -> tuple[str, ...]:
        """The node's code and all above it, upwards; it ends where a code would come again."""
        codes = [node.code]
        while (above := self._above(node, codes[-1])) and above not in codes:
            codes.append(above)
        return tuple(codes)

    def _above(self, node: Node, code: str) -> str:
        return self.parents.get(Node(node.segment, code), "")

    @cached_property
    def _ways(self) -> Mapping[Node, frozenset[str]]:
        return {node: frozenset(self.way_up(node)) for node in self.parents}

    def lies_under(self, lower: Node, upper: Node) -> bool:
        """Whether `lower` is `upper` or stands below it; both are of one segment."""
        return lower == upper or upper.code in self._ways.get(lower, ())

    def check_acyclic(self, node: Node) -> None:
        """Refuse a node whose way up comes to a code twice."""
        way = self.way_up(node)
        again = self._above(node, way[-1])
        if again:
            shown = " < ".join([*way, again])
            raise NodeCyclic(
                f"{node} has no place in its tree: going up from it one comes to {again} twice ({shown}); end one of "
                "these codes and create it anew under its right parent",
                metadata={"segment": node.segment.value, "code": node.code, "way": shown},
            )


def holds_for(node: Node, line: Line, trees: Trees, *, of_heads: bool) -> bool:
    """Whether a line lies under a node; of a head, whether anything below it does.

    A line without a code in the node's segment does not; a head without one stands for all of the segment.
    """
    own = next((one for one in line if one.segment is node.segment), None)
    if own is None:
        return of_heads
    return trees.lies_under(own, node) or (of_heads and trees.lies_under(node, own))
