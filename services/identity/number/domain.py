"""The numbers by which Indonesia knows its people and taxpayers: structure, and what can be read from it.

A number that cannot exist is refused; one that is odd is accepted and noted, since numbers are for life and the
registers have errors. No message repeats a number: it would put personal data into an error text.
"""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass
from datetime import date
from enum import Enum

from chassis.errors import InvalidArgument

NIK_TYPE = "id.nik"

_NIK_LENGTH = 16
_NIP_LENGTH = 18
_NPWP_LENGTH_BEFORE_2024 = 15
_NPWP_LENGTH = 16
# In the NIK a woman's day of birth is written plus 40 (UU 23/2006 as amended by UU 24/2013; PP 40/2019).
_NIK_WOMEN_DAY_OFFSET = 40
# An NI PPPK has a contract marker, 21 for the first contract, where a NIP has the month of appointment.
_PPPK_MARKER_MIN = 21


class IdentityNumberInvalid(InvalidArgument):
    """The number cannot exist."""

    reason = "IDENTITY_NUMBER_INVALID"


class Sex(Enum):
    """Sex, as the population register writes it."""

    FEMALE = "FEMALE"
    MALE = "MALE"


class NumberWarning(Enum):
    """Something about a number that a registrar should look at; the names are those of the contract."""

    NATIONAL_ID_BIRTH_DATE_DIFFERS = 1
    NATIONAL_ID_SEX_DIFFERS = 2
    NATIONAL_ID_REGION_UNKNOWN = 3
    TAX_NUMBER_CHECK_DIGIT_DIFFERS = 4
    TAX_NUMBER_NATIONAL_ID_DIFFERS = 5
    CIVIL_SERVANT_NUMBER_BIRTH_DATE_DIFFERS = 6
    CIVIL_SERVANT_NUMBER_SEX_DIFFERS = 7


@dataclass(frozen=True)
class Nik:
    """A national id (NIK): where it was issued, the day of birth without its century, the sex."""

    value: str
    province: str
    regency: str  # with its province: `32.73`
    birth_day: int
    birth_month: int
    birth_year: int  # the last two digits
    sex: Sex

    def fits_birth_date(self, day: date) -> bool:
        """Whether the number codes this day of birth, of whatever century."""
        return (day.day, day.month, day.year % 100) == (self.birth_day, self.birth_month, self.birth_year)


@dataclass(frozen=True)
class CivilServantNumber:
    """A civil servant's number: NIP (Peraturan Kepala BKN 22/2007), or NI PPPK for one on contract."""

    value: str
    birth_date: date
    appointment_year: int
    appointment_month: int | None  # None: on contract, whose number has no month
    sex: Sex


@dataclass(frozen=True)
class TaxNumber:
    """A taxpayer number (NPWP) in its form of 16 digits (PMK 112/PMK.03/2022 as amended by PMK 136/2023)."""

    value: str
    is_national_id: bool  # a resident individual's number is the NIK
    check_digit_fits: bool  # True for a national id, which has none


def _invalid(field: str, why: str) -> IdentityNumberInvalid:
    refusal = IdentityNumberInvalid.field(field, why)
    assert isinstance(refusal, IdentityNumberInvalid)
    return refusal


def _digits(text: str, length: int, field: str) -> str:
    if len(text) != length:
        raise _invalid(field, f"{len(text)} characters where the number has {length} digits")
    if not (text.isascii() and text.isdigit()):
        raise _invalid(field, f"something else than digits; the number is {length} digits")
    return text


