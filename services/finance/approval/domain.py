"""Routes of documents through the approval matrix. Pure.

Maker never checks and nobody approves twice on one route, compared by person, also through a deputy: who acts for
somebody counts as both (domain rules §4; ASVS 5.0 §2.3.5).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import Enum
from uuid import UUID

from chassis.errors import FailedPrecondition, InvalidArgument, NotFound, PermissionDenied
from chassis.money import Money
from services.finance.approval.nodes import Line, Node, Trees, holds_for


class DocumentKind(Enum):
    """What kind of document takes a route."""

    PAYMENT_REQUEST = "PAYMENT_REQUEST"
    SUPPLEMENTARY_BUDGET = "SUPPLEMENTARY_BUDGET"
    VIREMENT = "VIREMENT"
    BUDGET_FREEZE = "BUDGET_FREEZE"
    BUDGET_OVERRIDE = "BUDGET_OVERRIDE"
    INVOICE = "INVOICE"
    CREDIT_NOTE = "CREDIT_NOTE"
    BILL = "BILL"
    IMPREST_VOUCHER = "IMPREST_VOUCHER"
    BUDGET_CEILING = "BUDGET_CEILING"
    BUDGET_CONTROL_CHANGE = "BUDGET_CONTROL_CHANGE"
    BUDGET_YEAR_END = "BUDGET_YEAR_END"
    MULTI_YEAR_AUTHORISATION = "MULTI_YEAR_AUTHORISATION"
    FISCAL_PERIOD_REOPENING = "FISCAL_PERIOD_REOPENING"
    PAYMENT_RUN = "PAYMENT_RUN"
    PAYEE_ACCOUNT = "PAYEE_ACCOUNT"
    WITHHOLDING_REMITTANCE = "WITHHOLDING_REMITTANCE"
    LATE_INTEREST_CHARGE = "LATE_INTEREST_CHARGE"
    BANK_CHARGE = "BANK_CHARGE"
    CREDIT_OFFSET = "CREDIT_OFFSET"
    APPROPRIATION = "APPROPRIATION"
    BUDGET_REQUEST = "BUDGET_REQUEST"
    LATE_DELIVERY_PENALTY = "LATE_DELIVERY_PENALTY"


class ApprovalStatus(Enum):
    """Where a route stands."""

    PENDING = "PENDING"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    RECALLED = "RECALLED"


class StepStatus(Enum):
    """Where a step stands."""

    WAITING = "WAITING"
    OPEN = "OPEN"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"


class Act(Enum):
    """What a person or the clock did with a step."""

    APPROVE = "APPROVE"
    REJECT = "REJECT"
    ESCALATE = "ESCALATE"


class ApprovalOutOfTurn(FailedPrecondition):
    """No step of the route is open for this act."""

    reason = "APPROVAL_OUT_OF_TURN"


class ApprovalRouteOpen(FailedPrecondition):
    """The document cannot go on before its route is approved."""

    reason = "APPROVAL_ROUTE_OPEN"


class ApprovalRouteEnded(FailedPrecondition):
    """The document's route ended without an approval: rejected, or recalled with the document."""

    reason = "APPROVAL_ROUTE_ENDED"


class ApprovalSamePerson(FailedPrecondition):
    """The person made the document, or approved it before, himself or for somebody."""

    reason = "SAME_PERSON"


class ApprovalRuleEnded(FailedPrecondition):
    """The rule has ended already, or would end before it began."""

    reason = "APPROVAL_RULE_ENDED"


class ApprovalNotYours(PermissionDenied):
    """The open steps belong to roles that the caller neither holds nor is delegated."""

    reason = "APPROVAL_ROLE_NOT_HELD"


@dataclass(frozen=True)
class Rule:
    """One rule of the matrix; without nodes it is about every document of its kind."""

    approval_rule_id: UUID
    document_kind: DocumentKind
    step_number: int
    display_name: str
    role: str
    approvers: int
    amount_from: Money
    nodes: frozenset[Node]
    deadline_days: int
    escalation_role: str
    legal_source: str
    valid_from: date
    valid_to: date | None = None


