"""Reporting classes: made, and reports added up by them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row
from sqlmodel import Session

from chassis.errors import NotFound
from services.finance.budget import report_store as budget
from services.finance.classification.classes import domain, store
from services.finance.classification.classes.domain import ClassMapping, ReportingClass, Rows
from services.finance.classification.segment_store import check_known
from services.finance.classification.segments import Segment
from services.finance.classification.store import lock_classification
from services.finance.ledger import report_store as ledger
from services.finance.ledger.reports import Scope, Sums


def create_classes(session: Session, wanted: Sequence[ReportingClass]) -> list[tuple[ReportingClass, bool]]:
    """Add classes, all or none; (class, is it new) in the order given."""
    lock_classification(session)
    keys = {(one.scheme, code) for one in wanted for code in (one.code, one.parent_code) if code}
    outcome = domain.admit_classes(wanted, store.classes_by_code(session, keys))
    store.add_classes(session, [one for one, is_new in outcome if is_new])
    return outcome


def create_mappings(session: Session, wanted: Sequence[ClassMapping]) -> list[tuple[ClassMapping, bool]]:
    """Add rules that give codes their class, all or none; (rule, is it new) in the order given."""
    lock_classification(session)
    outcome = domain.admit_mappings(
        wanted,
        store.mappings_by_code(session, {(one.scheme, one.segment_code) for one in wanted}),
        segments=store.segments(session, {one.scheme for one in wanted}),
        classes={
            (one.scheme, one.code)
            for one in store.classes_by_code(session, {(one.scheme, one.class_code) for one in wanted})
        },
    )
    new = [one for one, is_new in outcome if is_new]
    check_known(session, [(one.segment, one.segment_code, one.valid_from) for one in new])
    store.add_mappings(session, new)
    return outcome


@dataclass(frozen=True)
class Execution:
    """A page of a budget's execution by class, with the names of its classes and the sums over all pages."""

    rows: Sequence[Row[Any]]
    names: Mapping[str, str]
    totals: Sequence[Row[Any]]


@dataclass(frozen=True)
class Turnover:
    """A page of the ledger's turnover by class; `known_at` says which instant's knowledge it is."""

    rows: Sequence[Sums]
    names: Mapping[str, str]
    totals: Sequence[Sums]
    known_at: datetime | None


def execution(
    session: Session, wanted: budget.Filter, shown: Rows, *, on: date, after: tuple[Any, ...] | None, limit: int
) -> Execution:
    """The budget's execution by the classes, or the tree, of a day; NOT_FOUND for a scheme without classes."""
    segment, classes, names = _classes(session, shown, on)
    rows, totals = budget.by_class(session, wanted, column=segment.column, classes=classes, after=after, limit=limit)
    return Execution(rows, names({row.class_code for row in rows}), totals)


def turnover(
    session: Session, scope: Scope, shown: Rows, *, on: date, after: tuple[Any, ...] | None, limit: int
) -> Turnover:
    """The ledger's turnover by the classes, or the tree, of a day; NOT_FOUND for a scheme without classes."""
    scope = replace(scope, known_at=ledger.knowledge(session, scope.known_at, after))
    segment, classes, names = _classes(session, shown, on)
    rows, totals = ledger.turnover_by_class(
        session, scope, column=segment.column, classes=classes, after=after, limit=limit
    )
    return Turnover(rows, names({row.account_code for row in rows}), totals, scope.known_at)


def _classes(
    session: Session, shown: Rows, on: date
) -> tuple[Segment, Mapping[str, str], Callable[[set[str]], Mapping[str, str]]]:
    """(the segment, the class or head of its codes, what gives the names of those that are shown)."""
    if shown.segment is not None:
        heads, names = store.heads_of_codes(session, shown.segment, shown.depth, on=on)
        return shown.segment, heads, lambda _: names
    segment = _segment(session, shown.scheme)
    classes = store.classes_of_codes(session, shown.scheme, segment, on=on)
    return segment, classes, lambda codes: store.names(session, shown.scheme, codes)


def _segment(session: Session, scheme: str) -> Segment:
    """What a scheme classifies; a scheme of classes alone classifies accounts, none of which has a class yet."""
    found = store.segments(session, [scheme]).get(scheme)
    if found is None and not store.has_scheme(session, scheme):
        raise NotFound.resource("reporting scheme", scheme)
    return found or Segment.ACCOUNT
