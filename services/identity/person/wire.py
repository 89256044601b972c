"""Persons between the wire and the domain."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from chassis import outbox
from chassis.errors import InvalidArgument
from chassis.wire import from_date, resource_name, to_date, to_timestamp
from kelola.identity.v1 import identity_number_pb2, person_events_pb2, person_pb2
from services.identity.number.domain import NumberWarning, Sex
from services.identity.number.regions import region_codes
from services.identity.person import domain
from services.identity.person.domain import Person, PersonDetails, PersonRegistered, PersonUpdated

COLLECTION = "persons"

_SEX = {person_pb2.SEX_FEMALE: Sex.FEMALE, person_pb2.SEX_MALE: Sex.MALE}
_SEX_WIRE = {sex: number for number, sex in _SEX.items()}
_OUTPUT_ONLY = frozenset({"name", "person_id", "etag", "view", "warnings", "created_at", "updated_at"})


def details(message: person_pb2.Person) -> PersonDetails:
    """The personal data of a person to register."""
    return PersonDetails(
        national_id=message.national_id,
        full_name=message.full_name,
        birth_date=from_date(message.birth_date, "person.birth_date"),
        sex=_sex(message),
        birth_place=message.birth_place,
        tax_number=message.tax_number,
        civil_servant_number=message.civil_servant_number,
        email=message.email,
        phone=message.phone,
    )


def _sex(message: person_pb2.Person) -> Sex:
    sex = _SEX.get(message.sex)
    if sex is None:
        raise InvalidArgument.field("person.sex", "not given; it is SEX_FEMALE or SEX_MALE")
    return sex


_READ: dict[str, Callable[[person_pb2.Person], Any]] = {
    "birth_date": lambda message: from_date(message.birth_date, "person.birth_date"),
    "sex": _sex,
}


def changes(request: person_pb2.UpdatePersonRequest) -> dict[str, Any]:
    """Field name to new value, for the paths of the mask. Output-only paths are passed over (AIP-203)."""
    paths: Iterable[str] = request.update_mask.paths
    wanted = sorted(domain.CHANGEABLE) if list(paths) == ["*"] else [path for path in paths if path not in _OUTPUT_ONLY]
    found = {}
    for path in wanted:
        if path not in domain.CHANGEABLE:
            raise InvalidArgument.field("update_mask", f"{path} cannot be changed, or is no field of a person")
        read = _READ.get(path)
        found[path] = read(request.person) if read else getattr(request.person, path)
    return found


def warning_numbers(warnings: Iterable[NumberWarning]) -> list[identity_number_pb2.IdentityNumberWarning.ValueType]:
    """The warnings as the contract numbers them, which is as the domain does."""
    return [identity_number_pb2.IdentityNumberWarning.ValueType(warning.value) for warning in warnings]


def person_message(person: Person, *, full: bool = False) -> person_pb2.Person:
    """The person, masked unless `full`."""
    known = person.details
    message = person_pb2.Person(
        name=resource_name(COLLECTION, person.person_id),
        person_id=str(person.person_id),
        etag=person.etag,
        view=person_pb2.PERSON_VIEW_FULL if full else person_pb2.PERSON_VIEW_BASIC,
        national_id_type=person.national_id_type,
        national_id=known.national_id if full else domain.masked_number(known.national_id),
        full_name=known.full_name if full else domain.masked_name(known.full_name),
        tax_number=known.tax_number if full else domain.masked_number(known.tax_number),
        civil_servant_number=(known.civil_servant_number if full else domain.masked_number(known.civil_servant_number)),
        warnings=warning_numbers(domain.warnings(known, region_codes())),
        created_at=to_timestamp(person.created_at),
        updated_at=to_timestamp(person.updated_at),
    )
    if full:
        message.birth_date.CopyFrom(to_date(known.birth_date))
        message.birth_place = known.birth_place
        message.sex = _SEX_WIRE[known.sex]
        message.email = known.email
        message.phone = known.phone
    return message


@outbox.translates(PersonRegistered)
def _registered(event: PersonRegistered) -> outbox.Envelope:
    return outbox.Envelope(
        message=person_events_pb2.PersonRegistered(person_id=str(event.person_id)),
        aggregate_id=event.person_id,
        agency_id=None,
        sequence=event.version,
    )


@outbox.translates(PersonUpdated)
def _updated(event: PersonUpdated) -> outbox.Envelope:
    return outbox.Envelope(
        message=person_events_pb2.PersonUpdated(person_id=str(event.person_id)),
        aggregate_id=event.person_id,
        agency_id=None,
        sequence=event.version,
    )
