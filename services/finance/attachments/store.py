"""SQL of files and attachments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlmodel import Session

from services.finance.attachments.domain import Attachment, Content

# What files may be attached to: a document's kind (the collection of its resource name), its table and its key.
# Each table has the agency of the document; the treasury's part in a payment order is no document of its own.
DOCUMENTS = {
    "journalEntries": ("journal_entry", "journal_entry_id"),
    "jointEntries": ("joint_entry_leg", "joint_entry_id"),
    "invoices": ("invoice", "invoice_id"),
    "creditNotes": ("credit_note", "credit_note_id"),
    "paymentRequests": ("payment_request", "payment_request_id"),
    "paymentOrders": ("payment_order", "payment_order_id"),
    "bills": ("bill", "bill_id"),
    "prepayments": ("prepayment", "prepayment_id"),
    "imprests": ("imprest", "imprest_id"),
    "imprestVouchers": ("imprest_voucher", "imprest_voucher_id"),
    "appropriations": ("appropriation", "appropriation_id"),
    "budgetChanges": ("budget_change", "budget_change_id"),
    "budgetOverrides": ("budget_override", "budget_override_id"),
    "budgetRequests": ("budget_request", "budget_request_id"),
    "approvalRuleChanges": ("approval_rule_change", "approval_rule_change_id"),
    "budgetControlChanges": ("budget_control_change", "budget_control_change_id"),
    "budgetYearEnds": ("budget_year_end", "budget_year_end_id"),
    "multiYearAuthorisations": ("multi_year_authorisation", "multi_year_authorisation_id"),
    "withholdingRemittances": ("withholding_remittance", "withholding_remittance_id"),
    "lateInterestCharges": ("late_interest_charge", "late_interest_charge_id"),
    "budgetCeilings": ("budget_ceiling", "budget_ceiling_id"),
    "creditOffsets": ("credit_offset", "credit_offset_id"),
    "lateDeliveryPenalties": ("late_delivery_penalty", "late_delivery_penalty_id"),
    "invoiceExceptions": ("invoice_exception", "invoice_exception_id"),
    "bankCharges": ("bank_charge", "bank_charge_id"),
    "paymentRuns": ("payment_run", "payment_run_id"),
    "paymentReturns": ("payment_return", "payment_return_id"),
    "payeeAccounts": ("payee_account", "payee_account_id"),
    "fiscalPeriodReopenings": ("fiscal_period_reopening", "fiscal_period_reopening_id"),
}

_CONTENT = """
    c.attachment_content_id, c.agency_id, c.sha256, c.byte_count, c.media_type, c.file_name,
    c.person_id as content_person_id, c.recorded_at as content_recorded_at
"""
_ATTACHMENT = f"""
    select a.attachment_id, a.document_kind, a.document_id, a.description, a.supersedes_attachment_id, a.reason,
           a.person_id, a.recorded_at, s.attachment_id as superseded_by, {_CONTENT}
    from attachment a
    join attachment_content c on (c.attachment_content_id, c.agency_id) = (a.attachment_content_id, a.agency_id)
    left join attachment s on s.supersedes_attachment_id = a.attachment_id
