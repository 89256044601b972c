"""The budget between the wire and the domain: no decisions."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

from google.type import decimal_pb2, money_pb2
from sqlalchemy import Row

from chassis import outbox
from chassis.dates import Month
from chassis.errors import FailedPrecondition, InvalidArgument
from chassis.money import Money
from chassis.wire import (
    from_date,
    from_decimal,
    from_money,
    money_fields,
    optional_uuid,
    resource_id,
    resource_name,
    to_date,
    to_decimal,
    to_money,
    to_timestamp,
    to_uuid,
)
from kelola.finance.v1 import budget_events_pb2, budget_pb2
from services.finance.budget import events, report_store
from services.finance.budget.appropriation import (
    AllotmentOrder,
    Appropriation,
    Import,
    NewLine,
)
from services.finance.budget.buckets import BUCKET_NAMES
from services.finance.budget.domain import Document, DocumentKind, Item
from services.finance.budget.foreign import columns as foreign_columns
from services.finance.budget.foreign.held import ForeignChange
from services.finance.budget.span import Span
from services.finance.budget.usecases import FundsOrder, Moved
from services.finance.classification.pack import fiscal_calendar

LINES, APPROPRIATIONS, MOVEMENTS = "budgetLines", "appropriations", "fundsMovements"

_DOCUMENT_KIND = budget_pb2.FundsDocumentKind
_MOVEMENT_KIND = budget_pb2.FundsMovementKind
_FIGURE_FIELDS = tuple((name, name.removesuffix("_minor")) for name in report_store.FIGURES)


def document_kind(number: int) -> DocumentKind:
    """The kind that the contract numbers."""
    return DocumentKind(_DOCUMENT_KIND.Name(number).removeprefix("FUNDS_DOCUMENT_KIND_"))


def document(message: budget_pb2.FundsDocument) -> Document:
    """The document in whose name funds move."""
    return Document(
        document_kind(message.kind),
        to_uuid(message.document_id, "document.document_id"),
        message.document_number,
    )


def document_message(value: Document) -> budget_pb2.FundsDocument:
    """The document."""
    return budget_pb2.FundsDocument(
        kind=_DOCUMENT_KIND.Value(f"FUNDS_DOCUMENT_KIND_{value.kind.value}"),
        document_id=str(value.document_id),
        document_number=value.document_number,
    )


def funds_order(request: Any) -> FundsOrder:
    """What a funds RPC asks for; the five requests have the same fields."""
    return FundsOrder(
        agency_id=to_uuid(request.agency_id, "agency_id"),
        document=document(request.document),
        items=tuple(_item(item, nth) for nth, item in enumerate(request.items)),
        effective_on=from_date(request.effective_on, "effective_on"),
        restore_liquidated=getattr(request, "restore_liquidated", False),
    )


def _item(message: budget_pb2.FundsItem, nth: int) -> Item:
    where = f"items[{nth}]"
    amount = from_money(message.amount, f"{where}.amount") if message.HasField("amount") else None
    return Item(
        document_line_id=to_uuid(message.document_line_id, f"{where}.document_line_id"),
        budget_line_id=to_uuid(message.budget_line_id, f"{where}.budget_line_id"),
        amount=amount.minor if amount else None,
        currency=amount.currency if amount else "",
        quantity=_quantity(message, "quantity", where),
        liquidates_document_line_id=optional_uuid(
            message.liquidates_document_line_id, f"{where}.liquidates_document_line_id"
        ),
        liquidated_quantity=_quantity(message, "liquidated_quantity", where),
        final=message.final,
        schedule=tuple(
            (
                fiscal_calendar().period_of(Month(part.year, part.month).first),
                _same(
                    from_money(part.amount, f"{where}.schedule[{n}].amount"),
                    amount,
                    f"{where}.schedule[{n}].amount",
                ),
            )
            for n, part in enumerate(message.schedule)
        ),
    )


def _quantity(message: budget_pb2.FundsItem, name: str, where: str) -> Fraction | None:
    if not message.HasField(name):
        return None
    value: decimal_pb2.Decimal = getattr(message, name)
    quantity = Fraction(from_decimal(value, f"{where}.{name}"))
    if quantity <= 0:
        raise InvalidArgument.field(f"{where}.{name}", "above zero, or left out")
    return quantity


def _same(part: Money, whole: Money | None, field: str) -> int:
    if whole is not None and part.currency != whole.currency:
        raise InvalidArgument.field(f"{field}.currency_code", f"{part.currency}, the amount is in {whole.currency}")
    return part.minor


def movement_messages(moved: Moved, order: FundsOrder, person_id: UUID | None) -> list[budget_pb2.FundsMovement]:
    """Movements just made."""
    return [
        budget_pb2.FundsMovement(
            name=resource_name(MOVEMENTS, movement.funds_movement_id),
            funds_movement_id=str(movement.funds_movement_id),
            agency_id=str(order.agency_id),
            budget_line_id=str(movement.budget_line_id),
            kind=_MOVEMENT_KIND.Value(f"FUNDS_MOVEMENT_KIND_{movement.kind.value}"),
            document=document_message(movement.document),
            document_line_id=str(movement.document_line_id or ""),
            liquidates_funds_movement_id=str(movement.liquidates_movement_id or ""),
            authority_change=to_money(Money(movement.authority, moved.currencies[movement.budget_line_id])),
            frozen_change=to_money(Money(movement.frozen, moved.currencies[movement.budget_line_id])),
            override_change=to_money(Money(movement.override, moved.currencies[movement.budget_line_id])),
            effective_on=to_date(order.effective_on),
            accounting_on=to_date(moved.accounting_on),
            person_id=str(person_id or ""),
            foreign_amount=foreign_amount(movement.foreign),
            exchange_rate=exchange_rate(movement.foreign and movement.foreign.rate),
            **{
                f"{name}_change": to_money(Money(amount, moved.currencies[movement.budget_line_id]))
                for name, amount in zip(BUCKET_NAMES, movement.changes.amounts(), strict=True)
            },
        )
        for movement in moved.movements
    ]


def stored_movement(row: Row[Any]) -> budget_pb2.FundsMovement:
    """A movement as the ledger keeps it."""
    return budget_pb2.FundsMovement(
        name=resource_name(MOVEMENTS, row.funds_movement_id),
        funds_movement_id=str(row.funds_movement_id),
        agency_id=str(row.agency_id),
        budget_line_id=str(row.budget_line_id),
        kind=_MOVEMENT_KIND.Value(f"FUNDS_MOVEMENT_KIND_{row.kind}"),
        document=document_message(Document(DocumentKind(row.document_kind), row.document_id, row.document_number)),
        document_line_id=str(row.document_line_id or ""),
        liquidates_funds_movement_id=str(row.liquidates_movement_id or ""),
        authority_change=to_money(Money(row.authority_minor, row.currency)),
        frozen_change=to_money(Money(row.frozen_minor, row.currency)),
        override_change=to_money(Money(row.override_minor, row.currency)),
        effective_on=to_date(row.effective_on),
        accounting_on=to_date(row.accounting_on),
        record_time=to_timestamp(row.recorded_at),
        person_id=str(row.person_id or ""),
        foreign_amount=foreign_amount(foreign_columns.change_of(row)),
        exchange_rate=exchange_rate(row.exchange_rate),
        **{f"{name}_change": to_money(Money(getattr(row, f"{name}_minor"), row.currency)) for name in BUCKET_NAMES},
    )


def foreign_amount(foreign: ForeignChange | None) -> money_pb2.Money | None:
    """What moved in the commitment's own currency."""
    return None if foreign is None else to_money(Money(foreign.minor, foreign.currency))


