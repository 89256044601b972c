"""Persons: what may be registered, what changes, what is shown."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from uuid import UUID

import pytest

from chassis.errors import InvalidArgument
from services.identity.number.domain import NumberWarning, Sex
from services.identity.person import domain
from services.identity.person.domain import PersonChanged, PersonDetails

AT = datetime(2026, 1, 5, 3, tzinfo=UTC)
TODAY = date(2026, 1, 5)
PERSON_ID = UUID("0198c0de-0000-7000-8000-000000000001")


def details(**fields) -> PersonDetails:
    known = {
        "national_id": "3273991708909991",
        "full_name": "Budi Santoso",
        "birth_date": date(1990, 8, 17),
        "sex": Sex.MALE,
    }
    return PersonDetails(**{**known, **fields})


def registered(**fields) -> domain.Person:
    return domain.register(PERSON_ID, details(**fields), national_id_type="", at=AT, today=TODAY)


def test_a_person_is_registered_in_canonical_form():
    person = registered(
        full_name="  Budi   Santoso ",
        tax_number="99.999.999.8-999.000",
        civil_servant_number="19900817 201503 1 999",
    )

    assert person.version == 1
    assert person.national_id_type == "id.nik"
    assert person.details.full_name == "Budi Santoso"
    assert person.details.tax_number == "0999999998999000"
    assert person.details.civil_servant_number == "199008172015031999"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("full_name", "   "),
        ("birth_date", date(2026, 1, 6)),
        ("birth_date", date(1900, 12, 31)),
        ("national_id", "3273991713909991"),
        ("tax_number", "12"),
        ("civil_servant_number", "199008172015033999"),
        ("email", "budi at example"),
        ("phone", "call me"),
    ],
)
def test_what_cannot_be_is_refused_by_the_name_of_its_field(field, value):
    with pytest.raises(InvalidArgument) as refused:
        registered(**{field: value})

    assert refused.value.violations[0].field == f"person.{field}"


def test_another_countrys_register_needs_its_country_pack():
    with pytest.raises(InvalidArgument):
        domain.register(PERSON_ID, details(), national_id_type="fr.nir", at=AT, today=TODAY)


def test_a_change_counts_the_version_and_one_that_changes_nothing_does_not():
    person = registered()

    changed, differs = domain.change(person, {"phone": "+62 22 1234567"}, etag="1", at=AT, today=TODAY)
    same, differs_again = domain.change(changed, {"phone": "+62 22 1234567"}, etag="", at=AT, today=TODAY)

    assert (changed.version, differs) == (2, True)
    assert (same, differs_again) == (changed, False)


def test_a_stale_etag_is_refused_with_the_present_one():
    person = replace(registered(), version=7)

    with pytest.raises(PersonChanged) as refused:
        domain.change(person, {"phone": ""}, etag="6", at=AT, today=TODAY)

    assert refused.value.metadata["etag"] == "7"


def test_the_national_id_is_for_life():
    with pytest.raises(InvalidArgument):
        domain.change(registered(), {"national_id": "3273991708909992"}, etag="", at=AT, today=TODAY)


def test_masks_show_enough_to_tell_two_apart_and_no_more():
    assert domain.masked_number("3273991708909991") == "************9991"
    assert domain.masked_number("") == ""
    assert domain.masked_name("Ni Luh Ayu Budi") == "N*** L*** A*** B***"


def test_warnings_come_from_every_number():
    found = domain.warnings(
        details(sex=Sex.FEMALE, tax_number="0999999997999000", civil_servant_number="199008172015031999"),
        frozenset({"32.73"}),
    )

    assert found == [
        NumberWarning.NATIONAL_ID_SEX_DIFFERS,
        NumberWarning.TAX_NUMBER_CHECK_DIGIT_DIFFERS,
        NumberWarning.CIVIL_SERVANT_NUMBER_SEX_DIFFERS,
    ]


def test_a_persons_details_do_not_show_themselves_in_logs():
    assert "Budi" not in repr(registered())
    assert "3273" not in str(registered())
