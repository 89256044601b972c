"""The agency tree and legal entities."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from chassis.errors import InvalidArgument
from services.identity.number.domain import NumberWarning
from services.identity.organization import domain
from services.identity.organization.domain import (
    DEPTH_MAX,
    AgencyChangedSince,
    AgencyKind,
    NewAgency,
    Owner,
    OwnershipKind,
    TreeTooDeep,
)

AT = datetime(2026, 1, 5, 3, tzinfo=UTC)
ROOT, CHILD, PERSON = UUID(int=1), UUID(int=2), UUID(int=3)


def order(kind: AgencyKind = AgencyKind.AGENCY, **fields) -> NewAgency:
    known = {"parent_agency_id": None, "code": "1.02", "display_name": "Dinas Kesehatan", "region_code": ""}
    return NewAgency(**{**known, "kind": kind, **fields})


def government(**fields) -> domain.Agency:
    found = order(AgencyKind.GOVERNMENT, code="11", region_code="11")
    return replace(domain.create(ROOT, found, parent=None, regions=frozenset({"11"}), at=AT), **fields)


def below(parent: domain.Agency, **fields) -> domain.Agency:
    return domain.create(CHILD, order(**fields), parent=parent, regions=frozenset(), at=AT)


def test_a_government_is_the_root_of_its_own_tree():
    root = government()

    assert (root.depth, root.parent_agency_id, root.government_agency_id) == (0, None, ROOT)


def test_an_agency_stands_one_below_its_parent_in_the_same_government():
    agency = below(government(), display_name=" Dinas   Kesehatan")

    assert (agency.depth, agency.parent_agency_id, agency.government_agency_id) == (1, ROOT, ROOT)
    assert agency.display_name == "Dinas Kesehatan"


def test_only_a_government_stands_without_a_parent():
    with pytest.raises(InvalidArgument):
        domain.create(CHILD, order(), parent=None, regions=frozenset(), at=AT)
    with pytest.raises(InvalidArgument):
        below(government(), kind=AgencyKind.GOVERNMENT)


def test_the_tree_has_a_last_level():
    assert below(government(depth=DEPTH_MAX - 1)).depth == DEPTH_MAX

    with pytest.raises(TreeTooDeep):
        below(government(depth=DEPTH_MAX))


def test_a_region_must_be_in_the_table():
    with pytest.raises(InvalidArgument):
        domain.create(
            ROOT, order(AgencyKind.GOVERNMENT, region_code="00"), parent=None, regions=frozenset({"11"}), at=AT
        )


def test_a_change_counts_the_version_and_a_stale_etag_is_refused():
    agency, differs = domain.change(government(), code=None, display_name="Pemerintah Aceh", etag="1", at=AT)

    assert (agency.version, agency.code, differs) == (2, "11", True)
    assert domain.change(agency, code="11", display_name=None, etag="2", at=AT) == (agency, False)
    with pytest.raises(AgencyChangedSince):
        domain.change(agency, code="12", display_name=None, etag="1", at=AT)


def test_a_legal_entity_has_an_entitys_number_and_each_owner_once_in_a_kind():
    owner = Owner(PERSON, OwnershipKind.DIRECTOR)

    entity = domain.register_legal_entity(
        ROOT, display_name="CV Maju", tax_number="99.999.999.8-999.000", owners=[owner], at=AT
    )

    assert (entity.tax_number, entity.owners, entity.warnings()) == ("0999999998999000", (owner,), [])
    with pytest.raises(InvalidArgument):
        domain.register_legal_entity(
            ROOT, display_name="CV Maju", tax_number="999999998999000", owners=[owner, owner], at=AT
        )
    with pytest.raises(InvalidArgument):
        domain.register_legal_entity(ROOT, display_name="Budi", tax_number="3273991708909991", owners=[], at=AT)


def test_an_odd_check_digit_of_a_legal_entity_is_noted():
    entity = domain.register_legal_entity(ROOT, display_name="CV Maju", tax_number="999999997999000", owners=[], at=AT)

    assert entity.warnings() == [NumberWarning.TAX_NUMBER_CHECK_DIGIT_DIFFERS]
