"""CreditNoteService: what happens, in order."""

from __future__ import annotations

from typing import Any

from chassis.grpc import rpc
from chassis.paging import Page
from chassis.wire import from_date, from_money, optional_uuid, to_uuid
from kelola.finance.v1 import credit_note_pb2
from services.finance.payables.credit_notes import refunds, store, usecases, wire
from services.finance.payables.wire import status_filter

CREDIT_NOTES = credit_note_pb2.DESCRIPTOR.services_by_name["CreditNoteService"]
REFUND = "finance.credit_note.refund"


class CreditNoteEntrypoints:
    """The RPCs of CreditNoteService."""

    db: Any

    @rpc(CREDIT_NOTES)
    def create_credit_note(self, request, call):
        new = wire.new_credit_note(request.credit_note)
        with self.db.begin(call) as work:
            note = usecases.create(work.session, new, person_id=call.principal.acting_person(), at=call.now)
            work.reply(wire.credit_note_message(note))
        return work.answer

    @rpc(CREDIT_NOTES)
    def get_credit_note(self, request, call):
        with self.db.read(call) as session:
            return wire.credit_note_message(store.get(session, wire.credit_note_id(request.name)))

    @rpc(CREDIT_NOTES)
    def list_credit_notes(self, request, call):
        agency_id = optional_uuid(request.agency_id, "agency_id")
        invoice_id = optional_uuid(request.invoice_id, "invoice_id")
        status = status_filter(credit_note_pb2.CreditNoteStatus, "CREDIT_NOTE_STATUS_", request.status)
        page = Page.of(request, {"agency_id": agency_id, "invoice_id": invoice_id, "status": status})
        with self.db.read(call) as session:
            found = store.page(
                session,
                agency_id=agency_id,
                invoice_id=invoice_id,
                status=status,
                after=page.after,
                limit=page.size + 1,
            )
        shown = found[: page.size]
        return credit_note_pb2.ListCreditNotesResponse(
            credit_notes=[wire.credit_note_message(note) for note in shown],
            next_page_token=page.token([shown[-1].row.credit_note_id]) if len(found) > page.size else "",
        )

    @rpc(CREDIT_NOTES)
    def approve_credit_note(self, request, call):
        credit_note_id = wire.credit_note_id(request.name)
        with self.db.begin(call) as work:
            note = usecases.approve(
                work.session,
                credit_note_id,
                etag=request.etag,
                effective_on=from_date(request.effective_on, "effective_on"),
                person_id=call.principal.acting_person(),
                at=call.now,
            )
            work.reply(
                credit_note_pb2.ApproveCreditNoteResponse(credit_note=wire.credit_note_message(note)),
                resource=request.name,
                agency_id=note.row.agency_id,
            )
        return work.answer

    @rpc(CREDIT_NOTES)
    def withdraw_credit_note(self, request, call):
        credit_note_id = wire.credit_note_id(request.name)
        with self.db.begin(call) as work:
            note = usecases.withdraw(
                work.session,
                credit_note_id,
                explanation=request.explanation,
                person_id=call.principal.acting_person(),
            )
            work.reply(
                credit_note_pb2.WithdrawCreditNoteResponse(credit_note=wire.credit_note_message(note)),
                resource=request.name,
                agency_id=note.row.agency_id,
            )
        return work.answer

    @rpc(CREDIT_NOTES)
    def record_credit_note_refund(self, request, call):
        credit_note_id = wire.credit_note_id(request.name)
        treasury_agency_id = to_uuid(request.treasury_agency_id, "treasury_agency_id")
        call.principal.require(REFUND, treasury_agency_id)
        with self.db.begin(call) as work:
            note = refunds.record(
                work.session,
                credit_note_id,
                treasury_agency_id=treasury_agency_id,
                bank_reference=request.bank_reference,
                refunded_on=from_date(request.refunded_on, "refunded_on"),
                amount=from_money(request.amount, "amount"),
                person_id=call.principal.acting_person(),
            )
            work.reply(
                credit_note_pb2.RecordCreditNoteRefundResponse(credit_note=wire.credit_note_message(note)),
                resource=request.name,
                agency_id=note.row.agency_id,
            )
        return work.answer
