"""SQL of budget changes and of the rules of virement."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session

from services.finance.budget.changes.domain import Change, ChangeKind, ChangeLine, ChangeStatus, NewLine
from services.finance.budget.changes.tables import BudgetChangeLineRow, BudgetChangeRow, VirementRuleRow
from services.finance.budget.changes.virement import Ban, Equal, Segment, VirementRule
from services.finance.budget.domain import Line
from services.finance.budget.store import exact
from services.finance.budget.user_store import USERS_SHOWN

# --- documents -------------------------------------------------------------------------------------------------


def insert_change(session: Session, change: Change) -> bool:
    """Write a proposal; False when its number is taken in the agency and year."""
    written = session.execute(
        insert(BudgetChangeRow)
        .values(**_head(change))
        .on_conflict_do_nothing(index_elements=["agency_id", "fiscal_year", "document_number"])
        .returning(BudgetChangeRow.budget_change_id)
    ).first()
    if written is None:
        return False
    session.execute(
        insert(BudgetChangeLineRow),
        [
            {
                "budget_change_id": change.budget_change_id,
                "line_no": number,
                "agency_id": change.agency_id,
                "budget_line_id": line.budget_line_id,
                "from_budget_line_id": line.from_line_id,
                "amount_minor": line.amount,
                "new_line": _new_line_json(line.new_line),
                "virement_rule_id": line.virement_rule_id,
            }
            for number, line in enumerate(change.lines, start=1)
        ],
    )
    return True


def _head(change: Change) -> dict[str, Any]:
    return {
        "budget_change_id": change.budget_change_id,
        "agency_id": change.agency_id,
        "fiscal_year": change.fiscal_year,
        "kind": change.kind.value,
        "document_number": change.document_number,
        "legal_reference": change.legal_reference,
        "explanation": change.explanation,
        "status": change.status.value,
        "currency": change.currency,
        "increase_minor": change.increase,
        "decrease_minor": change.decrease,
        "effective_on": change.effective_on,
        "proposed_by_person_id": change.proposed_by,
        "proposed_at": change.proposed_at,
        "decided_by_person_id": change.decided_by,
        "decided_at": change.decided_at,
        "decision_reason": change.decision_reason,
        "journal_entry_id": change.journal_entry_id,
        "version": change.version,
    }


def _new_line_json(line: NewLine | None) -> dict[str, Any] | None:
    if line is None:
        return None
    return {**asdict(line), "parent_id": str(line.parent_id) if line.parent_id else None}


def save_decision(session: Session, change: Change) -> None:
    """Write what was decided, and the rule that each transfer relied on."""
    head = _head(change)
    decided = ("status", "decided_by_person_id", "decided_at", "decision_reason", "journal_entry_id", "version")
    session.execute(
        update(BudgetChangeRow)
        .where(BudgetChangeRow.budget_change_id == change.budget_change_id)
        .values(**{name: head[name] for name in decided})
    )
    for number, line in enumerate(change.lines, start=1):
        if line.virement_rule_id is not None:
            session.execute(
                update(BudgetChangeLineRow)
                .where(
                    BudgetChangeLineRow.budget_change_id == change.budget_change_id,
                    BudgetChangeLineRow.line_no == number,
                )
                .values(virement_rule_id=line.virement_rule_id)
            )


def change(session: Session, budget_change_id: UUID, *, lock: bool = False) -> Change | None:
    """One change with its lines, locked if so asked; None when it is not seen."""
    query = select(BudgetChangeRow).where(BudgetChangeRow.budget_change_id == budget_change_id)
    head = session.scalars(query.with_for_update() if lock else query).first()
    return None if head is None else _changes(session, [head])[0]


def changes(
    session: Session,
    *,
    agency_id: UUID | None,
    fiscal_year: int,
    kind: ChangeKind | None,
    status: ChangeStatus | None,
    after: tuple[Any, ...] | None,
    limit: int,
) -> list[Change]:
    """Changes with their lines, the newest first."""
    row = BudgetChangeRow
    query = select(row).order_by(row.budget_change_id.desc()).limit(limit)  # type: ignore[attr-defined]  # a column
    if agency_id is not None:
        query = query.where(row.agency_id == agency_id)
    if fiscal_year:
        query = query.where(row.fiscal_year == fiscal_year)
    if kind is not None:
        query = query.where(row.kind == kind.value)
    if status is not None:
        query = query.where(row.status == status.value)
    if after is not None:
        query = query.where(row.budget_change_id < after[0])
    return _changes(session, list(session.scalars(query)))


def _changes(session: Session, heads: Sequence[BudgetChangeRow]) -> list[Change]:
    row = BudgetChangeLineRow
    lines: dict[UUID, list[ChangeLine]] = {}
    ids = [head.budget_change_id for head in heads]
    query = select(row).where(row.budget_change_id.in_(ids)).order_by(row.budget_change_id, row.line_no)  # type: ignore[attr-defined]  # a column
    for line in session.scalars(query):
        lines.setdefault(line.budget_change_id, []).append(
            ChangeLine(
                line.budget_line_id,
                line.amount_minor,
                line.from_budget_line_id,
                _new_line(line.new_line),
                line.virement_rule_id,
            )
        )
    return [
        Change(
            budget_change_id=head.budget_change_id,
            agency_id=head.agency_id,
            fiscal_year=head.fiscal_year,
            kind=ChangeKind(head.kind),
            document_number=head.document_number,
            legal_reference=head.legal_reference,
            explanation=head.explanation,
            currency=head.currency,
            effective_on=head.effective_on,
            lines=tuple(lines.get(head.budget_change_id, ())),
            proposed_by=head.proposed_by_person_id,
            proposed_at=head.proposed_at,
            status=ChangeStatus(head.status),
            decided_by=head.decided_by_person_id,
            decided_at=head.decided_at,
            decision_reason=head.decision_reason,
            journal_entry_id=head.journal_entry_id,
            version=head.version,
        )
        for head in heads
    ]


def _new_line(kept: dict[str, Any] | None) -> NewLine | None:
    if kept is None:
        return None
    return NewLine(**{**kept, "parent_id": UUID(kept["parent_id"]) if kept["parent_id"] else None})


def insert_new_lines(session: Session, change: Change) -> NewLine | None:
    """Make the lines that the change brings in, active and empty; the first whose segments are taken, or None."""
    for line in change.lines:
        new = line.new_line
        if new is None:
            continue
        written = session.execute(
            text(
                """
                insert into budget_line (budget_line_id, agency_id, fiscal_year, fund_code, organisation_code,
                    program_code, account_code, function_code, location_code, project_code, funding_source_code,
                    line_no, display_name, parent_id, postable, controlling, appropriation_id, currency, status,
                    original_minor, supplementary_minor, virement_in_minor, virement_out_minor, carried_in_minor,
                    frozen_minor, override_minor, reserved_minor, obligated_minor, advanced_minor, expended_minor,
                    ordered_minor, paid_minor)
                values (:budget_line_id, :agency_id, :fiscal_year, :fund_code, :organisation_code, :program_code,
                        :account_code, :function_code, :location_code, :project_code, :funding_source_code, :line_no,
                        :display_name, :parent_id, true, :controlling, :change_id, :currency, 'ACTIVE',
                        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
                on conflict on constraint uq_budget_line_key do nothing returning budget_line_id
                """
            ),
            {
                **{name: value for name, value in asdict(new).items() if name != "uncontrolled"},
                "controlling": not new.uncontrolled,
                "budget_line_id": line.budget_line_id,
                "agency_id": change.agency_id,
                "fiscal_year": change.fiscal_year,
                "change_id": change.budget_change_id,
                "currency": change.currency,
            },
        ).first()
        if written is None:
            return new
    return None


def taken_segments(session: Session, change: Change) -> NewLine | None:
    """The first new line of the change whose segments and line number another line has."""
    for line in change.lines:
        new = line.new_line
        if (
            new is not None
            and session.execute(
                text(
                    """
                select 1 from budget_line
                where agency_id = :agency_id and fiscal_year = :fiscal_year and fund_code = :fund_code
                  and organisation_code = :organisation_code and program_code = :program_code
                  and account_code = :account_code and function_code = :function_code
                  and location_code = :location_code and project_code = :project_code
                  and funding_source_code = :funding_source_code and line_no = :line_no
                """
                ),
                {**asdict(new), "agency_id": change.agency_id, "fiscal_year": change.fiscal_year},
            ).first()
        ):
            return new
    return None


def as_line(change: Change, line: ChangeLine) -> Line:
    """A line that is not there yet, empty."""
    new = line.new_line
    assert new is not None, "asked for new lines only"
    segments = {name: value for name, value in asdict(new).items() if name.endswith("_code")}
    return Line(
        budget_line_id=line.budget_line_id,
        agency_id=change.agency_id,
        currency=change.currency,
        fiscal_year=change.fiscal_year,
        parent_id=new.parent_id,
        controlling=not new.uncontrolled,
        **segments,
    )


def virements_out(session: Session, budget_line_id: UUID) -> list[tuple[str, int]]:
    """The changes that took most of a line by virement: number and amount, for whoever finds its share used up."""
    rows = session.execute(
        text(
            """
            select document_number, -sum(authority_minor)::bigint as amount from funds_movement
            where budget_line_id = :id and kind = 'VIREMENT' and authority_minor < 0
            group by document_id, document_number order by amount desc, document_number limit :shown
            """
        ),
        {"id": budget_line_id, "shown": USERS_SHOWN},
    )
    return [(row.document_number, row.amount) for row in rows]


# --- rules -----------------------------------------------------------------------------------------------------


def lock_rules(session: Session) -> None:
    """One writer of the rules at a time: overlaps of days are checked, not constrained."""
    session.execute(text("select pg_advisory_xact_lock(5107103)"))


def rules_by_code(session: Session, codes: Collection[str]) -> list[VirementRule]:
    """Every rule of these codes, on whatever days."""
    row = VirementRuleRow
    return [_rule(found) for found in session.scalars(select(row).where(row.code.in_(sorted(codes))))]  # type: ignore[attr-defined]  # a column


def rules_on(session: Session, on: date) -> list[VirementRule]:
    """The rules that hold on a day. They are few: a government has a dozen."""
    row = VirementRuleRow
    query = select(row).where(row.valid_from <= on, or_(row.valid_to.is_(None), row.valid_to > on))  # type: ignore[union-attr,operator,arg-type]  # columns
    return [_rule(found) for found in session.scalars(query)]


def list_rules(session: Session, *, after: tuple[Any, ...] | None, limit: int) -> list[VirementRule]:
    """Rules by code and first day."""
    row = VirementRuleRow
    query = select(row).order_by(row.code, row.valid_from).limit(limit)  # type: ignore[arg-type]  # columns
    if after is not None:
        query = query.where(tuple_(row.code, row.valid_from) > tuple_(*after))  # type: ignore[arg-type]  # columns
    return [_rule(found) for found in session.scalars(query)]


def add_rules(session: Session, rules: Sequence[VirementRule]) -> None:
    """Insert rules."""
    session.add_all(
        [
            VirementRuleRow(
                virement_rule_id=rule.virement_rule_id,
                code=rule.code,
                from_prefix=rule.from_prefix,
                to_prefix=rule.to_prefix,
                equal=[[equal.segment.value, equal.levels] for equal in rule.equal],
                may_differ=sorted(segment.value for segment in rule.may_differ),
                bans=[[ban.from_prefix, ban.to_prefix] for ban in rule.bans],
                share_max=None if rule.share_max is None else exact(rule.share_max),
                approver_role=rule.approver_role,
                legal_source=rule.legal_source,
                valid_from=rule.valid_from,
                valid_to=rule.valid_to,
            )
            for rule in rules
        ]
    )
    session.flush()


def _rule(row: VirementRuleRow) -> VirementRule:
    share: Decimal | None = row.share_max
    return VirementRule(
        virement_rule_id=row.virement_rule_id,
        code=row.code,
        from_prefix=row.from_prefix,
        to_prefix=row.to_prefix,
        equal=tuple(Equal(Segment(segment), levels) for segment, levels in row.equal),
        may_differ=frozenset(Segment(segment) for segment in row.may_differ),
        bans=tuple(Ban(*ban) for ban in row.bans),
        share_max=None if share is None else Fraction(share),
        approver_role=row.approver_role,
        legal_source=row.legal_source,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
    )
