"""SQL of reporting classes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any

from sqlalchemy import select, text, tuple_
from sqlmodel import Session

from services.finance.classification.classes.domain import ClassMapping, ReportingClass
from services.finance.classification.classes.tables import ClassMappingRow, ReportingClassRow
from services.finance.classification.segments import Segment

_CLASS = tuple(ReportingClass.__dataclass_fields__)
_MAPPING = tuple(ClassMapping.__dataclass_fields__)
# The tree of a segment on a day; codes that have ended by then stand where they stood last.
_PLACE = """place as materialized (
                select distinct on (code) code, parent_code, display_name from (
                    select code, parent_code, display_name, valid_from from account
                    where :segment = 'ACCOUNT' and valid_from <= :on
                    union all
                    select code, parent_code, display_name, valid_from from dimension_value
                    where kind = :segment and valid_from <= :on
                ) row order by code, valid_from desc
            )"""


def _class(row: ReportingClassRow) -> ReportingClass:
    return ReportingClass(**{name: getattr(row, name) for name in _CLASS})


def _mapping(row: ClassMappingRow) -> ClassMapping:
    values = {name: getattr(row, name) for name in _MAPPING}
    return ClassMapping(**(values | {"segment": Segment(row.segment)}))


def classes_by_code(session: Session, keys: Collection[tuple[str, str]]) -> list[ReportingClass]:
    """The classes with these (scheme, code)."""
    row = ReportingClassRow
    return [
        _class(found) for found in session.scalars(select(row).where(tuple_(row.scheme, row.code).in_(sorted(keys))))
    ]


def mappings_by_code(session: Session, keys: Collection[tuple[str, str]]) -> list[ClassMapping]:
    """Every rule of these (scheme, code of the chart), on whatever days."""
    row = ClassMappingRow
    query = select(row).where(tuple_(row.scheme, row.segment_code).in_(sorted(keys)))
    return [_mapping(found) for found in session.scalars(query)]


def segments(session: Session, schemes: Collection[str]) -> dict[str, Segment]:
    """What each of these schemes classifies; those without a rule are left out."""
    row = ClassMappingRow
    query = select(row.scheme, row.segment).where(row.scheme.in_(sorted(schemes))).distinct()
    return {scheme: Segment(segment) for scheme, segment in session.execute(query)}


def has_scheme(session: Session, scheme: str) -> bool:
    """Whether a scheme has any class."""
    return (
        session.execute(select(ReportingClassRow.code).where(ReportingClassRow.scheme == scheme).limit(1)).first()
        is not None
    )


def add_classes(session: Session, wanted: Sequence[ReportingClass]) -> None:
    """Insert classes."""
    session.add_all([ReportingClassRow(**{name: getattr(one, name) for name in _CLASS}) for one in wanted])
    session.flush()


def add_mappings(session: Session, wanted: Sequence[ClassMapping]) -> None:
    """Insert rules."""
    session.add_all(
        [
            ClassMappingRow(**({name: getattr(one, name) for name in _MAPPING} | {"segment": one.segment.value}))
            for one in wanted
        ]
    )
    session.flush()


def classes(session: Session, scheme: str, *, after: tuple[Any, ...] | None, limit: int) -> list[ReportingClass]:
    """The classes of a scheme by code."""
    row = ReportingClassRow
    query = select(row).where(row.scheme == scheme).order_by(row.code).limit(limit)
    if after is not None:
        query = query.where(row.code > after[0])
    return [_class(found) for found in session.scalars(query)]


def mappings(session: Session, scheme: str, *, after: tuple[Any, ...] | None, limit: int) -> list[ClassMapping]:
    """The rules of a scheme by code and first day."""
    row = ClassMappingRow
    query = select(row).where(row.scheme == scheme).order_by(row.segment_code, row.valid_from).limit(limit)
    if after is not None:
        query = query.where(tuple_(row.segment_code, row.valid_from) > tuple_(*after))
    return [_mapping(found) for found in session.scalars(query)]


def names(session: Session, scheme: str, codes: Collection[str]) -> dict[str, str]:
    """The names of these classes."""
    found = classes_by_code(session, {(scheme, code) for code in codes})
    return {one.code: one.display_name for one in found}


def classes_of_codes(session: Session, scheme: str, segment: Segment, *, on: date) -> dict[str, str]:
    """The class of each code of a segment by the rules of a day: its own rule's, else the nearest above it.

    Codes that have ended by that day stand where they stood last; codes without a class are left out.
    """
    rows = session.execute(
        text(
            f"""
            with recursive rule as materialized (
                select segment_code, class_code from class_mapping
                where scheme = :scheme and valid_from <= :on and (valid_to is null or :on < valid_to)
            ), {_PLACE}, chain (leaf, code, above) as (
                select code, code, 0 from place
                union all
                select c.leaf, p.parent_code, c.above + 1
                from chain c join place p on p.code = c.code
                where p.parent_code <> '' and c.above < 32
                  and not exists (select from rule r where r.segment_code = c.code)
            )
            select c.leaf, r.class_code from chain c join rule r on r.segment_code = c.code order by 1
            """  # noqa: S608  # a constant of this module; values are bound
        ),
        {"scheme": scheme, "segment": segment.value, "on": on},
    )
    return {row.leaf: row.class_code for row in rows}


def heads_of_codes(
    session: Session, segment: Segment, depth: int, *, on: date
) -> tuple[dict[str, str], dict[str, str]]:
    """The head of each code of a segment in its tree of a day, `depth` levels down (0: the code itself), and names.

    A code that lies above that level is its own head.
    """
    rows = session.execute(
        text(
            f"""
            with recursive {_PLACE}, chain (leaf, code, above) as (
                select code, code, 0 from place
                union all
                select c.leaf, p.parent_code, c.above + 1
                from chain c join place p on p.code = c.code
                where p.parent_code <> '' and c.above < 32
            ), placed as (
                select leaf, code, row_number() over (partition by leaf order by above desc) as level,
                       count(*) over (partition by leaf) as levels
                from chain
            )
            select d.leaf, d.code, coalesce(p.display_name, '') as display_name
            from placed d left join place p on p.code = d.code
            where d.level = case when :depth = 0 then d.levels else least(:depth, d.levels) end
            order by 1
            """  # noqa: S608  # a constant of this module; values are bound
        ),
        {"segment": segment.value, "depth": depth, "on": on},
    ).all()
    return {row.leaf: row.code for row in rows}, {row.code: row.display_name for row in rows}