def check_form(rule: Rule, field_name: str, *, deciders: Collection[str]) -> None:
    """Refuse a rule that is wrong whatever the chart; `field_name` is where it stands in the request.

    `deciders` are the roles that decide on routes at all: a step for another one would keep its documents for ever.
    """
    for name, role in (("role", rule.role), ("escalation_role", rule.escalation_role)):
        if role and role not in deciders:
            raise InvalidArgument.field(
                f"{field_name}.{name}", f"{role} decides on no route by the policies; name one of {', '.join(deciders)}"
            )
    if rule.amount_from.minor < 0:
        raise InvalidArgument.field(f"{field_name}.amount_from", "must not be below zero")
    if rule.valid_to is not None and rule.valid_to <= rule.valid_from:
        raise InvalidArgument.field(f"{field_name}.valid_to", f"{rule.valid_to} is not after valid_from")
    segments = [node.segment for node in rule.nodes]
    twice = sorted({segment.value for segment in segments if segments.count(segment) > 1})
    if twice:
        raise InvalidArgument.field(
            f"{field_name}.nodes",
            f"two nodes of {', '.join(twice)}; all nodes hold together for one line, so give a rule for each",
        )


def ended(rule: Rule, valid_to: date, field_name: str) -> Rule:
    """The rule, taken by no document from `valid_to` on. Refused for one that ends on that day or before already.

    `field_name` is where the day stands in the request.
    """
    if rule.valid_to is not None and rule.valid_to <= valid_to:
        raise ApprovalRuleEnded(
            f"rule {rule.approval_rule_id} has ended on {rule.valid_to}; make a new one for later days",
            metadata={"approval_rule_id": str(rule.approval_rule_id), "valid_to": str(rule.valid_to)},
        )
    # On its first day it is taken by no document at all: so a rule that was a mistake is put right.
    if valid_to < rule.valid_from:
        raise InvalidArgument.field(field_name, f"{valid_to} is before the rule's first day {rule.valid_from}")
    return replace(rule, valid_to=valid_to)


@dataclass(frozen=True)
class Subject:
    """A document that asks for its route; `lines` are the codes of its budget lines.

    `amount` is in the currency of the books; None for a document that is about no amount.
    """

    kind: DocumentKind
    document_id: UUID
    agency_id: UUID
    amount: Money | None
    lines: frozenset[Line]
    maker_person_id: UUID
    # The lines are heads, each of which stands for all that is below it; of a segment that it leaves open, for all.
    of_heads: bool = False


def applies(rule: Rule, subject: Subject, on: date, trees: Trees) -> bool:
    """Whether a document made on a day takes the rule: kind, day, amount in the rule's currency, nodes of one line.

    What is about no amount takes the rules that begin at zero. `trees` are those of the day.
    """
    return (
        rule.document_kind is subject.kind
        and rule.valid_from <= on
        and (rule.valid_to is None or on < rule.valid_to)
        and _reaches(rule.amount_from, subject.amount)
        and (
            not rule.nodes
            or any(
                all(holds_for(node, line, trees, of_heads=subject.of_heads) for node in rule.nodes)
                for line in subject.lines
            )
        )
    )


def _reaches(amount_from: Money, amount: Money | None) -> bool:
    if amount is None:
        return amount_from.minor == 0
    return amount_from.currency == amount.currency and amount.minor >= amount_from.minor


@dataclass(frozen=True)
class Decision:
    """One act on a step; the clock has no person."""

    act: Act
    person_id: UUID | None
    on_behalf_of_person_id: UUID | None
    explanation: str
    decided_at: datetime


@dataclass(frozen=True)
class Step:
    """One step of a route."""

    approval_step_id: UUID
    step_number: int
    display_name: str
    role: str
    approvers: int
    deadline_days: int
    escalation_role: str
    status: StepStatus = StepStatus.WAITING
    opened_at: datetime | None = None
    due_at: datetime | None = None
    escalated: bool = False
    decisions: tuple[Decision, ...] = ()

    @property
    def roles(self) -> tuple[str, ...]:
        """Who may decide it now: its role, and once escalated the escalation role too."""
        return (self.role, self.escalation_role) if self.escalated and self.escalation_role else (self.role,)

    @property
    def approvals(self) -> int:
        """How many persons have approved."""
        return sum(decision.act is Act.APPROVE for decision in self.decisions)


