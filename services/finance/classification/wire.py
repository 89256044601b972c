"""Between the wire and the classification, both ways."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from chassis.ids import new_id
from chassis.wire import from_date, resource_name, to_date, to_uuid
from kelola.finance.v1 import account_pb2, fiscal_calendar_pb2
from services.finance.classification.domain import (
    Account,
    AccountMapping,
    Area,
    DimensionValue,
    FiscalPeriod,
    FiscalYear,
    Method,
)

ACCOUNTS = "accounts"
DIMENSION_VALUES = "dimensionValues"
MAPPINGS = "accountMappings"
FISCAL_YEARS = "fiscalYears"


def _validity(message: Any, field: str) -> tuple[date, date | None]:
    valid_from = from_date(message.valid_from, f"{field}.valid_from")
    valid_to = from_date(message.valid_to, f"{field}.valid_to") if message.HasField("valid_to") else None
    return valid_from, valid_to


def _set_validity(message: Any, valid_from: date, valid_to: date | None) -> None:
    message.valid_from.CopyFrom(to_date(valid_from))
    if valid_to is not None:
        message.valid_to.CopyFrom(to_date(valid_to))


def account(message: account_pb2.Account, field: str = "account") -> Account:
    """An account to be created, with a fresh id."""
    valid_from, valid_to = _validity(message, field)
    return Account(
        account_id=new_id(),
        code=message.code,
        parent_code=message.parent_code,
        display_name=message.display_name,
        english_name=message.english_name,
        kind=account_pb2.AccountKind.Name(message.kind).removeprefix("ACCOUNT_KIND_"),
        normal_side=account_pb2.NormalSide.Name(message.normal_side).removeprefix("NORMAL_SIDE_"),
        basis=account_pb2.Basis.Name(message.basis).removeprefix("BASIS_"),
        postable=message.postable,
        control=message.control,
        funds_control=message.funds_control,
        valid_from=valid_from,
        valid_to=valid_to,
    )


def account_message(account: Account) -> account_pb2.Account:
    """An account of the chart."""
    message = account_pb2.Account(
        name=resource_name(ACCOUNTS, account.account_id),
        account_id=str(account.account_id),
        code=account.code,
        parent_code=account.parent_code,
        display_name=account.display_name,
        english_name=account.english_name,
        kind=account_pb2.AccountKind.Value(f"ACCOUNT_KIND_{account.kind}"),
        normal_side=account_pb2.NormalSide.Value(f"NORMAL_SIDE_{account.normal_side}"),
        basis=account_pb2.Basis.Value(f"BASIS_{account.basis}"),
        postable=account.postable,
        control=account.control,
        funds_control=account.funds_control,
    )
    _set_validity(message, account.valid_from, account.valid_to)
    return message


def dimension_value(message: account_pb2.DimensionValue, field: str = "dimension_value") -> DimensionValue:
    """A dimension value to be created, with a fresh id."""
    valid_from, valid_to = _validity(message, field)
    return DimensionValue(
        dimension_value_id=new_id(),
        kind=dimension_kind(message.kind),
        code=message.code,
        parent_code=message.parent_code,
        display_name=message.display_name,
        valid_from=valid_from,
        valid_to=valid_to,
    )


def dimension_kind(value: int) -> str:
    """The dimension of a proto enum's number."""
    return account_pb2.DimensionKind.Name(value).removeprefix("DIMENSION_KIND_")


def dimension_value_message(value: DimensionValue) -> account_pb2.DimensionValue:
    """A dimension value."""
    message = account_pb2.DimensionValue(
        name=resource_name(DIMENSION_VALUES, value.dimension_value_id),
        dimension_value_id=str(value.dimension_value_id),
        kind=account_pb2.DimensionKind.Value(f"DIMENSION_KIND_{value.kind}"),
        code=value.code,
        parent_code=value.parent_code,
        display_name=value.display_name,
    )
    _set_validity(message, value.valid_from, value.valid_to)
    return message


def mapping(message: account_pb2.AccountMapping, field: str = "account_mapping") -> AccountMapping:
    """A mapping rule to be created, with a fresh id."""
    valid_from, valid_to = _validity(message, field)
    return AccountMapping(
        account_mapping_id=new_id(),
        role=message.role,
        expenditure_prefix=message.expenditure_prefix,
        method=Method(account_pb2.MappingMethod.Name(message.method).removeprefix("MAPPING_METHOD_")),
        account_code=message.account_code,
        legal_source=message.legal_source,
        valid_from=valid_from,
        valid_to=valid_to,
    )


def mapping_message(mapping: AccountMapping) -> account_pb2.AccountMapping:
    """A mapping rule."""
    message = account_pb2.AccountMapping(
        name=resource_name(MAPPINGS, mapping.account_mapping_id),
        account_mapping_id=str(mapping.account_mapping_id),
        role=mapping.role,
        expenditure_prefix=mapping.expenditure_prefix,
        method=account_pb2.MappingMethod.Value(f"MAPPING_METHOD_{mapping.method.value}"),
        account_code=mapping.account_code,
        legal_source=mapping.legal_source,
    )
    _set_validity(message, mapping.valid_from, mapping.valid_to)
    return message


def fiscal_year(message: fiscal_calendar_pb2.FiscalYear) -> FiscalYear:
    """A fiscal year to be created, with a fresh id."""
    return FiscalYear(
        fiscal_year_id=new_id(),
        agency_id=to_uuid(message.agency_id, "fiscal_year.agency_id"),
        year=message.year,
        functional_currency=message.functional_currency,
    )


def fiscal_year_message(year: FiscalYear) -> fiscal_calendar_pb2.FiscalYear:
    """A fiscal year."""
    message = fiscal_calendar_pb2.FiscalYear(
        name=resource_name(FISCAL_YEARS, year.fiscal_year_id),
        fiscal_year_id=str(year.fiscal_year_id),
        agency_id=str(year.agency_id),
        year=year.year,
        functional_currency=year.functional_currency,
        statements_document_number=year.statements_document_number,
    )
    if year.statements_issued_on is not None:
        message.statements_issued_on.CopyFrom(to_date(year.statements_issued_on))
    return message


def area(value: int) -> Area | None:
    """The area of a proto enum's number; None for unspecified."""
    return Area(fiscal_calendar_pb2.PeriodArea.Name(value).removeprefix("PERIOD_AREA_")) if value else None


def areas(values: Sequence[int]) -> list[Area]:
    """The areas of a request, each once."""
    return [Area(fiscal_calendar_pb2.PeriodArea.Name(v).removeprefix("PERIOD_AREA_")) for v in sorted(set(values))]


def period_message(period: FiscalPeriod) -> fiscal_calendar_pb2.FiscalPeriod:
    """A period in one area."""
    return fiscal_calendar_pb2.FiscalPeriod(
        agency_id=str(period.agency_id),
        year=period.year,
        number=period.number,
        area=fiscal_calendar_pb2.PeriodArea.Value(f"PERIOD_AREA_{period.area.value}"),
        state=fiscal_calendar_pb2.PeriodState.Value(f"PERIOD_STATE_{period.state.value}"),
        starts_on=to_date(period.starts_on),
        ends_on=to_date(period.ends_on),
    )
