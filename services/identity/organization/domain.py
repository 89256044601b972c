"""How a government is organised, and who owns a legal entity."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from uuid import UUID

from chassis.errors import Aborted, AlreadyExists, FailedPrecondition, InvalidArgument
from services.identity.number import domain as number
from services.identity.number.domain import NumberWarning

# Government, agency, work unit, section … : deeper is a loop of an importer, and every token pays for the depth.
DEPTH_MAX = 12


class AgencyKind(Enum):
    """What an agency is to its government; the names are those of the contract."""

    GOVERNMENT = 1
    AGENCY = 2
    TREASURY = 3


class OwnershipKind(Enum):
    """What a person is to a legal entity; the names are those of the contract."""

    SHAREHOLDER = 1
    DIRECTOR = 2
    BENEFICIAL_OWNER = 3


class AgencyExists(AlreadyExists):
    """The code is taken in this government, or the government has its treasury already."""

    reason = "AGENCY_EXISTS"


class AgencyChangedSince(Aborted):
    """Somebody else changed the agency since it was read."""

    reason = "ETAG_MISMATCH"


class TreeTooDeep(FailedPrecondition):
    """The new agency would stand too far below its government."""

    reason = "AGENCY_TREE_TOO_DEEP"


class LegalEntityExists(AlreadyExists):
    """The tax number is registered already."""

    reason = "LEGAL_ENTITY_EXISTS"


class OwnerUnknown(FailedPrecondition):
    """An owner is not in the registry of persons."""

    reason = "OWNER_UNKNOWN"


@dataclass(frozen=True)
class Agency:
    """An agency in the tree of its government; `version` counts the changes, from 1."""

    agency_id: UUID
    version: int
    parent_agency_id: UUID | None
    government_agency_id: UUID
    kind: AgencyKind
    code: str
    display_name: str
    region_code: str
    depth: int
    created_at: datetime
    updated_at: datetime

    @property
    def etag(self) -> str:
        """The version as the wire carries it."""
        return str(self.version)


@dataclass(frozen=True)
class NewAgency:
    """An agency that someone asks for."""

    parent_agency_id: UUID | None
    kind: AgencyKind
    code: str
    display_name: str
    region_code: str


@dataclass(frozen=True)
class AgencyCreated:
    """An agency was created."""

    agency: Agency


@dataclass(frozen=True)
class AgencyChanged:
    """The code or the name of an agency changed."""

    agency: Agency


def create(agency_id: UUID, order: NewAgency, *, parent: Agency | None, regions: Set[str], at: datetime) -> Agency:
    """The agency below `parent`, or a government when there is none."""
    if (parent is None) != (order.kind is AgencyKind.GOVERNMENT):
        raise InvalidArgument.field(
            "agency.kind", "a government, and only a government, stands without a parent_agency_id"
        )
    if parent is not None and parent.depth + 1 > DEPTH_MAX:
        raise TreeTooDeep(
            f"agency {parent.agency_id} stands {parent.depth} below its government; {DEPTH_MAX} is the limit",
            metadata={"parent_agency_id": str(parent.agency_id), "depth_max": str(DEPTH_MAX)},
        )
    if order.region_code and order.region_code not in regions:
        raise InvalidArgument.field(
            "agency.region_code", f"{order.region_code} is no region; give a Kemendagri code such as 11 or 11.71"
        )
    return Agency(
        agency_id=agency_id,
        version=1,
        parent_agency_id=parent.agency_id if parent else None,
        government_agency_id=parent.government_agency_id if parent else agency_id,
        kind=order.kind,
        code=_text(order.code, "agency.code"),
        display_name=_text(order.display_name, "agency.display_name"),
        region_code=order.region_code,
        depth=parent.depth + 1 if parent else 0,
        created_at=at,
        updated_at=at,
    )


def change(
    agency: Agency, *, code: str | None, display_name: str | None, etag: str, at: datetime
) -> tuple[Agency, bool]:
    """The agency with a new code or name (None keeps it) and whether anything differs.

    An empty `etag` overwrites whatever was there; another than the agency's is ABORTED (AIP-154).
    """
    if etag and etag != agency.etag:
        raise AgencyChangedSince(
            f"agency {agency.agency_id} was changed since etag {etag}; it is {agency.etag} now: get it again",
            metadata={"agency_id": str(agency.agency_id), "etag": agency.etag},
        )
    changed = replace(
        agency,
        code=agency.code if code is None else _text(code, "agency.code"),
        display_name=agency.display_name if display_name is None else _text(display_name, "agency.display_name"),
    )
    if changed == agency:
        return agency, False
    return replace(changed, version=agency.version + 1, updated_at=at), True


def _text(value: str, field: str) -> str:
    text = " ".join(value.split())
    if not text:
        raise InvalidArgument.field(field, "empty")
    return text


@dataclass(frozen=True)
class Owner:
    """A person who owns or directs a legal entity."""

    person_id: UUID
    kind: OwnershipKind


@dataclass(frozen=True)
class LegalEntity:
    """A company, cooperative or foundation, by its taxpayer number of 16 digits."""

    legal_entity_id: UUID
    display_name: str
    tax_number: str
    owners: tuple[Owner, ...]
    created_at: datetime

    def warnings(self) -> list[NumberWarning]:
        """What a registrar should look at."""
        return number.tax_number_warnings(number.tax_number(self.tax_number), national_id=None)


@dataclass(frozen=True)
class LegalEntityRegistered:
    """A legal entity was registered."""

    legal_entity_id: UUID
    display_name: str


def register_legal_entity(
    legal_entity_id: UUID, *, display_name: str, tax_number: str, owners: Iterable[Owner], at: datetime
) -> LegalEntity:
    """The entity as it goes into the registry, its owners in a fixed order."""
    listed = sorted(owners, key=lambda owner: (str(owner.person_id), owner.kind.value))
    if len(set(listed)) != len(listed):
        raise InvalidArgument.field("legal_entity.owners", "a person is named twice in the same kind")
    return LegalEntity(
        legal_entity_id,
        _text(display_name, "legal_entity.display_name"),
        number.entity_tax_number(tax_number, "legal_entity.tax_number").value,
        tuple(listed),
        at,
    )
