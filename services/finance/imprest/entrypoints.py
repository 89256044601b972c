"""ImprestService: what happens, in order."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlmodel import Session

from chassis.grpc import rpc
from chassis.money import Money
from chassis.paging import Page
from chassis.wire import from_date, from_money, optional_uuid, to_money, to_uuid
from kelola.finance.v1 import imprest_pb2
from services.finance.imprest import store, usecases, wire
from services.finance.payables import payment_store
from services.finance.payables.wire import status_filter

IMPREST = imprest_pb2.DESCRIPTOR.services_by_name["ImprestService"]
SETTLE = "finance.imprest.settle"


class ImprestEntrypoints:
    """The RPCs of ImprestService."""

    db: Any

    # --- the cash ----------------------------------------------------------------------------------------------

    @rpc(IMPREST)
    def create_imprest(self, request, call):
        new = wire.new_imprest(request.imprest)
        with self.db.begin(call) as work:
            imprest_id = usecases.ask(work.session, new, person_id=call.principal.acting_person(), at=call.now)
            work.reply(_imprest(work.session, imprest_id))
        return work.answer

    @rpc(IMPREST)
    def get_imprest(self, request, call):
        with self.db.read(call) as session:
            return _imprest(session, wire.imprest_id(request.name))

    @rpc(IMPREST)
    def list_imprests(self, request, call):
        agency_id = optional_uuid(request.agency_id, "agency_id")
        page = Page.of(request, {"agency_id": agency_id})
        with self.db.read(call) as session:
            found = store.page(session, "imprest", agency_id=agency_id, after=page.after, limit=page.size + 1)
            shown = found[: page.size]
            ids = [row.imprest_id for row in shown]
            lines, figures = store.lines(session, ids), store.figures(session, ids)
        return imprest_pb2.ListImprestsResponse(
            imprests=[
                wire.imprest_message(row, lines.get(row.imprest_id, []), figures[row.imprest_id]) for row in shown
            ],
            next_page_token=page.token([shown[-1].imprest_id]) if len(found) > page.size else "",
        )

    @rpc(IMPREST)
    def replenish_imprest(self, request, call):
        imprest_id = wire.imprest_id(request.name)
        with self.db.begin(call) as work:
            payable_id = usecases.replenish(
                work.session,
                imprest_id,
                claimed_on=from_date(request.claimed_on, "claimed_on"),
                person_id=call.principal.acting_person(),
                at=call.now,
            )
            message = _imprest(work.session, imprest_id)
            payable = payment_store.payable(work.session, payable_id)
            work.reply(
                imprest_pb2.ReplenishImprestResponse(
                    imprest=message,
                    payable_id=str(payable_id),
                    amount=to_money(Money(payable.amount_minor, payable.currency)),
                ),
                resource=request.name,
                agency_id=to_uuid(message.agency_id),
            )
        return work.answer

    @rpc(IMPREST)
    def settle_imprest(self, request, call):
        imprest_id = wire.imprest_id(request.name)
        treasury_agency_id = to_uuid(request.treasury_agency_id, "treasury_agency_id")
        call.principal.require(SETTLE, treasury_agency_id)
        with self.db.begin(call) as work:
            settled = usecases.settle(
                work.session,
                imprest_id,
                treasury_agency_id=treasury_agency_id,
                settled_on=from_date(request.settled_on, "settled_on"),
                bank_reference=request.bank_reference,
                person_id=call.principal.acting_person(),
            )
            message, currency = _imprest(work.session, imprest_id), store.imprest(work.session, imprest_id).currency
            work.reply(
                imprest_pb2.SettleImprestResponse(
                    imprest=message,
                    validated=to_money(Money(settled.validated_minor, currency)),
                    returned=to_money(Money(settled.returned_minor, currency)),
                ),
                resource=request.name,
                agency_id=to_uuid(message.agency_id),
            )
        return work.answer

    # --- vouchers ----------------------------------------------------------------------------------------------

    @rpc(IMPREST)
    def create_imprest_voucher(self, request, call):
        new = wire.new_voucher(request.imprest_voucher)
        with self.db.begin(call) as work:
            voucher_id = usecases.approve_purchase(
                work.session, new, person_id=call.principal.acting_person(), at=call.now
            )
            work.reply(_voucher(work.session, voucher_id))
        return work.answer

    @rpc(IMPREST)
    def pay_imprest_voucher(self, request, call):
        voucher_id = wire.voucher_id(request.name)
        with self.db.begin(call) as work:
            usecases.pay(
                work.session,
                voucher_id,
                from_money(request.paid, "paid"),
                paid_on=from_date(request.paid_on, "paid_on"),
                person_id=call.principal.acting_person(),
            )
            message = _voucher(work.session, voucher_id)
            work.reply(
                imprest_pb2.PayImprestVoucherResponse(imprest_voucher=message),
                resource=request.name,
                agency_id=to_uuid(message.agency_id),
            )
        return work.answer

    @rpc(IMPREST)
    def cancel_imprest_voucher(self, request, call):
        voucher_id = wire.voucher_id(request.name)
        with self.db.begin(call) as work:
            usecases.cancel(
                work.session,
                voucher_id,
                explanation=request.explanation,
                on=call.now.date(),
                person_id=call.principal.acting_person(),
            )
            message = _voucher(work.session, voucher_id)
            work.reply(
                imprest_pb2.CancelImprestVoucherResponse(imprest_voucher=message),
                resource=request.name,
                agency_id=to_uuid(message.agency_id),
            )
        return work.answer

    @rpc(IMPREST)
    def get_imprest_voucher(self, request, call):
        with self.db.read(call) as session:
            return _voucher(session, wire.voucher_id(request.name))

    @rpc(IMPREST)
    def list_imprest_vouchers(self, request, call):
        agency_id = optional_uuid(request.agency_id, "agency_id")
        imprest_id = optional_uuid(request.imprest_id, "imprest_id")
        status = status_filter(imprest_pb2.ImprestVoucherStatus, "IMPREST_VOUCHER_STATUS_", request.status)
        page = Page.of(request, {"agency_id": agency_id, "imprest_id": imprest_id, "status": status})
        with self.db.read(call) as session:
            if imprest_id is not None:
                store.imprest(session, imprest_id)
            found = store.page(
                session,
                "imprest_voucher",
                agency_id=agency_id,
                imprest_id=imprest_id,
                status=status,
                after=page.after,
                limit=page.size + 1,
            )
            shown = found[: page.size]
            currencies = store.currencies(session, {row.imprest_id for row in shown})
        return imprest_pb2.ListImprestVouchersResponse(
            imprest_vouchers=[wire.voucher_message(row, currencies[row.imprest_id]) for row in shown],
            next_page_token=page.token([shown[-1].imprest_voucher_id]) if len(found) > page.size else "",
        )


def _imprest(session: Session, imprest_id: UUID) -> imprest_pb2.Imprest:
    row = store.imprest(session, imprest_id)
    lines, figures = store.lines(session, [imprest_id]), store.figures(session, [imprest_id])
    return wire.imprest_message(row, lines.get(imprest_id, []), figures[imprest_id])


def _voucher(session: Session, voucher_id: UUID) -> imprest_pb2.ImprestVoucher:
    row = store.voucher(session, voucher_id)
    return wire.voucher_message(row, store.imprest(session, row.imprest_id).currency)
