"""SQL of rules about combinations. Journal lines are judged inside the posting statement, by the same function."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select, text, tuple_, update
from sqlmodel import Session

from services.finance.classification.combinations.domain import CombinationRule, Condition, Effect
from services.finance.classification.combinations.tables import CombinationRuleRow
from services.finance.classification.segments import Segment


def _rule(row: CombinationRuleRow) -> CombinationRule:
    return CombinationRule(
        combination_rule_id=row.combination_rule_id,
        code=row.code,
        conditions=tuple(
            Condition(Segment(segment), code)
            for segment, code in zip(row.condition_segments, row.condition_codes, strict=True)
        ),
        segment=Segment(row.segment),
        effect=Effect(row.effect),
        codes=tuple(row.codes),
        explanation=row.explanation,
        legal_source=row.legal_source,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        recorded_at=row.recorded_at,
        version=row.version,
    )


def rules_by_code(session: Session, codes: Collection[str]) -> list[CombinationRule]:
    """Every rule with one of these codes, on whatever days."""
    row = CombinationRuleRow
    return [_rule(found) for found in session.scalars(select(row).where(row.code.in_(sorted(set(codes)))))]


def rule(session: Session, combination_rule_id: UUID, *, lock: bool = False) -> CombinationRule | None:
    """One rule; locked by the lock of the classification, which whoever changes one has taken."""
    query = select(CombinationRuleRow).where(CombinationRuleRow.combination_rule_id == combination_rule_id)
    if lock:
        query = query.execution_options(populate_existing=True)
    found = session.scalars(query).first()
    return None if found is None else _rule(found)


def rules(
    session: Session,
    *,
    valid_on: date | None,
    segment: Segment | None,
    after: tuple[Any, ...] | None,
    limit: int,
) -> list[CombinationRule]:
    """Rules by code and first day."""
    row = CombinationRuleRow
    query = select(row).order_by(row.code, row.valid_from).limit(limit)
    if valid_on is not None:
        query = query.where(row.valid_from <= valid_on, or_(row.valid_to.is_(None), row.valid_to > valid_on))
    if segment is not None:
        query = query.where(row.segment == segment.value)
    if after is not None:
        query = query.where(tuple_(row.code, row.valid_from) > tuple_(*after))
    return [_rule(found) for found in session.scalars(query)]


def add(session: Session, wanted: Sequence[CombinationRule]) -> None:
    """Insert rules."""
    session.add_all(
        [
            CombinationRuleRow(
                combination_rule_id=one.combination_rule_id,
                code=one.code,
                condition_segments=[condition.segment.value for condition in one.conditions],
                condition_codes=[condition.code for condition in one.conditions],
                segment=one.segment.value,
                effect=one.effect.value,
                codes=list(one.codes),
                explanation=one.explanation,
                legal_source=one.legal_source,
                valid_from=one.valid_from,
                valid_to=one.valid_to,
                recorded_at=one.recorded_at,
                version=one.version,
            )
            for one in wanted
        ]
    )
    session.flush()


def save_end(session: Session, ended: CombinationRule) -> None:
    """Write a rule's last day."""
    session.execute(
        update(CombinationRuleRow)
        .where(CombinationRuleRow.combination_rule_id == ended.combination_rule_id)
        .values(valid_to=ended.valid_to, version=ended.version)
    )


def first_fault(session: Session, lines: Mapping[int, Mapping[str, str]], *, on: date) -> Mapping[str, Any] | None:
    """The figures of the first of `lines` that a rule forbids on a day; a line is its codes by column name.

    `line_no` of the figures is the number by which the line was given.
    """
    rows = [{**line, "n": 1, "line_no": number, "on_day": str(on)} for number, line in lines.items()]
    found = session.execute(
        text(
            """
            select c.figures from combination_faults(
                (select array_agg(l) from json_populate_recordset(null::combination_line, cast(:lines as json)) l)) c
            where exists (select from combination_rule)
            """
        ),
        {"lines": json.dumps(rows)},
    ).first()
    return None if found is None else found.figures


def first_fault_of_appropriation(session: Session, appropriation_id: UUID, *, on: date) -> Mapping[str, Any] | None:
    """The same of an appropriation's lines, without the nodes above them; with `budget_line_id`."""
    found = session.execute(
        text(
            """
            with line as (
                select row_number() over (order by organisation_code, account_code, line_no, budget_line_id) as place,
                       b.*
                from budget_line b where b.appropriation_id = :id and b.postable
                  and exists (select from combination_rule)
            )
            select c.figures, l.budget_line_id
            from combination_faults(
                (select array_agg((1, l.place::integer, cast(:on as date), l.account_code, l.fund_code,
                                   l.organisation_code, l.program_code, l.function_code, l.location_code,
                                   l.project_code, l.funding_source_code)::combination_line) from line l)) c
            join line l on l.place = c.line_no
            """
        ),
        {"id": appropriation_id, "on": on},
    ).first()
    return None if found is None else {**found.figures, "budget_line_id": str(found.budget_line_id)}