def exchange_rate(rate: Decimal | None) -> decimal_pb2.Decimal | None:
    """The rate that a movement brought in."""
    return None if rate is None else to_decimal(rate)


def figures(row: Row[Any]) -> budget_pb2.BudgetFigures:
    """The figures of a line, a report row or a total."""
    currency = row.currency
    return budget_pb2.BudgetFigures(
        **{field: money_fields(getattr(row, name), currency) for name, field in _FIGURE_FIELDS}
    )


def control_mode(*, controlling: bool, warning: bool) -> budget_pb2.BudgetControlMode.ValueType:
    """What happens when a node would go below zero."""
    if controlling:
        return budget_pb2.BUDGET_CONTROL_MODE_HARD_STOP
    return budget_pb2.BUDGET_CONTROL_MODE_WARNING if warning else budget_pb2.BUDGET_CONTROL_MODE_UNCONTROLLED


def line_message(row: Row[Any]) -> budget_pb2.BudgetLine:
    """One budget line."""
    state = "|".join(str(getattr(row, name)) for name in (*report_store.FIGURES, "status"))
    return budget_pb2.BudgetLine(
        name=resource_name(LINES, row.budget_line_id),
        budget_line_id=str(row.budget_line_id),
        agency_id=str(row.agency_id),
        fiscal_year=row.fiscal_year,
        appropriation_id=str(row.appropriation_id or ""),
        fund_code=row.fund_code,
        organisation_code=row.organisation_code,
        program_code=row.program_code,
        account_code=row.account_code,
        function_code=row.function_code,
        location_code=row.location_code,
        project_code=row.project_code,
        funding_source_code=row.funding_source_code,
        line_no=row.line_no,
        display_name=row.display_name,
        parent_budget_line_id=str(row.parent_id or ""),
        controlling=row.controlling,
        control_mode=control_mode(controlling=row.controlling, warning=row.warning),
        status=budget_pb2.BudgetLineStatus.Value(f"BUDGET_LINE_STATUS_{row.status}"),
        figures=figures(row),
        valid_from=to_date(row.valid_from) if row.valid_from else None,
        valid_to=to_date(row.valid_to) if row.valid_to else None,
        last_fiscal_year=row.last_fiscal_year or row.fiscal_year,
        etag=hashlib.sha256(state.encode()).hexdigest()[:16],
    )


