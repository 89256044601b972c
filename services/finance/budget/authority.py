"""One act that changes authority: what it does to the lines and nodes that were locked for it. Pure.

    act = AuthorityAct(lines, document=document, new_id=new_id)
    act.vire(giving_id, receiving_id, amount)

Domain rules §2. F1 revised = original + supplementary + virement in - virement out + carried in. A node's authority
is the sum of the lines under it, so every change moves the line and all nodes above it. An override is the
exception: it is given at the one node whose stop it exceeds, and adds authority there alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from uuid import UUID

from chassis.errors import FailedPrecondition
from chassis.money import Money, checked
from services.finance.budget.domain import (
    Buckets,
    Document,
    Line,
    Movement,
    MovementKind,
    Shortage,
    nodes,
    shortages,
    usable,
)


class AuthorityBelowZero(FailedPrecondition):
    """A line would have a revised budget, or a freeze, below zero."""

    reason = "AUTHORITY_BELOW_ZERO"


class AuthorityAct:
    """The lines (with every node above them) of one act, and the movements that it makes on their authority."""

    def __init__(self, lines: Iterable[Line], *, document: Document, new_id: Callable[[], UUID]) -> None:
        self.before: Mapping[UUID, Line] = {line.budget_line_id: line for line in lines}
        self.lines: dict[UUID, Line] = dict(self.before)
        self.movements: list[Movement] = []
        self.document = document
        self._new_id = new_id

    def appropriate(self, budget_line_id: UUID, amount: int) -> Movement:
        """A supplementary budget gives (above zero) or takes (below zero) `amount`."""
        usable(self.lines, budget_line_id)
        for node in nodes(self.lines, budget_line_id):
            self._set(replace(node, supplementary=checked(node.supplementary + amount)))
        line = self.lines[budget_line_id]
        if line.revised < 0:
            raise AuthorityBelowZero(
                f"{_named(line)}: {_money(-amount, line)} are to be taken from a revised budget of "
                f"{_money(self.before[budget_line_id].revised, line)}",
                metadata={"budget_line_id": str(budget_line_id)},
            )
        return self._record(MovementKind.APPROPRIATE, budget_line_id, authority=amount)

    def vire(self, from_id: UUID, to_id: UUID, amount: int) -> tuple[Movement, Movement]:
        """`amount` of the authority of one line becomes another line's: two legs that add up to nothing (F7)."""
        usable(self.lines, from_id)
        usable(self.lines, to_id)
        for node in nodes(self.lines, from_id):
            self._set(replace(node, virement_out=checked(node.virement_out + amount)))
        for node in nodes(self.lines, to_id):
            self._set(replace(node, virement_in=checked(node.virement_in + amount)))
        giving = self.lines[from_id]
        if giving.revised < 0:
            raise AuthorityBelowZero(
                f"{_named(giving)}: {_money(amount, giving)} are to be given, its revised budget is "
                f"{_money(giving.revised + amount, giving)}",
                metadata={"budget_line_id": str(from_id)},
            )
        return (
            self._record(MovementKind.VIREMENT, from_id, authority=-amount),
            self._record(MovementKind.VIREMENT, to_id, authority=amount),
        )

    def freeze(self, budget_line_id: UUID, amount: int) -> Movement:
        """Hold `amount` back from use; below zero gives it free again."""
        line = usable(self.lines, budget_line_id)
        if line.frozen + amount < 0:
            raise AuthorityBelowZero(
                f"{_named(line)}: {_money(-amount, line)} are to be given free, {_money(line.frozen, line)} are frozen",
                metadata={"budget_line_id": str(budget_line_id)},
            )
        for node in nodes(self.lines, budget_line_id):
            self._set(replace(node, frozen=checked(node.frozen + amount)))
        return self._record(MovementKind.FREEZE, budget_line_id, frozen=amount)

    def override(self, budget_line_id: UUID, amount: int) -> Movement:
        """Authority beyond the budget at one node; below zero takes it back."""
        line = self.lines[budget_line_id]
        self._set(replace(line, override=checked(line.override + amount)))
        return self._record(MovementKind.OVERRIDE, budget_line_id, override=amount)

    def shortages(self) -> list[Shortage]:
        """Every hard-stop node, and every line named, that this act takes from and that would fall below zero.

        A line that its parent controls may be spent below zero, but nobody takes away what it has used; and
        authority by an override is for spending alone: it is no budget that could be given away or held back.
        """
        named = {movement.budget_line_id for movement in self.movements}
        return shortages(_without_overrides(self.before), _without_overrides(self.lines), also=named)

    def _set(self, line: Line) -> None:
        self.lines[line.budget_line_id] = line

    def _record(
        self, kind: MovementKind, budget_line_id: UUID, *, authority: int = 0, frozen: int = 0, override: int = 0
    ) -> Movement:
        movement = Movement(
            self._new_id(),
            kind,
            budget_line_id,
            Buckets(),
            self.document,
            None,
            authority=authority,
            frozen=frozen,
            override=override,
        )
        self.movements.append(movement)
        return movement


def _without_overrides(lines: Mapping[UUID, Line]) -> dict[UUID, Line]:
    return {key: replace(line, override=0) if line.override else line for key, line in lines.items()}


def _named(line: Line) -> str:
    return f"budget line {line.organisation_code} {line.account_code} ({line.budget_line_id})"


def _money(minor: int, line: Line) -> str:
    return str(Money(minor, line.currency))
