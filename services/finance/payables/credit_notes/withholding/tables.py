"""The table of what is withheld no more. Behind the agency wall: `agency_id` is the agency that paid."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Text, Uuid, text
from sqlmodel import Field

from chassis.tables import minor_field, uuid_key
from services.finance.tables import FinanceTable


class CreditNoteWithholdingRow(FinanceTable, table=True):
    """Of one line of an approved credit note on a paid invoice: what of one kind is withheld no more, in the books'
    currency. A refund takes it off what the treasury owes, an offset off what the next payment withholds."""

    __tablename__ = "credit_note_withholding"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="above_zero"),
        Index(
            "ix_credit_note_withholding_remittance",
            "withholding_remittance_id",
            postgresql_where=text("withholding_remittance_id is not null"),
        ),
        Index(
            "ix_credit_note_withholding_waiting",
            *("withholding_code", "fund_code"),
            postgresql_where=text("withholding_remittance_id is null"),
        ),
    )

    credit_note_id: UUID = uuid_key()
    purchase_order_line_id: UUID = uuid_key()
    withholding_code: str = Field(sa_type=Text, primary_key=True)
    agency_id: UUID = Field(sa_type=Uuid)
    fund_code: str = Field(sa_type=Text)
    amount_minor: int = minor_field()
    # The live remittance that is less by it.
    withholding_remittance_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
