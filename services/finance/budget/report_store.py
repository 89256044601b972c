"""SQL of what the budget shows: lines, movements, the execution report. Plain rows, no domain class."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlmodel import Session

from chassis.errors import NotFound
from services.finance.classification.pack import fiscal_calendar
from services.finance.classification.segments import Segment

_REVISED = "b.original_minor + b.supplementary_minor + b.virement_in_minor - b.virement_out_minor + b.carried_in_minor"
_BUCKETS = ("reserved", "obligated", "advanced", "expended", "ordered", "paid")
# Every figure of a report row, by name, over budget_line b and its releases a.
_FIGURES: Mapping[str, str] = {
    "original_minor": "b.original_minor",
    "revised_minor": _REVISED,
    "released_minor": "coalesce(a.released_minor, 0)",
    "frozen_minor": "b.frozen_minor",
    "override_minor": "b.override_minor",
    **{f"{name}_minor": f"b.{name}_minor" for name in _BUCKETS},
    "available_minor": f"{_REVISED} - b.frozen_minor + b.override_minor - "
    + " - ".join(f"b.{name}_minor" for name in _BUCKETS),
}
FIGURES = tuple(_FIGURES)
_RELEASED = """
    left join lateral (
        select sum(amount_minor)::bigint as released_minor from allotment where budget_line_id = b.budget_line_id
    ) a on true
"""
_LINE = (
    "b.budget_line_id, b.agency_id, b.fiscal_year, b.appropriation_id, b.fund_code, b.organisation_code,"
    " b.program_code, b.account_code, b.function_code, b.location_code, b.project_code, b.funding_source_code,"
    " b.line_no, b.display_name, b.parent_id, b.controlling, b.warning, b.status, b.currency, b.valid_from,"
    " b.valid_to, b.last_fiscal_year, " + ", ".join(f"{expression} as {name}" for name, expression in _FIGURES.items())
)
_FILTER = """
    (cast(:agency_id as uuid) is null or b.agency_id = :agency_id)
    and (:fiscal_year = 0 or b.fiscal_year = :fiscal_year
         or b.last_fiscal_year is not null and :fiscal_year between b.fiscal_year and b.last_fiscal_year)
    and (:organisation_code = '' or b.organisation_code = :organisation_code)
    and (:account_prefix = '' or b.account_code = :account_prefix
         or starts_with(b.account_code, :account_prefix || '.'))
"""


@dataclass(frozen=True)
class Filter:
    """Which lines are wanted; empty means every."""

    agency_id: UUID | None = None
    fiscal_year: int = 0
    organisation_code: str = ""
    account_prefix: str = ""
    # Of the report: lines that outlive the year with the figures of their whole span.
    whole_span: bool = False

    def values(self) -> dict[str, Any]:
        """As the query's parameters; the page token is bound to them."""
        return {**vars(self), "account_prefix": self.account_prefix.rstrip(".")}


def line(session: Session, budget_line_id: UUID) -> Row[Any]:
    """One line with its figures; NOT_FOUND when the caller does not see it."""
    row = session.execute(
        text(f"select {_LINE} from budget_line b {_RELEASED} where b.budget_line_id = :id"),  # noqa: S608
        {"id": budget_line_id},
    ).first()
    if row is None:
        raise NotFound.resource("budget line", budget_line_id)
    return row


def lines_by_id(session: Session, ids: Collection[UUID]) -> Sequence[Row[Any]]:
    """These lines with their figures, in the order of unit, account and line number."""
    return session.execute(
        text(
            f"""
            select {_LINE} from budget_line b {_RELEASED} where b.budget_line_id = any (cast(:ids as uuid[]))
            order by b.organisation_code, b.account_code, b.line_no, b.budget_line_id
            """  # noqa: S608
        ),
        {"ids": list(ids)},
    ).all()


def lines(session: Session, wanted: Filter, *, after: tuple[Any, ...] | None, limit: int) -> Sequence[Row[Any]]:
    """Lines by unit, account, line number and id."""
    organisation, account, line_no, line_id = after or (None, None, None, None)
    return session.execute(
        text(
            f"""
            select {_LINE} from budget_line b {_RELEASED}
            where {_FILTER}
              and (cast(:after_id as uuid) is null
                   or (b.organisation_code, b.account_code, b.line_no, b.budget_line_id)
                      > (:after_organisation, :after_account, cast(:after_no as integer), cast(:after_id as uuid)))
            order by b.organisation_code, b.account_code, b.line_no, b.budget_line_id limit :limit
            """  # noqa: S608
        ),
        {
            **wanted.values(),
            "after_organisation": organisation or "",
            "after_account": account or "",
            "after_no": line_no or 0,
            "after_id": line_id,
            "limit": limit,
        },
    ).all()


