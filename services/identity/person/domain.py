"""A registered person: what may be registered, what changes, what is shown to whom."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

from chassis.errors import Aborted, AlreadyExists, FailedPrecondition, InvalidArgument
from services.identity.number import domain as number
from services.identity.number.domain import NIK_TYPE, NumberWarning, Sex

# The oldest age ever verified is 122 years; beyond it a birth date is a typing mistake.
_AGE_YEARS_MAX = 125
_SHOWN_DIGITS = 4
# What separates an address from a typing mistake; whether mail arrives is another question.
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_PHONE = re.compile(r"\+?[0-9][0-9 ()\-]{4,30}")


class PersonExists(AlreadyExists):
    """The national id, tax number or civil servant number is registered already."""

    reason = "PERSON_EXISTS"

    @classmethod
    def with_number(cls, field: str, person_id: UUID) -> PersonExists:
        """A refusal that names the known person by id and the field by name, and nothing personal."""
        return cls(
            f"{field}: a person with this number is registered already; use person {person_id}",
            metadata={"person_id": str(person_id), "field": field},
        )


class PersonChanged(Aborted):
    """Somebody else changed the person since it was read."""

    reason = "ETAG_MISMATCH"


class SealingKeyForeign(FailedPrecondition):
    """The registry was written under other keys than those at hand."""

    reason = "SEALING_KEY_FOREIGN"


@dataclass(frozen=True)
class PersonDetails:
    """Everything personal about a person. It is kept sealed as one, and never logged."""

    national_id: str
    full_name: str
    birth_date: date
    sex: Sex
    birth_place: str = ""
    tax_number: str = ""
    civil_servant_number: str = ""
    email: str = ""
    phone: str = ""

    def __repr__(self) -> str:
        # A representation ends up in tracebacks and logs.
        return "PersonDetails(…)"


# What UpdatePerson may change. The national id is for life.
CHANGEABLE = frozenset(field.name for field in fields(PersonDetails)) - {"national_id"}


@dataclass(frozen=True)
class Person:
    """A person in the registry; `version` counts the changes, from 1."""

    person_id: UUID
    version: int
    national_id_type: str
    details: PersonDetails
    created_at: datetime
    updated_at: datetime

    @property
    def etag(self) -> str:
        """The version as the wire carries it."""
        return str(self.version)


@dataclass(frozen=True)
class PersonRegistered:
    """A person was registered."""

    person_id: UUID
    version: int


@dataclass(frozen=True)
class PersonUpdated:
    """A person's data was changed."""

    person_id: UUID
    version: int


def register(person_id: UUID, details: PersonDetails, *, national_id_type: str, at: datetime, today: date) -> Person:
    """The person as it goes into the registry: numbers in their canonical form, texts without outer spaces."""
    if national_id_type not in ("", NIK_TYPE):
        raise InvalidArgument.field(
            "person.national_id_type", f"no country pack for this register; known is {NIK_TYPE}"
        )
    return Person(person_id, 1, NIK_TYPE, checked(details, today=today), at, at)


def change(person: Person, changes: Mapping[str, Any], *, etag: str, at: datetime, today: date) -> tuple[Person, bool]:
    """The person with `changes` (field name to value) and whether anything differs.

    An empty `etag` overwrites whatever was there; another than the person's is ABORTED (AIP-154).
    """
    if etag and etag != person.etag:
        raise PersonChanged(
            f"person {person.person_id} was changed since etag {etag}; it is {person.etag} now: get it again",
            metadata={"person_id": str(person.person_id), "etag": person.etag},
        )
    unknown = sorted(set(changes) - CHANGEABLE)
    if unknown:
        raise InvalidArgument.field("update_mask", f"{', '.join(unknown)} cannot be changed")
    details = checked(replace(person.details, **changes), today=today)
    if details == person.details:
        return person, False
    return replace(person, details=details, version=person.version + 1, updated_at=at), True


def checked(details: PersonDetails, *, today: date) -> PersonDetails:
    """The details in canonical form; INVALID_ARGUMENT for what cannot be."""
    full_name = " ".join(details.full_name.split())
    if not full_name:
        raise InvalidArgument.field("person.full_name", "empty; give the name as it is registered")
    if details.birth_date > today:
        raise InvalidArgument.field("person.birth_date", "after today")
    if today.year - details.birth_date.year > _AGE_YEARS_MAX:
        raise InvalidArgument.field("person.birth_date", f"more than {_AGE_YEARS_MAX} years ago")
    if details.email and not _EMAIL.fullmatch(details.email):
        raise InvalidArgument.field("person.email", "not of the form name@domain")
    if details.phone and not _PHONE.fullmatch(details.phone):
        raise InvalidArgument.field("person.phone", "not a telephone number: digits, spaces, + ( ) -")
    servant, tax = details.civil_servant_number, details.tax_number
    return replace(
        details,
        national_id=number.nik(details.national_id, "person.national_id").value,
        full_name=full_name,
        birth_place=" ".join(details.birth_place.split()),
        tax_number=number.tax_number(tax, "person.tax_number").value if tax else "",
        civil_servant_number=(
            number.civil_servant_number(servant, "person.civil_servant_number").value if servant else ""
        ),
    )


def warnings(details: PersonDetails, regions: Set[str]) -> list[NumberWarning]:
    """What a registrar should look at; `regions` are today's codes."""
    found = number.national_id_warnings(
        number.nik(details.national_id), birth_date=details.birth_date, sex=details.sex, regions=regions
    )
    if details.tax_number:
        found += number.tax_number_warnings(number.tax_number(details.tax_number), national_id=details.national_id)
    if details.civil_servant_number:
        found += number.civil_servant_number_warnings(
            number.civil_servant_number(details.civil_servant_number),
            birth_date=details.birth_date,
            sex=details.sex,
        )
    return found


def masked_number(value: str) -> str:
    """`************9991`: the last four, enough to tell two apart, too few to use."""
    return "*" * (len(value) - _SHOWN_DIGITS) + value[-_SHOWN_DIGITS:] if value else ""


def masked_name(full_name: str) -> str:
    """`S*** R***`: the first letter of each part; three stars each, so that lengths tell nothing."""
    return " ".join(f"{part[0]}***" for part in full_name.split())


def filled(details: PersonDetails, names: Iterable[str] | None = None) -> list[str]:
    """The names of the fields that hold something, of `names` or of all: what a full view discloses."""
    wanted = [field.name for field in fields(PersonDetails)] if names is None else list(names)
    return [name for name in wanted if getattr(details, name)]