"""  # noqa: S608  # only constants


def _content(row: Row[Any]) -> Content:
    return Content(
        row.attachment_content_id,
        row.agency_id,
        row.sha256,
        row.byte_count,
        row.media_type,
        row.file_name,
        row.content_person_id,
        row.content_recorded_at,
    )


def _attachment(row: Row[Any]) -> Attachment:
    return Attachment(
        row.attachment_id,
        row.agency_id,
        row.document_kind,
        row.document_id,
        _content(row),
        row.description,
        row.supersedes_attachment_id,
        row.reason,
        row.person_id,
        row.recorded_at,
        row.superseded_by,
    )


def add_content(session: Session, content: Content, chunks: Iterable[bytes]) -> bool:
    """Write a file of an agency under its hash; False when it is there already, whoever wrote it at the same time."""
    made = session.execute(
        text(
            """
            insert into attachment_content (attachment_content_id, agency_id, sha256, byte_count, media_type, file_name,
                                            person_id, recorded_at)
            values (:attachment_content_id, :agency_id, :sha256, :byte_count, :media_type, :file_name,
                    :person_id, :recorded_at)
            on conflict (agency_id, sha256) do nothing returning attachment_content_id
            """
        ),
        vars(content),
    ).first()
    if made is None:
        return False
    insert = text(
        "insert into attachment_chunk (attachment_content_id, chunk_no, agency_id, data)"
        " values (:attachment_content_id, :chunk_no, :agency_id, :data)"
    )
    for number, data in enumerate(chunks, start=1):
        session.execute(
            insert,
            {
                "attachment_content_id": content.attachment_content_id,
                "chunk_no": number,
                "agency_id": content.agency_id,
                "data": data,
            },
        )
    return True


def contents(session: Session, keys: Iterable[tuple[UUID, str]]) -> dict[tuple[UUID, str], Content]:
    """The files of these (agency, SHA-256), in one query; those that are not there are left out."""
    wanted = sorted(set(keys))
    rows = session.execute(
        text(
            f"""
            select {_CONTENT} from attachment_content c
            join unnest(cast(:agencies as uuid[]), cast(:hashes as text[])) as asked (agency_id, sha256)
              on (c.agency_id, c.sha256) = (asked.agency_id, asked.sha256)
            """  # noqa: S608  # only constants
        ),
        {"agencies": [agency_id for agency_id, _ in wanted], "hashes": [sha256 for _, sha256 in wanted]},
    )
    return {(row.agency_id, row.sha256): _content(row) for row in rows}


def content(session: Session, attachment_content_id: UUID) -> Content | None:
    """One file without its bytes."""
    row = session.execute(
        text(f"select {_CONTENT} from attachment_content c where c.attachment_content_id = :id"),  # noqa: S608
        {"id": attachment_content_id},
    ).first()
    return _content(row) if row is not None else None


def chunk(session: Session, attachment_content_id: UUID, number: int) -> bytes | None:
    """One part of a file, from 1; None behind the last."""
    row = session.execute(
        text("select data from attachment_chunk where attachment_content_id = :id and chunk_no = :number"),
        {"id": attachment_content_id, "number": number},
    ).first()
    return bytes(row.data) if row is not None else None


def has_document(session: Session, kind: str, document_id: UUID, agency_id: UUID) -> bool:
    """Whether the agency has that document."""
    table, key = DOCUMENTS[kind]
    query = text(f"select 1 from {table} where {key} = :id and agency_id = :agency_id")  # noqa: S608  # constants
    return session.execute(query, {"id": document_id, "agency_id": agency_id}).first() is not None


def lock_document(session: Session, document_id: UUID) -> None:
    """One attaching to a document at a time."""
    session.execute(text("select pg_advisory_xact_lock(5107114, hashtext(:id))"), {"id": str(document_id)})


def add(session: Session, attachments: Sequence[Attachment]) -> None:
    """Write attachments, in one statement."""
    if not attachments:
        return
    session.execute(
        text(
            """
            insert into attachment (attachment_id, agency_id, document_kind, document_id, attachment_content_id,
                                    description, supersedes_attachment_id, reason, person_id, recorded_at)
            values (:attachment_id, :agency_id, :document_kind, :document_id, :attachment_content_id, :description,
                    :supersedes_attachment_id, :reason, :person_id, :recorded_at)
            """
        ),
        [_values(one) for one in attachments],
    )


def _values(one: Attachment) -> Mapping[str, Any]:
    return {
        "attachment_id": one.attachment_id,
        "agency_id": one.agency_id,
        "document_kind": one.document_kind,
        "document_id": one.document_id,
        "attachment_content_id": one.content.attachment_content_id,
        "description": one.description,
        "supersedes_attachment_id": one.supersedes_id,
        "reason": one.reason,
        "person_id": one.person_id,
        "recorded_at": one.recorded_at,
    }


def get(session: Session, attachment_id: UUID) -> Attachment | None:
    """One attachment."""
    row = session.execute(text(f"{_ATTACHMENT} where a.attachment_id = :id"), {"id": attachment_id}).first()
    return _attachment(row) if row is not None else None


def of_document(session: Session, document_id: UUID, agency_id: UUID) -> list[Attachment]:
    """All attachments of a document in an agency, the oldest first."""
    rows = session.execute(
        text(f"{_ATTACHMENT} where a.document_id = :id and a.agency_id = :agency_id order by a.attachment_id"),
        {"id": document_id, "agency_id": agency_id},
    )
    return [_attachment(row) for row in rows]


def page(
    session: Session,
    *,
    agency_id: UUID,
    document: tuple[str, UUID] | None,
    after: tuple[UUID] | None,
    limit: int,
) -> list[Attachment]:
    """An agency's attachments, or those of one of its documents, the newest first."""
    conditions, values = ["a.agency_id = :agency_id"], {"agency_id": agency_id, "limit": limit}
    if document is not None:
        conditions.append("a.document_kind = :kind and a.document_id = :document_id")
        values |= {"kind": document[0], "document_id": document[1]}
    if after is not None:
        conditions.append("a.attachment_id < :after")
        values["after"] = after[0]
    query = f"{_ATTACHMENT} where {' and '.join(conditions)} order by a.attachment_id desc limit :limit"
    return [_attachment(row) for row in session.execute(text(query), values)]