def movements(
    session: Session, budget_line_id: UUID, *, after: tuple[Any, ...] | None, limit: int
) -> Sequence[Row[Any]]:
    """Movements of a line, the newest first, with the line's currency."""
    at, movement_id = after or (None, None)
    return session.execute(
        text(
            """
            select m.*, b.currency from funds_movement m join budget_line b using (budget_line_id)
            where m.budget_line_id = :line_id
              and (cast(:at as timestamptz) is null
                   or (m.recorded_at, m.funds_movement_id) < (cast(:at as timestamptz), cast(:movement_id as uuid)))
            order by m.recorded_at desc, m.funds_movement_id desc limit :limit
            """
        ),
        {"line_id": budget_line_id, "at": at, "movement_id": movement_id, "limit": limit},
    ).all()


# The figures of a line in one year. A line of that year alone has what is kept. A project's line has what its movements
# (y) with an accounting date up to the year's end say: its budget is what the years before have not spent, `paid` is
# the year's own, every other bucket is what stood open at its end. So F2 holds in each year, and payments add up. An
# advance is spent in the year that paid it (F6): what a later year recovers of it is none of that year's payments.
_SPENT_BEFORE = "(y.paid_before + y.advanced_before)"
_STILL_ADVANCED = "greatest(y.advanced - y.advanced_before, 0)"
_OF_ONE_YEAR: Mapping[str, str] = {
    "original_minor": "case when b.fiscal_year = :fiscal_year then b.original_minor"
    f" else y.authority_before - {_SPENT_BEFORE} end",
    "revised_minor": f"y.authority - {_SPENT_BEFORE}",
    "released_minor": f"y.released - {_SPENT_BEFORE}",
    "frozen_minor": "y.frozen",
    "override_minor": "y.override",
    **{f"{name}_minor": f"y.{name}" for name in _BUCKETS},
    "advanced_minor": _STILL_ADVANCED,
    "paid_minor": f"y.paid + y.advanced - {_SPENT_BEFORE} - {_STILL_ADVANCED}",
    "available_minor": "y.authority - y.frozen + y.override - " + " - ".join(f"y.{name}" for name in _BUCKETS),
}
_MOVED = f"""
    cross join lateral (
        select {", ".join(f"coalesce(sum({name}_minor), 0) as {name}" for name in _BUCKETS)},
               coalesce(sum(authority_minor), 0) as authority, coalesce(sum(frozen_minor), 0) as frozen,
               coalesce(sum(override_minor), 0) as override,
               coalesce(sum(authority_minor) filter (where accounting_on < :starts_on), 0) as authority_before,
               coalesce(sum(paid_minor) filter (where accounting_on < :starts_on), 0) as paid_before,
               coalesce(sum(advanced_minor) filter (where accounting_on < :starts_on), 0) as advanced_before,
               (select coalesce(sum(t.amount_minor), 0) from allotment t
                where t.budget_line_id = b.budget_line_id
                  and t.month_from <= 12 * (1 + :fiscal_year - b.fiscal_year)) as released
        from funds_movement where budget_line_id = b.budget_line_id and accounting_on <= :ends_on
    ) y
"""  # noqa: S608  # constants of this module; values are bound


_KEYS = ", ".join(f"b.{segment.column}" for segment in Segment) + ", b.budget_line_id, b.currency"


def _with(figures: Mapping[str, str]) -> str:
    return ", ".join(f"({expression})::bigint as {name}" for name, expression in figures.items())


# What a report is summed over: the lines wanted, each once with its figures. Every lookup is lateral, by an index: the
# plan that PostgreSQL keeps for all values would expect one line here, and join whole tables row by row.
_LINES = f"""
    with b as materialized (
        select {_KEYS}, {_with(_FIGURES)}
        from budget_line b {_RELEASED}
        where {_FILTER} and b.postable and (b.last_fiscal_year is null or cast(:whole_span as boolean))
        union all
        select {_KEYS}, {_with(_OF_ONE_YEAR)}
        from budget_line b {_MOVED}
        where {_FILTER} and b.postable and b.last_fiscal_year is not null and not cast(:whole_span as boolean)
    )
"""  # noqa: S608  # constants of this module; values are bound
_TOTALS = ", ".join(f"sum({name})::bigint as {name}" for name in FIGURES)
_COUNTED = f"count(*)::integer as line_count, {_TOTALS}"