def report_row(row: Row[Any]) -> budget_pb2.ExecutionReportRow:
    """One row of the execution report."""
    return budget_pb2.ExecutionReportRow(
        organisation_code=row.organisation_code,
        account_code=row.account_code,
        budget_line_id=str(row.budget_line_id or ""),
        line_count=row.line_count,
        figures=figures(row),
    )


def report_level(number: int) -> str:
    """How rows are added up; per line when it is not said."""
    name = budget_pb2.ExecutionReportLevel.Name(number).removeprefix("EXECUTION_REPORT_LEVEL_")
    return "LINE" if name == "UNSPECIFIED" else name


def report_key(row: Row[Any]) -> list[str]:
    """What the report is ordered by."""
    return [row.organisation_code, row.account_code, f"{row.budget_line_id or ''}|{row.currency}"]


def report_message(
    rows: Sequence[Row[Any]], sums: Sequence[Row[Any]], next_page_token: str
) -> budget_pb2.GetExecutionReportResponse:
    """A page of the report with the sums over all of it."""
    if len(sums) > 1:
        raise MixedCurrencies(
            f"the lines are in {', '.join(row.currency for row in sums)}: ask for an agency or unit of one currency"
        )
    return budget_pb2.GetExecutionReportResponse(
        rows=[report_row(row) for row in rows],
        totals=figures(sums[0]) if sums else None,
        line_count=sums[0].line_count if sums else 0,
        next_page_token=next_page_token,
    )


class MixedCurrencies(FailedPrecondition):
    """A report would add amounts of several currencies."""

    reason = "MIXED_CURRENCIES"


def line_filter(request: Any) -> report_store.Filter:
    """Which lines a list or a report wants."""
    return report_store.Filter(
        agency_id=optional_uuid(request.agency_id, "agency_id"),
        fiscal_year=request.fiscal_year,
        organisation_code=request.organisation_code,
        account_prefix=request.account_prefix,
    )


