"""BankChargeService: what happens, in order."""

from __future__ import annotations

from typing import Any

from chassis.grpc import rpc
from chassis.paging import Page
from chassis.wire import optional_uuid
from kelola.finance.v1 import bank_charge_pb2
from services.finance.budget import usecases as budget
from services.finance.budget.domain import BudgetExceeded
from services.finance.payables.wire import status_filter
from services.finance.treasury.charges import store, usecases, wire

CHARGES = bank_charge_pb2.DESCRIPTOR.services_by_name["BankChargeService"]
CREATE, APPROVE = "finance.bank_charge.create", "finance.bank_charge.approve"


class BankChargeEntrypoints:
    """The RPCs of BankChargeService."""

    db: Any

    @rpc(CHARGES)
    def create_bank_charge(self, request, call):
        new = wire.new_charge(request.bank_charge)
        if new.bearing_agency_id is not None:
            call.principal.require(CREATE, new.bearing_agency_id)
        with self.db.begin(call) as work:
            row = usecases.create(work.session, new, person_id=call.principal.acting_person(), at=call.now)
            work.reply(wire.charge_message(row))
        return work.answer

    @rpc(CHARGES)
    def get_bank_charge(self, request, call):
        with self.db.read(call) as session:
            return wire.charge_message(store.get(session, wire.charge_id(request.name)))

    @rpc(CHARGES)
    def list_bank_charges(self, request, call):
        filters = {
            "agency_id": optional_uuid(request.agency_id, "agency_id"),
            "status": status_filter(bank_charge_pb2.BankChargeStatus, "BANK_CHARGE_STATUS_", request.status),
        }
        page = Page.of(request, filters)
        with self.db.read(call) as session:
            found = store.page(session, **filters, after=page.after, limit=page.size + 1)
        shown = found[: page.size]
        return bank_charge_pb2.ListBankChargesResponse(
            bank_charges=[wire.charge_message(row) for row in shown],
            next_page_token=page.token([shown[-1].bank_charge_id]) if len(found) > page.size else "",
        )

    @rpc(CHARGES)
    def approve_bank_charge(self, request, call):
        charge_id, person_id = wire.charge_id(request.name), call.principal.acting_person()
        try:
            with self.db.begin(call) as work:
                # Whoever lets a fee be borne may do so where it is borne, too.
                call.principal.require(APPROVE, store.get(work.session, charge_id).bearing_agency_id)
                row = usecases.approve(work.session, charge_id, person_id=person_id, at=call.now)
                work.reply(
                    bank_charge_pb2.ApproveBankChargeResponse(bank_charge=wire.charge_message(row)),
                    resource=request.name,
                    agency_id=row.agency_id,
                )
        except BudgetExceeded as refusal:
            with self.db.read(call) as session:
                proposed = store.get(session, charge_id)
            with self.db.work([proposed.bearing_agency_id], subject=call.principal.subject) as session:
                budget.record_refusal(
                    session,
                    proposed.bearing_agency_id,
                    usecases.document(proposed),
                    refusal,
                    subject=call.principal.subject,
                    request_id=str(call.request_id),
                    person_id=person_id,
                )
            raise
        return work.answer

    @rpc(CHARGES)
    def reject_bank_charge(self, request, call):
        with self.db.begin(call) as work:
            row = usecases.reject(
                work.session,
                wire.charge_id(request.name),
                explanation=request.explanation,
                person_id=call.principal.acting_person(),
            )
            work.reply(
                bank_charge_pb2.RejectBankChargeResponse(bank_charge=wire.charge_message(row)),
                resource=request.name,
                agency_id=row.agency_id,
            )
        return work.answer