# What rows are grouped by, and how the accounts are cut.
_GROUPS: Mapping[str, tuple[str, str, str]] = {
    "LINE": ("b.organisation_code", "b.account_code", "b.budget_line_id"),
    "UNIT": ("b.organisation_code", "''", "null::uuid"),
    "UNIT_AND_ACCOUNT": ("b.organisation_code", "{cut}", "null::uuid"),
    "ACCOUNT": ("''", "{cut}", "null::uuid"),
}
_CUT = (
    "case when :segments = 0 then b.account_code"
    " else array_to_string((string_to_array(b.account_code, '.'))[1 : cast(:segments as integer)], '.') end"
)


def report(
    session: Session,
    wanted: Filter,
    *,
    level: str,
    segments: int,
    after: tuple[Any, ...] | None,
    limit: int,
) -> tuple[Sequence[Row[Any]], Sequence[Row[Any]]]:
    """A page of report rows in the order of unit, account and line, and the sums over every row, one a currency.

    Sums are over lines that have nothing under them. Both come of one pass over the lines.
    """
    unit, account, line_id = (part.format(cut=_CUT) for part in _GROUPS[level])
    # Every line is a row of its own at the finest level: nothing is added up for it.
    figures, grouping = (
        (f"1 as line_count, {', '.join(FIGURES)}", "") if level == "LINE" else (_COUNTED, "group by 1, 2, 3, 4")
    )
    after_unit, after_account, after_line = after or ("", "", None)
    found = session.execute(
        text(
            f"""
            {_LINES}, grouped as materialized (
                select {unit} as organisation_code, {account} as account_code, {line_id} as budget_line_id,
                       b.currency, {figures}
                from b
                {grouping}
            ), page as (
                select * from grouped
                where not :continued
                   or (organisation_code, account_code, coalesce(cast(budget_line_id as text), ''), currency)
                      > (:after_unit, :after_account, :after_line, :after_currency)
                order by organisation_code, account_code, coalesce(cast(budget_line_id as text), ''), currency
                limit :limit
            )
            select false as total, * from page
            union all
            select true, '', '', null, currency, sum(line_count)::integer, {_TOTALS} from grouped group by currency
            """  # noqa: S608
        ),
        {
            **wanted.values(),
            **_days(wanted.fiscal_year),
            "segments": segments,
            "continued": after is not None,
            "after_unit": after_unit,
            "after_account": after_account,
            "after_line": (after_line or "").partition("|")[0],
            "after_currency": (after_line or "").partition("|")[2],
            "limit": limit,
        },
    ).all()
    return [row for row in found if not row.total], [row for row in found if row.total]


def _days(fiscal_year: int) -> dict[str, date]:
    calendar = fiscal_calendar()
    return {"starts_on": calendar.first_day(fiscal_year), "ends_on": calendar.last_day(fiscal_year)}


def by_class(
    session: Session,
    wanted: Filter,
    *,
    column: str,
    classes: Mapping[str, str],
    after: tuple[Any, ...] | None,
    limit: int,
) -> tuple[Sequence[Row[Any]], Sequence[Row[Any]]]:
    """A page of the report by class and currency, and the sums over every row, one a currency.

    `classes` give the class of the codes in `column`, a segment's; what has none is of the class ''.
    """
    found = session.execute(
        text(
            f"""
            {_LINES}, class as materialized (
                select code, class_code
                from unnest(cast(:codes as text[]), cast(:classes as text[])) v (code, class_code)
            ), grouped as materialized (
                select coalesce(c.class_code, '') as class_code, b.currency, {_COUNTED}
                from b
                left join class c on c.code = b.{column}
                group by 1, 2
            ), page as (
                select * from grouped
                where not :continued or (class_code, currency) > (:after_class, :after_currency)
                order by class_code, currency limit :limit
            )
            select false as total, * from page
            union all
            select true, '', currency, sum(line_count)::integer, {_TOTALS} from grouped group by currency
            """  # noqa: S608  # the column is a segment's name; values are bound
        ),
        {
            **wanted.values(),
            **_days(wanted.fiscal_year),
            "codes": list(classes),
            "classes": list(classes.values()),
            "continued": after is not None,
            "after_class": after[0] if after else "",
            "after_currency": after[1] if after else "",
            "limit": limit,
        },
    ).all()
    return [row for row in found if not row.total], [row for row in found if row.total]