def _day_exists(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def nik(text: str, field: str = "national_id") -> Nik:
    """The national id that `text` writes; IDENTITY_NUMBER_INVALID when there can be no such number.

    The NIK has no check digit. Its region is not looked up here: it is the one of the day of issue, and regions
    are split and renamed since.
    """
    value = _digits(text, _NIK_LENGTH, field)
    if value[:2] == "00" or value[2:4] == "00" or value[4:6] == "00":
        raise _invalid(field, "digits 1 to 6 name no region (a part is 00)")
    coded_day, month, year = int(value[6:8]), int(value[8:10]), int(value[10:12])
    sex = Sex.FEMALE if coded_day > _NIK_WOMEN_DAY_OFFSET else Sex.MALE
    day = coded_day - _NIK_WOMEN_DAY_OFFSET if sex is Sex.FEMALE else coded_day
    if not 1 <= month <= 12:
        raise _invalid(field, "digits 9 and 10 are no month (01 to 12)")
    # The century is not coded, so the day must exist in one of the two that living people were born in.
    if not (_day_exists(1900 + year, month, day) or _day_exists(2000 + year, month, day)):
        raise _invalid(field, "digits 7 to 12 are no day of the calendar (day 01 to 31, women 41 to 71)")
    if value[12:] == "0000":
        raise _invalid(field, "digits 13 to 16 are 0000; serials begin at 0001")
    return Nik(value, value[:2], f"{value[:2]}.{value[2:4]}", day, month, year, sex)


def civil_servant_number(text: str, field: str = "civil_servant_number") -> CivilServantNumber:
    """The NIP or NI PPPK that `text` writes, spaces as in its display form allowed."""
    value = _digits(text.replace(" ", ""), _NIP_LENGTH, field)
    year, month, day = int(value[:4]), int(value[4:6]), int(value[6:8])
    if not _day_exists(year, month, day):
        raise _invalid(field, "digits 1 to 8 are no day of birth (YYYYMMDD)")
    appointment_year, marker = int(value[8:12]), int(value[12:14])
    on_contract = marker >= _PPPK_MARKER_MIN
    if not on_contract and not 1 <= marker <= 12:
        raise _invalid(field, "digits 13 and 14 are neither a month (01 to 12) nor a contract's marker (21 and up)")
    appointed_at_the_latest = (appointment_year, 12 if on_contract else marker)
    if appointed_at_the_latest <= (year, month):
        raise _invalid(field, "the appointment (digits 9 to 14) is not after the birth (digits 1 to 8)")
    if value[14] not in "12":
        raise _invalid(field, "digit 15 is neither 1 (male) nor 2 (female)")
    if value[15:] == "000":
        raise _invalid(field, "digits 16 to 18 are 000; serials begin at 001")
    return CivilServantNumber(
        value,
        date(year, month, day),
        appointment_year,
        None if on_contract else marker,
        Sex.MALE if value[14] == "1" else Sex.FEMALE,
    )


def tax_number(text: str, field: str = "tax_number") -> TaxNumber:
    """The taxpayer number that `text` writes: 15 digits (also with its dots and dash), or 16.

    The check digit is noted, not enforced: the algorithm (Luhn over the first eight) was never published.
    """
    value = re.sub(r"[ .\-]", "", text)
    if len(value) == _NPWP_LENGTH_BEFORE_2024:
        value = f"0{value}"
    _digits(value, _NPWP_LENGTH, field)
    if not value.startswith("0"):
        return TaxNumber(nik(value, field).value, is_national_id=True, check_digit_fits=True)
    if value[1:10] == "0" * 9:
        raise _invalid(field, "the taxpayer part is all zeros")
    return TaxNumber(value, is_national_id=False, check_digit_fits=_luhn_check_digit(value[1:9]) == int(value[9]))


def entity_tax_number(text: str, field: str = "tax_number") -> TaxNumber:
    """The taxpayer number of a legal entity: never a national id."""
    number = tax_number(text, field)
    if number.is_national_id:
        raise _invalid(
            field, "this is the number of an individual; a legal entity's begins with 0 when written with 16 digits"
        )
    return number


def _luhn_check_digit(digits: str) -> int:
    doubled = [int(digit) * (2 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(digits))]
    return -sum(part // 10 + part % 10 for part in doubled) % 10


def national_id_warnings(number: Nik, *, birth_date: date, sex: Sex, regions: Set[str]) -> list[NumberWarning]:
    """What in a national id does not fit the person or today's table of regions (`regions`: `32.73`)."""
    warnings = []
    if not number.fits_birth_date(birth_date):
        warnings.append(NumberWarning.NATIONAL_ID_BIRTH_DATE_DIFFERS)
    if number.sex is not sex:
        warnings.append(NumberWarning.NATIONAL_ID_SEX_DIFFERS)
    if number.regency not in regions:
        warnings.append(NumberWarning.NATIONAL_ID_REGION_UNKNOWN)
    return warnings


def tax_number_warnings(number: TaxNumber, *, national_id: str | None) -> list[NumberWarning]:
    """What in a taxpayer number is odd; `national_id` is the person's own, None for a legal entity."""
    warnings = []
    if not number.check_digit_fits:
        warnings.append(NumberWarning.TAX_NUMBER_CHECK_DIGIT_DIFFERS)
    if number.is_national_id and number.value != national_id:
        warnings.append(NumberWarning.TAX_NUMBER_NATIONAL_ID_DIFFERS)
    return warnings


def civil_servant_number_warnings(number: CivilServantNumber, *, birth_date: date, sex: Sex) -> list[NumberWarning]:
    """What in a civil servant's number does not fit the person."""
    warnings = []
    if number.birth_date != birth_date:
        warnings.append(NumberWarning.CIVIL_SERVANT_NUMBER_BIRTH_DATE_DIFFERS)
    if number.sex is not sex:
        warnings.append(NumberWarning.CIVIL_SERVANT_NUMBER_SEX_DIFFERS)
    return warnings
