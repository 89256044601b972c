"""`verify` finds what a superuser breaks in remittances, late interest, offsets and charges of the bank."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from chassis.migrate import sqlalchemy_url
from services.finance.payables import verify as payables_verify
from services.finance.treasury import verify as treasury_verify
from tests.integration.finance.books import YEAR, Books
from tests.integration.finance.test_payables_late_interest import Late
from tests.integration.finance.test_payables_offsets import Offsets
from tests.integration.finance.test_payables_remittances import Remitting
from tests.integration.finance.test_treasury_charges import Charges


@pytest.fixture(scope="module")
def lived(books: Books) -> dict[str, str]:
    """One of each, approved; ids by name."""
    remitting, late, offsets, charges = Remitting(books), Late(books), Offsets(books), Charges(books)
    remittance = remitting.approved(remitting.proposed())
    charge = late.approved(late.proposed(date(YEAR, 4, 23)))
    offset = offsets.approved(offsets.proposed(offsets.note()))
    fee = charges.approved(charges.proposed(charges.entry()))
    assert [*remitting.bank.problems(), *charges.bank.problems()] == []
    return {
        "treasury": remitting.bank.treasury_id,
        "remittance": remittance.withholding_remittance_id,
        "charge": charge.late_interest_charge_id,
        "offset": offset.credit_offset_id,
        "note": offset.credit_note_id,
        "payable": offset.payable_id,
        "fee": fee.bank_charge_id,
        "entry": fee.bank_entry_id,
    }


# What is said of it, and how it was broken.
BROKEN = {
    "what is withheld in": "update account_balance set credit_minor = credit_minor + 1"
    " where agency_id = :treasury and account_code = '2.1.01.06.01'",
    "what it collects sums to": "update withholding_remittance set amount_minor = amount_minor + 1"
    " where withholding_remittance_id = :remittance",
    "of it is in remittances": "update withholding_remittance_item set amount_minor = amount_minor + 1"
    " where withholding_remittance_id = :remittance",
    "its payable is of": "update late_interest_charge set amount_minor = amount_minor + 1"
    " where late_interest_charge_id = :charge",
    "is charged twice for": "insert into late_interest_charge (late_interest_charge_id, agency_id, late_payable_id,"
    " source_document_number, creditor, budget_line_id, currency, from_on, until_on, amount_minor, status,"
    " created_by_person_id, created_at, version)"
    " select gen_random_uuid(), agency_id, late_payable_id, source_document_number, creditor, budget_line_id, currency,"
    " until_on, until_on, 1, 'PROPOSED', created_by_person_id, created_at, 1 from late_interest_charge"
    " where late_interest_charge_id = :charge",
    "its offsets sum to": "update payable set offset_minor = offset_minor + 1 where payable_id = :payable",
    "set off are": "update credit_note set status = 'RECEIVABLE' where credit_note_id = :note",
    "the refund account holds": "update credit_note set status = 'RECEIVABLE' where credit_note_id = :note",
    "its entry of the bank is": "update bank_charge set amount_minor = amount_minor + 1 where bank_charge_id = :fee",
    "its entry in the books": "update bank_entry set amount_minor = amount_minor + 1 where bank_entry_id = :entry",
    "remittance % was approved by": "alter table withholding_remittance"
    " drop constraint ck_withholding_remittance_maker_is_not_checker;"
    " update withholding_remittance set approved_by_person_id = created_by_person_id"
    " where withholding_remittance_id = :remittance",
    "late interest % was approved by": "alter table late_interest_charge"
    " drop constraint ck_late_interest_charge_maker_is_not_checker;"
    " update late_interest_charge set approved_by_person_id = created_by_person_id"
    " where late_interest_charge_id = :charge",
    "offset % was approved by": "alter table credit_offset drop constraint ck_credit_offset_maker_is_not_checker;"
    " update credit_offset set approved_by_person_id = created_by_person_id where credit_offset_id = :offset",
    "bank charge % was approved by": "alter table bank_charge drop constraint ck_bank_charge_maker_is_not_checker;"
    " update bank_charge set approved_by_person_id = created_by_person_id where bank_charge_id = :fee",
}


@pytest.mark.parametrize("said", BROKEN)
def test_verify_finds_what_was_broken(books: Books, lived: dict[str, str], said: str):
    engine = create_engine(sqlalchemy_url(books.superuser_url), poolclass=NullPool)

    with engine.connect() as connection:
        for statement in BROKEN[said].split(";"):
            names = {name: value for name, value in lived.items() if f":{name}" in statement}
            connection.execute(text(statement), names)
        found = [
            problem.what for problem in (*payables_verify.problems(connection), *treasury_verify.problems(connection))
        ]
        connection.rollback()

    first, _, rest = said.partition("%")
    assert [what for what in found if first in what and rest in what], found
