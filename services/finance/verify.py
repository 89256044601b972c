"""Whether finance's books hold, asked from outside by the reader's role (`kelola verify`)."""

from __future__ import annotations

from sqlalchemy import Connection

from chassis.told import compare, numbered, told, versions_that_were
from chassis.verify import Findings, Problem, together
from services.finance.billing import verify as billing
from services.finance.budget import verify as budget
from services.finance.imprest import verify as imprest
from services.finance.ledger import verify as ledger
from services.finance.payables import verify as payables
from services.finance.treasury import verify as treasury

_EVENTS = "kelola.finance.v1."
# InvoiceHeld is not here: an invoice is matched anew with every receipt, and held again when the reasons change.
TOLD = (
    told(f"{_EVENTS}JournalEntryPosted", "journal_entry", "journal_entry_id"),
    told(f"{_EVENTS}AppropriationChanged", "appropriation", "appropriation_id", where="status = 'ACTIVE'"),
    told(f"{_EVENTS}FundsAllotted", "allotment_order", "allotment_order_id"),
    told(f"{_EVENTS}FundsRefused", "funds_refusal", "document_id", born="funds_refusal_id"),
    told(f"{_EVENTS}InvoiceApproved", "invoice", "invoice_id", where="status in ('APPROVED', 'PAID')"),
    told(f"{_EVENTS}PaymentRequested", "payment_request", "payment_request_id"),
    told(
        f"{_EVENTS}PaymentAuthorised",
        "payment_request",
        "payment_request_id",
        where="authorised_by_person_id is not null",
    ),
    told(f"{_EVENTS}PaymentOrdered", "payment_order", "payment_order_id", where="order_number is not null"),
    told(f"{_EVENTS}PaymentMade", "payment_order", "payment_order_id", where="status = 'DEBITED'"),
    told(f"{_EVENTS}PaymentRejected", "payment_order", "payment_order_id", where="status = 'REJECTED'"),
)

NUMBERED = (
    numbered(f"{_EVENTS}InvoiceApproved", f"{_EVENTS}InvoiceHeld", table="invoice", key="invoice_id"),
    numbered(
        f"{_EVENTS}PaymentRequested",
        f"{_EVENTS}PaymentAuthorised",
        table="payment_request",
        key="payment_request_id",
    ),
    numbered(
        *(f"{_EVENTS}Payment{what}" for what in ("Ordered", "Made", "Rejected")),
        table="payment_order",
        key="payment_order_id",
    ),
)


def effects(connection: Connection) -> Findings:
    """I6: each effect and its one event, and each movement of funds in one event."""
    return together(
        [
            compare(connection, TOLD),
            versions_that_were(connection, NUMBERED),
            budget.movements_told(connection),
        ]
    )


def problems(connection: Connection) -> list[Problem]:
    """What does not hold: I1 to I4, F1 to F7, and the tie between ledger and funds."""
    return [
        *ledger.problems(connection),
        *budget.problems(connection),
        *payables.problems(connection),
        *billing.problems(connection),
        *imprest.problems(connection),
        *treasury.problems(connection),
    ]