@dataclass(frozen=True)
class Route:
    """A document's way through its steps."""

    subject: Subject
    steps: tuple[Step, ...]
    status: ApprovalStatus = ApprovalStatus.PENDING
    created_at: datetime | None = None
    version: int = 1
    # 1, and one more each time the document changed and its route was begun anew. Steps are those of this round.
    round_number: int = 1
    # Who took other steps of the document itself (verified it, for instance): they approve none of its route.
    others: frozenset[UUID] = field(default_factory=frozenset)

    @property
    def open_steps(self) -> tuple[Step, ...]:
        """The steps to be decided now."""
        return tuple(step for step in self.steps if step.status is StepStatus.OPEN)

    @property
    def persons(self) -> frozenset[UUID]:
        """Everybody who decided on it, and everybody for whom."""
        return frozenset(
            person
            for step in self.steps
            for decision in step.decisions
            for person in (decision.person_id, decision.on_behalf_of_person_id)
            if person is not None
        )


def routed(rules: Iterable[Rule], subject: Subject, step_ids: Sequence[UUID], at: datetime) -> Route:
    """The route of a document: the rules that it takes, by step number, the first open; without any, it is approved."""
    taken = sorted(rules, key=lambda rule: (rule.step_number, rule.approval_rule_id))
    steps = tuple(
        Step(
            step_id,
            rule.step_number,
            rule.display_name,
            rule.role,
            rule.approvers,
            rule.deadline_days,
            rule.escalation_role,
        )
        for rule, step_id in zip(taken, step_ids, strict=True)
    )
    return _advanced(Route(subject, steps, created_at=at), at)


def anew(model: Route, subject: Subject, step_ids: Sequence[UUID], at: datetime) -> Route:
    """The route of another document through the same steps, none of them decided."""
    steps = tuple(
        Step(
            step_id,
            step.step_number,
            step.display_name,
            step.role,
            step.approvers,
            step.deadline_days,
            step.escalation_role,
        )
        for step, step_id in zip(model.steps, step_ids, strict=True)
    )
    return _advanced(Route(subject, steps, created_at=at), at)


def renewed(before: Route, after: Route) -> Route:
    """The next round of a route: that of the document as it is now."""
    return replace(after, round_number=before.round_number + 1, version=before.version + 1)


@dataclass(frozen=True)
class Deputy:
    """A role that somebody delegated to the caller."""

    role: str
    from_person_id: UUID


@dataclass(frozen=True)
class Caller:
    """Who decides: the roles that he holds in the document's agency, and those that are delegated to him there."""

    person_id: UUID
    roles: frozenset[str]
    deputies: tuple[Deputy, ...] = ()

    def right_to(self, roles: Collection[str], taken: Collection[UUID]) -> tuple[bool, UUID | None]:
        """Whether he may decide for one of `roles`, and on whose behalf (None: his own).

        Of several who lent him the role he acts for one who took no part in the document (`taken` did).
        """
        if self.roles & set(roles):
            return True, None
        lenders = [deputy.from_person_id for deputy in self.deputies if deputy.role in roles]
        free = [person for person in lenders if person not in taken]
        return bool(lenders), next(iter([*free, *lenders]), None)


