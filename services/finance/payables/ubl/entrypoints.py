"""InvoiceDocumentService: what happens, in order."""

from __future__ import annotations

from typing import Any

from chassis.grpc import rpc
from chassis.paging import Page
from chassis.wire import optional_uuid
from kelola.finance.v1 import invoice_document_pb2
from services.finance.payables.ubl import store, usecases, wire

DOCUMENTS = invoice_document_pb2.DESCRIPTOR.services_by_name["InvoiceDocumentService"]


class InvoiceDocumentEntrypoints:
    """The RPCs of InvoiceDocumentService."""

    db: Any

    @rpc(DOCUMENTS)
    def import_invoice_document(self, request, call):
        # Read before the transaction: parsing must not hold locks.
        new = wire.new_document(request)
        if new.is_bill:
            call.principal.require("finance.bill.create", new.agency_id)
        with self.db.begin(call) as work:
            row, known = usecases.take_in(work.session, new, person_id=call.principal.acting_person(), at=call.now)
            message = wire.document_message(row)
            work.reply(
                invoice_document_pb2.ImportInvoiceDocumentResponse(invoice_document=message, already_imported=known),
                resource=message.name,
                agency_id=new.agency_id,
            )
        return work.answer

    @rpc(DOCUMENTS)
    def get_invoice_document(self, request, call):
        with self.db.read(call) as session:
            row = store.get(session, wire.document_id(request.name), content=True)
        return wire.document_message(row, content=bytes(row.content))

    @rpc(DOCUMENTS)
    def list_invoice_documents(self, request, call):
        agency_id = optional_uuid(request.agency_id, "agency_id")
        page = Page.of(request, {"agency_id": agency_id})
        with self.db.read(call) as session:
            found = store.page(session, agency_id=agency_id, after=page.after, limit=page.size + 1)
        shown = found[: page.size]
        return invoice_document_pb2.ListInvoiceDocumentsResponse(
            invoice_documents=[wire.document_message(row) for row in shown],
            next_page_token=page.token([shown[-1].invoice_document_id]) if len(found) > page.size else "",
        )
