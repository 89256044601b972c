"""BillingService: what happens, in order."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlmodel import Session

from chassis.grpc import rpc
from chassis.paging import Page
from chassis.wire import from_date, optional_uuid, to_uuid
from kelola.finance.v1 import billing_pb2
from services.finance.billing import store, usecases, wire
from services.finance.payables import payment_store
from services.finance.payables.wire import payable_message, status_filter

BILLING = billing_pb2.DESCRIPTOR.services_by_name["BillingService"]


class BillingEntrypoints:
    """The RPCs of BillingService."""

    db: Any

    # --- terms and prepayments ---------------------------------------------------------------------------------

    @rpc(BILLING)
    def create_contract_terms(self, request, call):
        new = wire.new_terms(request.contract_terms)
        with self.db.begin(call) as work:
            terms_id = usecases.register_terms(work.session, new, person_id=call.principal.acting_person(), at=call.now)
            work.reply(_terms(work.session, terms_id))
        return work.answer

    @rpc(BILLING)
    def get_contract_terms(self, request, call):
        with self.db.read(call) as session:
            return _terms(session, wire.terms_id(request.name))

    @rpc(BILLING)
    def list_contract_terms(self, request, call):
        with self.db.read(call) as session:
            shown, token = _page(session, "contract_terms", request)
            lines = store.lines(session, [row.contract_id for row in shown])
        return billing_pb2.ListContractTermsResponse(
            contract_terms=[wire.terms_message(row, lines[row.contract_id]) for row in shown], next_page_token=token
        )

    @rpc(BILLING)
    def create_prepayment(self, request, call):
        new = wire.new_prepayment(request.prepayment)
        with self.db.begin(call) as work:
            prepayment_id = usecases.prepay(work.session, new, person_id=call.principal.acting_person(), at=call.now)
            work.reply(wire.prepayment_message(store.prepayment(work.session, prepayment_id)))
        return work.answer

    @rpc(BILLING)
    def get_prepayment(self, request, call):
        with self.db.read(call) as session:
            return wire.prepayment_message(store.prepayment(session, wire.prepayment_id(request.name)))

    @rpc(BILLING)
    def list_prepayments(self, request, call):
        with self.db.read(call) as session:
            if request.contract_id:
                store.terms(session, contract_id=to_uuid(request.contract_id, "contract_id"))
            shown, token = _page(session, "prepayment", request)
        return billing_pb2.ListPrepaymentsResponse(
            prepayments=[wire.prepayment_message(row) for row in shown], next_page_token=token
        )

    # --- bills -------------------------------------------------------------------------------------------------

    @rpc(BILLING)
    def create_bill(self, request, call):
        new = wire.new_bill(request.bill)
        with self.db.begin(call) as work:
            bill_id = usecases.register_bill(work.session, new, person_id=call.principal.acting_person(), at=call.now)
            work.reply(_bill(work.session, bill_id))
        return work.answer

    @rpc(BILLING)
    def certify_bill(self, request, call):
        bill_id = wire.bill_id(request.name)
        with self.db.begin(call) as work:
            usecases.certify(
                work.session,
                bill_id,
                etag=request.etag,
                certified_on=from_date(request.certified_on, "certified_on"),
                person_id=call.principal.acting_person(),
                at=call.now,
            )
            message = _bill(work.session, bill_id)
            payables = [
                payable_message(payment_store.payable(work.session, to_uuid(one)), {})
                for one in (message.payable_id, message.retention_payable_id)
                if one
            ]
            work.reply(
                billing_pb2.CertifyBillResponse(bill=message, payables=payables),
                resource=request.name,
                agency_id=to_uuid(message.agency_id),
            )
        return work.answer

    @rpc(BILLING)
    def reject_bill(self, request, call):
        bill_id = wire.bill_id(request.name)
        with self.db.begin(call) as work:
            usecases.reject(
                work.session,
                bill_id,
                explanation=request.explanation,
                person_id=call.principal.acting_person(),
                at=call.now,
            )
            message = _bill(work.session, bill_id)
            work.reply(
                billing_pb2.RejectBillResponse(bill=message),
                resource=request.name,
                agency_id=to_uuid(message.agency_id),
            )
        return work.answer

    @rpc(BILLING)
    def get_bill(self, request, call):
        with self.db.read(call) as session:
            return _bill(session, wire.bill_id(request.name))

    @rpc(BILLING)
    def list_bills(self, request, call):
        status = status_filter(billing_pb2.BillStatus, "BILL_STATUS_", request.status)
        with self.db.read(call) as session:
            shown, token = _page(session, "bill", request, status=status)
            lines = store.bill_lines(session, [row.bill_id for row in shown])
        return billing_pb2.ListBillsResponse(
            bills=[wire.bill_message(row, lines[row.bill_id]) for row in shown], next_page_token=token
        )


def _terms(session: Session, contract_terms_id: UUID) -> billing_pb2.ContractTerms:
    row = store.terms(session, contract_terms_id=contract_terms_id)
    return wire.terms_message(row, store.lines(session, [row.contract_id])[row.contract_id])


def _bill(session: Session, bill_id: UUID) -> billing_pb2.Bill:
    return wire.bill_message(store.bill(session, bill_id), store.bill_lines(session, [bill_id])[bill_id])


def _page(session: Session, table: str, request: Any, *, status: str = "") -> tuple[list[Any], str]:
    """A page of one of the area's lists, the newest first, and the token of the next."""
    agency_id = optional_uuid(request.agency_id, "agency_id")
    contract_id = optional_uuid(request.contract_id, "contract_id")
    page = Page.of(request, {"agency_id": agency_id, "contract_id": contract_id, "status": status})
    found = store.page(
        session,
        table,
        agency_id=agency_id,
        contract_id=contract_id,
        status=status,
        after=page.after,
        limit=page.size + 1,
    )
    shown = list(found[: page.size])
    return shown, page.token([shown[-1][0]]) if len(found) > page.size else ""
