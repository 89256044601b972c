"""National ids, civil servant numbers, taxpayer numbers: every case of the country's data, and properties."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import pytest
import stdnum.id.nik
from hypothesis import given
from hypothesis import strategies as st

from services.identity.number import domain
from services.identity.number.domain import IdentityNumberInvalid, NumberWarning, Sex
from services.identity.number.regions import region_codes

DATA = json.loads((Path(__file__).parents[3] / "data/id/identity_numbers.json").read_text(encoding="utf-8"))
SEX = {"male": Sex.MALE, "female": Sex.FEMALE}


@pytest.mark.parametrize("case", DATA["nik_valid"], ids=lambda case: case["value"])
def test_a_valid_nik_tells_region_birth_and_sex(case):
    number = domain.nik(case["value"])

    assert (number.province, number.regency) == (case["province"], case["regency"])
    assert f"{number.birth_day:02d}-{number.birth_month:02d}-{number.birth_year:02d}" == case["birth"]
    assert number.sex is SEX[case["sex"]]


@pytest.mark.parametrize("case", DATA["nik_invalid"], ids=lambda case: case["reason"])
def test_an_impossible_nik_is_refused_without_being_repeated(case):
    with pytest.raises(IdentityNumberInvalid) as refused:
        domain.nik(case["value"])

    assert case["value"] not in str(refused.value)
    assert refused.value.violations[0].field == "national_id"


@pytest.mark.parametrize("case", DATA["nip_valid"], ids=lambda case: case["value"])
def test_a_valid_nip_tells_birth_appointment_and_sex(case):
    number = domain.civil_servant_number(case["value"])

    assert number.birth_date.isoformat() == case["birth"]
    assert f"{number.appointment_year}-{number.appointment_month:02d}" == case["appointed"]
    assert number.sex is SEX[case["sex"]]


@pytest.mark.parametrize("case", DATA["nip_invalid"], ids=lambda case: case["reason"])
def test_an_impossible_nip_is_refused_without_being_repeated(case):
    with pytest.raises(IdentityNumberInvalid) as refused:
        domain.civil_servant_number(case["value"])

    assert case["value"] not in str(refused.value)


def test_a_nip_may_be_written_as_it_is_displayed():
    assert domain.civil_servant_number("19660801 198803 1 001").value == "196608011988031001"


def test_the_number_of_a_contract_civil_servant_has_a_marker_for_the_month():
    number = domain.civil_servant_number(DATA["ni_pppk"]["example"])

    assert (number.appointment_year, number.appointment_month, number.sex) == (2022, None, Sex.MALE)


@pytest.mark.parametrize("marker", range(13, 21))
def test_what_is_neither_month_nor_contract_marker_is_refused(marker):
    with pytest.raises(IdentityNumberInvalid):
        domain.civil_servant_number(f"199008172022{marker}1999")


@pytest.mark.parametrize("case", DATA["npwp_examples"], ids=lambda case: case["npwp16"])
def test_an_entity_number_is_the_same_in_15_digits_16_digits_and_as_displayed(case):
    numbers = [domain.tax_number(case[form]) for form in ("npwp15", "npwp16", "display")]

    assert {number.value for number in numbers} == {case["npwp16"]}
    assert all(number.check_digit_fits and not number.is_national_id for number in numbers)


def test_a_wrong_check_digit_is_noted_and_not_refused():
    number = domain.tax_number("0999999997999000")

    assert domain.tax_number_warnings(number, national_id=None) == [NumberWarning.TAX_NUMBER_CHECK_DIGIT_DIFFERS]


def test_a_tax_number_of_16_digits_without_a_leading_zero_is_a_national_id():
    number = domain.tax_number("3273991708909991")

    assert number.is_national_id
    assert domain.tax_number_warnings(number, national_id="3273991708909991") == []
    assert domain.tax_number_warnings(number, national_id="3273991708909992") == [
        NumberWarning.TAX_NUMBER_NATIONAL_ID_DIFFERS
    ]


@pytest.mark.parametrize(
    "text", ["", "12345", "3273991713909991", "0000000000999000", "09999999989990001", "٠999999998999000"]
)
def test_an_impossible_tax_number_is_refused(text):
    with pytest.raises(IdentityNumberInvalid):
        domain.tax_number(text)


def test_an_individuals_number_is_none_of_a_legal_entity():
    with pytest.raises(IdentityNumberInvalid):
        domain.entity_tax_number("3273991708909991")


def test_every_region_of_the_table_is_known_and_an_old_code_is_only_noted():
    number = domain.nik("3273991708909991")

    assert len(region_codes()) == 38 + 514
    known = {"birth_date": date(1990, 8, 17), "sex": Sex.MALE}
    assert domain.national_id_warnings(number, **known, regions=region_codes()) == []
    assert domain.national_id_warnings(number, **known, regions=frozenset()) == [
        NumberWarning.NATIONAL_ID_REGION_UNKNOWN
    ]


def test_what_does_not_fit_the_person_is_noted():
    number = domain.nik("3273991708909991")
    servant = domain.civil_servant_number("199008172015031999")
    other = {"birth_date": date(1990, 8, 18), "sex": Sex.FEMALE}

    assert domain.national_id_warnings(number, **other, regions=region_codes()) == [
        NumberWarning.NATIONAL_ID_BIRTH_DATE_DIFFERS,
        NumberWarning.NATIONAL_ID_SEX_DIFFERS,
    ]
    assert domain.civil_servant_number_warnings(servant, **other) == [
        NumberWarning.CIVIL_SERVANT_NUMBER_BIRTH_DATE_DIFFERS,
        NumberWarning.CIVIL_SERVANT_NUMBER_SEX_DIFFERS,
    ]


born = st.dates(date(1926, 1, 1), date(2025, 12, 31))


@given(
    region=st.tuples(st.integers(11, 99), st.integers(1, 99), st.integers(1, 99)),
    born=born,
    sex=st.sampled_from(Sex),
    serial=st.integers(1, 9999),
)
def test_whoever_was_born_has_a_nik_that_fits_and_stdnum_reads_the_same_day(region, born, sex, serial):
    day = born.day + (40 if sex is Sex.FEMALE else 0)
    value = "".join(f"{part:02d}" for part in (*region, day, born.month, born.year % 100)) + f"{serial:04d}"

    number = domain.nik(value)

    assert number.fits_birth_date(born)
    assert number.sex is sex
    # The other implementation reads the same day; its century is a guess.
    assert number.fits_birth_date(stdnum.id.nik.get_birth_date(value))


@given(st.text(alphabet="0123456789O ٣.-", min_size=0, max_size=20))
def test_any_text_is_a_number_or_a_named_refusal(text):
    for read in (domain.nik, domain.civil_servant_number, domain.tax_number, domain.entity_tax_number):
        try:
            value = read(text).value
        except IdentityNumberInvalid:
            continue
        assert value.isascii()
        assert value.isdigit()
        assert read(value).value == value


@given(born=born, days=st.integers(-400, 400), sex=st.sampled_from("12"), serial=st.integers(1, 999))
def test_a_nip_is_refused_exactly_when_the_appointment_is_not_after_the_month_of_birth(born, days, sex, serial):
    appointed = born + timedelta(days=days)
    text = f"{born:%Y%m%d}{appointed:%Y%m}{sex}{serial:03d}"

    if (appointed.year, appointed.month) > (born.year, born.month):
        assert domain.civil_servant_number(text).birth_date == born
    else:
        with pytest.raises(IdentityNumberInvalid):
            domain.civil_servant_number(text)