def decided(
    route: Route, caller: Caller, act: Act, explanation: str, at: datetime, *, step_id: UUID | None = None
) -> Route:
    """The route after the caller's act on an open step (the named one, or the only one that is open for him)."""
    if route.status is not ApprovalStatus.PENDING:
        raise ApprovalOutOfTurn(
            f"the route is {route.status.value}; nothing of it is open", metadata={"status": route.status.value}
        )
    if route.round_number > 1 and step_id is None:
        ids = ", ".join(str(step.approval_step_id) for step in route.open_steps)
        raise ApprovalOutOfTurn(
            f"the document has changed since its route was first begun; read it, then name the step you mean: {ids}",
            metadata={"open_steps": ids, "round_number": str(route.round_number)},
        )
    taken = {route.subject.maker_person_id, *route.persons, *route.others}
    step, on_behalf_of = _step_for(route, caller, step_id, taken)
    for person in (caller.person_id, on_behalf_of):
        if person in taken:
            who = "you" if person == caller.person_id else "the person for whom you act"
            raise ApprovalSamePerson(
                f"{who} made this document or took an earlier step of it; another person has to {act.value.lower()} it",
                metadata={"person_id": str(person)},
            )
    made = Decision(act, caller.person_id, on_behalf_of, explanation, at)
    after = replace(step, decisions=(*step.decisions, made))
    if act is Act.REJECT:
        after = replace(after, status=StepStatus.REJECTED)
    elif after.approvals >= after.approvers:
        after = replace(after, status=StepStatus.APPROVED)
    return _advanced(_with(route, after), at)


def _step_for(route: Route, caller: Caller, step_id: UUID | None, taken: Collection[UUID]) -> tuple[Step, UUID | None]:
    mine = []
    for step in route.open_steps:
        may, on_behalf_of = caller.right_to(step.roles, taken)
        if may:
            mine.append((step, on_behalf_of))
    if step_id is not None:
        if step_id not in {step.approval_step_id for step in route.steps}:
            raise NotFound.resource("approval step", step_id)
        if step_id not in {step.approval_step_id for step in route.open_steps}:
            raise ApprovalOutOfTurn("that step is not open", metadata={"approval_step_id": str(step_id)})
        mine = [(step, on_behalf_of) for step, on_behalf_of in mine if step.approval_step_id == step_id]
    if not mine:
        waiting = ", ".join(f"{step.display_name} ({'/'.join(step.roles)})" for step in route.open_steps)
        raise ApprovalNotYours(
            f"the open steps are {waiting}; you hold none of these roles in the agency, nor a delegation of one",
            metadata={"open_steps": waiting},
        )
    if len(mine) > 1:
        ids = ", ".join(str(step.approval_step_id) for step, _ in mine)
        raise ApprovalOutOfTurn(f"several steps are open for you; name one: {ids}", metadata={"open_steps": ids})
    return mine[0]


def escalated(route: Route, at: datetime) -> Route:
    """The route after the clock came by: overdue steps are open for their escalation role too."""
    for step in route.open_steps:
        if step.escalation_role and not step.escalated and step.due_at is not None and step.due_at <= at:
            note = Decision(Act.ESCALATE, None, None, f"not decided by {step.due_at:%Y-%m-%d %H:%M %Z}".rstrip(), at)
            route = _with(route, replace(step, escalated=True, decisions=(*step.decisions, note)))
    return route


def recalled(route: Route) -> Route:
    """The document was taken back: its route ends, unless it has ended."""
    return replace(route, status=ApprovalStatus.RECALLED) if route.status is ApprovalStatus.PENDING else route


def _with(route: Route, after: Step) -> Route:
    return replace(
        route,
        steps=tuple(after if step.approval_step_id == after.approval_step_id else step for step in route.steps),
    )


def _advanced(route: Route, at: datetime) -> Route:
    """Open the next steps when all before are approved; end the route when one was rejected or none is left."""
    if any(step.status is StepStatus.REJECTED for step in route.steps):
        return replace(route, status=ApprovalStatus.REJECTED)
    left = [step for step in route.steps if step.status is not StepStatus.APPROVED]
    if not left:
        return replace(route, status=ApprovalStatus.APPROVED)
    number = min(step.step_number for step in left)
    return replace(
        route,
        steps=tuple(
            replace(
                step,
                status=StepStatus.OPEN,
                opened_at=at,
                due_at=at + timedelta(days=step.deadline_days) if step.deadline_days else None,
            )
            if step.step_number == number and step.status is StepStatus.WAITING
            else step
            for step in route.steps
        ),
    )
