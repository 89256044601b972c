"""Where documents stand, between the wire and the domain: no decisions."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Row

from chassis.wire import resource_id, resource_name, to_date, to_money, to_timestamp
from kelola.finance.v1 import document_status_pb2
from services.finance.approval.domain import Route
from services.finance.approval.wire import route_message
from services.finance.documents.domain import DocumentKind, Holder, Possible, Standing

STATUSES = "documentStatuses"
_KIND = "DOCUMENT_KIND_"


def document_id(name: str, field: str = "name") -> UUID:
    """The document's id in `documentStatuses/{uuid}`."""
    return resource_id(STATUSES, name, field)


def optional_kind(number: int) -> DocumentKind | None:
    """A kind to filter by; None for any."""
    if not number:
        return None
    return DocumentKind(document_status_pb2.DocumentKind.Name(number).removeprefix(_KIND))


def _kind_number(kind: DocumentKind) -> Any:
    return document_status_pb2.DocumentKind.Value(f"{_KIND}{kind.value}")


def status_message(one: Standing) -> document_status_pb2.DocumentStatus:
    """Where a document is, who has it, since when, what next."""
    state = one.state
    return document_status_pb2.DocumentStatus(
        name=resource_name(STATUSES, state.document_id),
        document_status_id=str(state.document_id),
        agency_id=str(state.agency_id),
        document_kind=_kind_number(state.kind),
        document_name=resource_name(one.collection, state.document_id),
        document_number=state.number,
        amount=None if state.amount is None else to_money(state.amount),
        status=state.status,
        since=to_timestamp(state.since),
        due_at=None if one.due_at is None else to_timestamp(one.due_at),
        holders=[_holder_message(holder) for holder in one.holders],
        next_acts=[_act_message(act) for act in one.possible],
        approval=_approval(one.route),
        carried_by=resource_name(STATUSES, one.carried_by) if one.carried_by else "",
        due_on=None if one.due_on is None else to_date(one.due_on),
    )


def _approval(route: Route | None) -> Any:
    return None if route is None else route_message(route)


def _holder_message(one: Holder) -> document_status_pb2.DocumentHolder:
    return document_status_pb2.DocumentHolder(
        display_name=one.what,
        roles=one.roles,
        since=to_timestamp(one.since),
        due_at=None if one.due_at is None else to_timestamp(one.due_at),
        approval_step_id=str(one.approval_step_id or ""),
        deputy_person_ids=[str(person) for person in one.deputies],
        only_person_ids=[str(person) for person in one.only],
        excluded_person_ids=[str(person) for person in one.apart],
    )


def _act_message(one: Possible) -> document_status_pb2.NextAct:
    return document_status_pb2.NextAct(
        rpc=one.rpc,
        permission=one.permission,
        roles=one.roles,
        only_person_ids=[str(person) for person in one.only],
        excluded_person_ids=[str(person) for person in one.apart],
        waits_for=one.waits_for,
    )


def act_message(row: Row[Any]) -> document_status_pb2.DocumentAct:
    """One act on a document."""
    return document_status_pb2.DocumentAct(
        act=row.act,
        approval_step=row.approval_step,
        person_id=str(row.person_id or ""),
        on_behalf_of_person_id=str(row.on_behalf_of_person_id or ""),
        reason=row.reason,
        status_before=row.status_before or "",
        status=row.status or "",
        recorded_at=to_timestamp(row.recorded_at),
    )
