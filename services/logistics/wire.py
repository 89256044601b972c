"""Between the wire and logistics' domain values: what several areas translate alike."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeVar
from uuid import UUID

from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.type import decimal_pb2

from chassis.saga import Accepted, Refused
from chassis.wire import from_decimal, to_timestamp
from kelola.logistics.v1 import catalog_pb2, funds_refusal_pb2
from services.logistics.catalog.domain import Treatment
from services.logistics.requisition.domain import Refusal

E = TypeVar("E", bound=StrEnum)


def to_enum(enum: EnumTypeWrapper, prefix: str, value: StrEnum | None) -> Any:
    """The wire's value of a domain enum; UNSPECIFIED for None."""
    return enum.Value(f"{prefix}_{value.value if value is not None else 'UNSPECIFIED'}")


def from_enum(enum: EnumTypeWrapper, prefix: str, number: int, domain: type[E]) -> E | None:
    """The domain's value of a wire enum; None for UNSPECIFIED. Unknown numbers were refused by validation."""
    name = enum.Name(number).removeprefix(f"{prefix}_")
    return None if name == "UNSPECIFIED" else domain(name)


def to_treatment(treatment: Treatment) -> Any:
    """GoodsTreatment of the wire."""
    return to_enum(catalog_pb2.GoodsTreatment, "GOODS_TREATMENT", treatment)


def from_treatment(number: int) -> Treatment | None:
    """GoodsTreatment of the wire as the domain has it; None when not set."""
    return from_enum(catalog_pb2.GoodsTreatment, "GOODS_TREATMENT", number, Treatment)


def optional_decimal(message: Any, name: str, field: str) -> Decimal | None:
    """The decimal in `message.name`, None when it is not set; errors name `field`."""
    if not message.HasField(name):
        return None
    value: decimal_pb2.Decimal = getattr(message, name)
    return from_decimal(value, field)


def text_of(identifier: UUID | None) -> str:
    """An id for the wire; empty when there is none."""
    return str(identifier) if identifier is not None else ""


def refusal_message(refusal: Refusal | None) -> funds_refusal_pb2.FundsRefusal | None:
    """Finance's refusal as the document shows it."""
    if refusal is None:
        return None
    return funds_refusal_pb2.FundsRefusal(
        reason=refusal.reason,
        message=refusal.message,
        figures=dict(refusal.figures),
        refuse_time=to_timestamp(refusal.refused_at),
    )


def refusal_of(outcome: Accepted | Refused, at: Any) -> Refusal | None:
    """What finance refused; None when it did what it was asked."""
    if isinstance(outcome, Accepted):
        return None
    figures: Mapping[str, str] = outcome.metadata
    return Refusal(outcome.reason, outcome.message[:2000], dict(figures), at)
