"""Reporting classes between the wire and the domain: no decisions."""

from __future__ import annotations

from chassis.ids import new_id
from chassis.money import Money
from chassis.wire import from_date, resource_name, to_date, to_money, to_timestamp
from kelola.finance.v1 import reporting_class_pb2
from services.finance.budget.wire import figures
from services.finance.classification.classes.domain import ClassMapping, ReportingClass, Rows
from services.finance.classification.classes.usecases import Execution, Turnover
from services.finance.classification.segment_wire import optional_segment, segment, segment_number

CLASSES, MAPPINGS = "reportingClasses", "classMappings"


def reporting_class(message: reporting_class_pb2.ReportingClass) -> ReportingClass:
    """A class to be made, with a fresh id."""
    return ReportingClass(new_id(), message.scheme, message.code, message.parent_code, message.display_name)


def class_message(one: ReportingClass) -> reporting_class_pb2.ReportingClass:
    """A class."""
    return reporting_class_pb2.ReportingClass(
        name=resource_name(CLASSES, one.reporting_class_id),
        reporting_class_id=str(one.reporting_class_id),
        scheme=one.scheme,
        code=one.code,
        parent_code=one.parent_code,
        display_name=one.display_name,
    )


def mapping(message: reporting_class_pb2.ClassMapping, field: str) -> ClassMapping:
    """A rule to be made, with a fresh id."""
    return ClassMapping(
        class_mapping_id=new_id(),
        scheme=message.scheme,
        segment=segment(message.segment),
        segment_code=message.segment_code,
        class_code=message.class_code,
        legal_source=message.legal_source,
        valid_from=from_date(message.valid_from, f"{field}.valid_from"),
        valid_to=from_date(message.valid_to, f"{field}.valid_to") if message.HasField("valid_to") else None,
    )


def rows(
    request: reporting_class_pb2.GetExecutionByClassRequest | reporting_class_pb2.GetTurnoverByClassRequest,
) -> Rows:
    """What a report's rows are."""
    return Rows(request.scheme, optional_segment(request.segment), request.depth)


def mapping_message(one: ClassMapping) -> reporting_class_pb2.ClassMapping:
    """A rule."""
    return reporting_class_pb2.ClassMapping(
        name=resource_name(MAPPINGS, one.class_mapping_id),
        class_mapping_id=str(one.class_mapping_id),
        scheme=one.scheme,
        segment=segment_number(one.segment),
        segment_code=one.segment_code,
        class_code=one.class_code,
        legal_source=one.legal_source,
        valid_from=to_date(one.valid_from),
        valid_to=to_date(one.valid_to) if one.valid_to else None,
    )


def execution_message(report: Execution, shown: int, token: str) -> reporting_class_pb2.GetExecutionByClassResponse:
    """The first `shown` rows of a page of the execution by class."""
    return reporting_class_pb2.GetExecutionByClassResponse(
        rows=[
            reporting_class_pb2.ExecutionByClassRow(
                class_code=row.class_code,
                display_name=report.names.get(row.class_code, ""),
                line_count=row.line_count,
                figures=figures(row),
            )
            for row in report.rows[:shown]
        ],
        totals=[figures(row) for row in report.totals],
        next_page_token=token,
    )


def turnover_message(report: Turnover, shown: int, token: str) -> reporting_class_pb2.GetTurnoverByClassResponse:
    """The first `shown` rows of a page of the turnover by class."""
    return reporting_class_pb2.GetTurnoverByClassResponse(
        rows=[
            reporting_class_pb2.TurnoverByClassRow(
                class_code=row.account_code,
                display_name=report.names.get(row.account_code, ""),
                debit=to_money(Money(row.debit_minor, row.currency)),
                credit=to_money(Money(row.credit_minor, row.currency)),
                balance=to_money(Money(row.debit_minor - row.credit_minor, row.currency)),
                line_count=row.line_count,
            )
            for row in report.rows[:shown]
        ],
        totals=[
            reporting_class_pb2.TurnoverByClassTotal(
                debit=to_money(Money(row.debit_minor, row.currency)),
                credit=to_money(Money(row.credit_minor, row.currency)),
            )
            for row in report.totals
        ],
        known_at=to_timestamp(report.known_at) if report.known_at else None,
        next_page_token=token,
    )