def import_order(request: budget_pb2.ImportAppropriationRequest) -> Import:
    """The batch to import."""
    return Import(
        agency_id=to_uuid(request.agency_id, "agency_id"),
        fiscal_year=request.fiscal_year,
        appropriation_id=optional_uuid(request.appropriation_id, "appropriation_id"),
        document_number=request.document_number,
        lines=tuple(_new_line(line, nth) for nth, line in enumerate(request.lines)),
        control_total=from_money(request.control_total, "control_total"),
        last_year=request.last_fiscal_year,
        **{
            name: from_date(getattr(request, name), name)
            for name in ("valid_from", "valid_to")
            if request.HasField(name)
        },
    )


def _new_line(message: budget_pb2.AppropriationLine, nth: int) -> NewLine:
    return NewLine(
        fund_code=message.fund_code,
        organisation_code=message.organisation_code,
        program_code=message.program_code,
        account_code=message.account_code,
        function_code=message.function_code,
        location_code=message.location_code,
        project_code=message.project_code,
        funding_source_code=message.funding_source_code,
        line_no=message.line_no,
        display_name=message.display_name,
        original=from_money(message.original, f"lines[{nth}].original"),
        parent_id=optional_uuid(message.parent_budget_line_id, f"lines[{nth}].parent_budget_line_id"),
        **_control(message, nth),
    )


def _control(message: budget_pb2.AppropriationLine, nth: int) -> dict[str, bool]:
    """How the line is controlled; `uncontrolled` is the older word for one of the modes."""
    mode = message.control_mode
    if message.uncontrolled and mode not in (
        budget_pb2.BUDGET_CONTROL_MODE_UNSPECIFIED,
        budget_pb2.BUDGET_CONTROL_MODE_UNCONTROLLED,
    ):
        raise InvalidArgument.field(f"lines[{nth}].control_mode", "says another thing than uncontrolled")
    return {
        "uncontrolled": message.uncontrolled or mode == budget_pb2.BUDGET_CONTROL_MODE_UNCONTROLLED,
        "warning": mode == budget_pb2.BUDGET_CONTROL_MODE_WARNING,
    }


def appropriation_message(value: Appropriation) -> budget_pb2.Appropriation:
    """One appropriation."""
    return budget_pb2.Appropriation(
        name=resource_name(APPROPRIATIONS, value.appropriation_id),
        appropriation_id=str(value.appropriation_id),
        agency_id=str(value.agency_id),
        fiscal_year=value.fiscal_year,
        document_number=value.document_number,
        status=budget_pb2.AppropriationStatus.Value(f"APPROPRIATION_STATUS_{value.status.value}"),
        line_count=value.line_count,
        total=to_money(Money(value.total_minor, value.currency)),
        effective_on=to_date(value.effective_on) if value.effective_on else None,
        journal_entry_id=str(value.journal_entry_id or ""),
        etag=str(value.version),
        **_span(value.span),
    )


def _span(span: Span | None) -> dict[str, Any]:
    return {} if span is None else {"valid_from": to_date(span.valid_from), "valid_to": to_date(span.valid_to)}


def allotment_order(request: budget_pb2.AllotFundsRequest) -> AllotmentOrder:
    """The release to make."""
    return AllotmentOrder(
        agency_id=to_uuid(request.agency_id, "agency_id"),
        fiscal_year=request.fiscal_year,
        document_number=request.document_number,
        month_from=request.month_from,
        month_to=request.month_to,
        effective_on=from_date(request.effective_on, "effective_on"),
        lines=tuple(
            (
                to_uuid(line.budget_line_id, f"lines[{nth}].budget_line_id"),
                from_money(line.amount, f"lines[{nth}].amount"),
            )
            for nth, line in enumerate(request.lines)
        ),
        organisation_code=request.organisation_code,
        cumulative_share=(
            Fraction(from_decimal(request.cumulative_share, "cumulative_share"))
            if request.HasField("cumulative_share")
            else None
        ),
    )


def appropriation_id(name: str) -> UUID:
    """The id in `appropriations/{uuid}`."""
    return resource_id(APPROPRIATIONS, name)


def budget_line_id(name: str) -> UUID:
    """The id in `budgetLines/{uuid}`."""
    return resource_id(LINES, name)


# --- events ----------------------------------------------------------------------------------------------------

_FUNDS_EVENTS = {
    events.FundsReserved: budget_events_pb2.FundsReserved,
    events.FundsObligated: budget_events_pb2.FundsObligated,
    events.FundsReleased: budget_events_pb2.FundsReleased,
    events.FundsExpended: budget_events_pb2.FundsExpended,
    events.FundsRevalued: budget_events_pb2.FundsRevalued,
}


def _funds_event(event: events.FundsEvent) -> outbox.Envelope:
    message = _FUNDS_EVENTS[type(event)](
        agency_id=str(event.agency_id),
        document=document_message(event.document),
        items=[
            budget_events_pb2.FundsEventItem(
                document_line_id=str(item.document_line_id),
                budget_line_id=str(item.budget_line_id),
                funds_movement_id=str(item.funds_movement_id),
                amount=to_money(Money(item.amount_minor, item.currency)),
            )
            for item in event.items
        ],
    )
    return outbox.Envelope(message, event.document.document_id, event.agency_id, event.sequence)


for _event_class in _FUNDS_EVENTS:
    outbox.translates(_event_class)(_funds_event)


# By what each kind of movement is told.
EVENT_OF_MOVEMENT = {
    "RESERVE": budget_events_pb2.FundsReserved.DESCRIPTOR.full_name,
    "OBLIGATE": budget_events_pb2.FundsObligated.DESCRIPTOR.full_name,
    "TRUE_UP": budget_events_pb2.FundsObligated.DESCRIPTOR.full_name,
    "RELEASE": budget_events_pb2.FundsReleased.DESCRIPTOR.full_name,
    "EXPEND": budget_events_pb2.FundsExpended.DESCRIPTOR.full_name,
    "REVALUE": budget_events_pb2.FundsRevalued.DESCRIPTOR.full_name,
}
_CLASS_OF_EVENT = {each.DESCRIPTOR.full_name: each for each in _FUNDS_EVENTS.values()}


def told_movements(type_name: str, body: bytes) -> list[tuple[UUID, int]]:
    """The movements that a funds event as it was sent tells of, each with its amount in minor units."""
    message: Any = _CLASS_OF_EVENT[type_name].FromString(body)
    return [(to_uuid(item.funds_movement_id), from_money(item.amount).minor) for item in message.items]


@outbox.translates(events.FundsRefused)
def _refused(event: events.FundsRefused) -> outbox.Envelope:
    def money(minor: int) -> Any:
        return to_money(Money(minor, event.currency))

    message = budget_events_pb2.FundsRefused(
        agency_id=str(event.agency_id),
        document=document_message(event.document),
        budget_line_id=str(event.budget_line_id),
        asked=money(event.asked_minor),
        available=money(event.available_minor),
        short_by=money(event.asked_minor - event.available_minor),
        message=event.message,
    )
    return outbox.Envelope(message, event.document.document_id, event.agency_id, event.sequence)


@outbox.translates(events.AppropriationChanged)
def _appropriation_changed(event: events.AppropriationChanged) -> outbox.Envelope:
    message = budget_events_pb2.AppropriationChanged(
        appropriation_id=str(event.appropriation_id),
        agency_id=str(event.agency_id),
        fiscal_year=event.fiscal_year,
        document_number=event.document_number,
        line_count=event.line_count,
        total=to_money(Money(event.total_minor, event.currency)),
        effective_on=to_date(event.effective_on),
        **_span(event.span),
    )
    return outbox.Envelope(message, event.appropriation_id, event.agency_id, event.version)


@outbox.translates(events.FundsAllotted)
def _allotted(event: events.FundsAllotted) -> outbox.Envelope:
    message = budget_events_pb2.FundsAllotted(
        allotment_order_id=str(event.allotment_order_id),
        agency_id=str(event.agency_id),
        fiscal_year=event.fiscal_year,
        document_number=event.document_number,
        month_from=event.month_from,
        month_to=event.month_to,
        line_count=event.line_count,
        total=to_money(Money(event.total_minor, event.currency)),
    )
    return outbox.Envelope(message, event.allotment_order_id, event.agency_id, 1)
