"""PayrollService: what each RPC does, in order, the steps that compute and post a run, and finance's payments."""

from __future__ import annotations

from uuid import UUID

from chassis import audit, operations
from chassis.errors import NotFound
from chassis.events import on_event
from chassis.grpc import rpc
from chassis.ids import new_id
from chassis.paging import Page
from chassis.saga import Refused, saga_step
from chassis.wire import optional_uuid, resource_id, to_uuid
from kelola.finance.v1 import budget_pb2, budget_pb2_grpc, payables_events_pb2, payables_pb2_grpc
from kelola.hr.v1 import payroll_pb2
from services.hr.employee import finance_wire, plan
from services.hr.employee.usecases import TURN
from services.hr.employee.wire import optional_date
from services.hr.payroll import store, usecases, wire
from services.hr.payroll.domain import Refusal

PAYROLL = payroll_pb2.DESCRIPTOR.services_by_name["PayrollService"]
# Whoever lacks this in the payslip's agency reads his own alone.
READ_OTHERS = "hr.payslip.read_others"
# What is read of a person with a payslip, for the audit.
_PAYSLIP_FIELDS = ["pay", "deductions", "tax_status", "family"]
# A large run's acceptance locks thousands of budget positions; the saga's lease is a minute.
_ACCEPT_SECONDS = 45.0


class PayrollEntrypoints:
    """The RPCs of PayrollService, its sagas, and what it hears from finance."""

    @rpc(PAYROLL)
    def create_payroll_run(self, request, call):
        asked = request.payroll_run
        agency_id = to_uuid(asked.agency_id, "payroll_run.agency_id")
        with self.db.begin(call) as work:
            run = usecases.create_run(
                work.session,
                payroll_run_id=new_id(),
                agency_id=agency_id,
                kind=wire.pay_kind(asked.kind),
                month=wire.month_of(asked),
                by=call.principal.acting_person(),
                pack=self.pack,
            )
            operation_id = operations.start(
                work.session,
                call,
                kind="payroll.compute",
                agency_id=agency_id,
                metadata=wire.progress_message(run),
                operation_id=run.operation_id,
                state={"after": None},
            )
            work.reply(operations.message(work.session, operation_id), agency_id=agency_id)
        return work.answer

    @rpc(PAYROLL)
    def get_payroll_run(self, request, call):
        payroll_run_id = resource_id(wire.RUNS, request.name)
        with self.db.read(call, snapshot=True) as session:
            run = usecases.get_run(session, payroll_run_id)
            return wire.run_message(run, store.line_totals(session, payroll_run_id))

    @rpc(PAYROLL)
    def list_payroll_runs(self, request, call):
        agency_id, page = to_uuid(request.agency_id, "agency_id"), Page.of(request, {"agency_id": request.agency_id})
        with self.db.read(call) as session:
            runs = store.runs_before(session, agency_id, page.after, page.size + 1)
        last = runs[page.size - 1] if len(runs) > page.size else None
        return payroll_pb2.ListPayrollRunsResponse(
            payroll_runs=[wire.run_message(run) for run in runs[: page.size]],
            next_page_token=page.token([last.month.year, last.month.month, last.payroll_run_id]) if last else "",
        )

    @rpc(PAYROLL)
    def approve_payroll_run(self, request, call):
        payroll_run_id = resource_id(wire.RUNS, request.name)
        effective_on = optional_date(request, "effective_on") or self.clock.today()
        with self.db.begin(call) as work:
            run = usecases.approve_run(
                work.session,
                payroll_run_id,
                etag=request.etag,
                by=call.principal.acting_person(),
                effective_on=effective_on,
            )
            message = wire.run_message(run)
            work.reply(
                payroll_pb2.ApprovePayrollRunResponse(payroll_run=message),
                resource=message.name,
                agency_id=run.agency_id,
            )
        return work.answer

    @rpc(PAYROLL)
    def cancel_payroll_run(self, request, call):
        payroll_run_id = resource_id(wire.RUNS, request.name)
        with self.db.begin(call) as work:
            run = usecases.cancel_run(work.session, payroll_run_id, etag=request.etag)
            message = wire.run_message(run)
            work.reply(
                payroll_pb2.CancelPayrollRunResponse(payroll_run=message),
                resource=message.name,
                agency_id=run.agency_id,
            )
        return work.answer

    @rpc(PAYROLL)
    def list_payroll_exceptions(self, request, call):
        payroll_run_id = to_uuid(request.payroll_run_id, "payroll_run_id")
        page = Page.of(request, {"payroll_run_id": request.payroll_run_id})
        with self.db.read(call) as session:
            usecases.get_run(session, payroll_run_id)
            after = page.after[0] if page.after else None
            rows = store.exceptions_after(session, payroll_run_id, after, page.size + 1)
            return payroll_pb2.ListPayrollExceptionsResponse(
                payroll_exceptions=[wire.exception_message(row, self.pack.currency) for row in rows[: page.size]],
                next_page_token=page.token([rows[page.size - 1].employee_id]) if len(rows) > page.size else "",
            )

    @rpc(PAYROLL)
    def get_payslip(self, request, call):
        payslip_id = resource_id(wire.PAYSLIPS, request.name)
        with self.db.work(call.agencies, subject=call.principal.subject) as session:
            row = store.payslip_by_id(session, payslip_id)
            own = row is not None and row.person_id == call.principal.person_id
            if row is None or not (own or call.principal.holds(READ_OTHERS, row.agency_id)):
                raise NotFound.resource("payslip", payslip_id)
            if not own:
                _record_reading(session, call, row, _PAYSLIP_FIELDS)
            return wire.payslip_message(row, self.pack.currency, store.lines_of(session, payslip_id))

    @rpc(PAYROLL)
    def list_payslips(self, request, call):
        filters = {name: getattr(request, name) for name in ("agency_id", "payroll_run_id", "employee_id")}
        agency_id, page = to_uuid(request.agency_id, "agency_id"), Page.of(request, filters)
        person_id = None if call.principal.holds(READ_OTHERS, agency_id) else call.principal.acting_person()
        with self.db.work(call.agencies, subject=call.principal.subject) as session:
            rows = store.payslips_after(
                session,
                agency_id,
                page.after[0] if page.after else None,
                page.size + 1,
                payroll_run_id=optional_uuid(request.payroll_run_id, "payroll_run_id"),
                employee_id=optional_uuid(request.employee_id, "employee_id"),
                person_id=person_id,
            )
            for row in rows[: page.size]:
                if row.person_id != call.principal.person_id:
                    _record_reading(session, call, row, ["pay", "deductions"])
            return payroll_pb2.ListPayslipsResponse(
                payslips=[wire.payslip_message(row, self.pack.currency) for row in rows[: page.size]],
                next_page_token=page.token([rows[page.size - 1].payslip_id]) if len(rows) > page.size else "",
            )

    @saga_step("payroll.compute")
    def compute_payroll_run(self, step):
        """One chunk a step: a crash repeats a chunk, never the run."""
        after = step.state["after"]
        with self.db.step(step) as session:
            run, last = usecases.compute_chunk(
                session, step.document_id, UUID(after) if after else None, pack=self.pack
            )
            operations.progress(session, step.document_id, wire.progress_message(run))
            if last is not None:
                step.proceed(session, kind="payroll.compute", state={"after": str(last)})
                return
            totals = store.line_totals(session, step.document_id)
            operations.finish(session, step.document_id, wire.run_message(run, totals))
            step.finish(session)

    @saga_step("payroll.queue")
    def queue_payroll_run(self, step):
        """An approved run waits its turn: adjustments that were worked out before it are settled first."""
        with self.db.step(step) as session:
            if usecases.may_be_accepted(session, step.document_id, saga_id=step.saga_id):
                step.proceed(session, kind="payroll.accept")
            else:
                step.wait(session, TURN)

    @saga_step("payroll.accept")
    def accept_payroll_run(self, step):
        """Finance takes the run as a debt, all of it or nothing."""
        with self.db.work([step.agency_id], subject=f"saga:{step.kind}") as session:
            run, posting = usecases.posting_of(session, step.document_id)
        outcome = step.ask(
            self.finance.stub(payables_pb2_grpc.PayablesServiceStub).AcceptPayroll,
            wire.acceptance_request(run, posting),
            timeout=_ACCEPT_SECONDS,
        )
        with self.db.step(step) as session:
            if isinstance(outcome, Refused):
                usecases.record_acceptance(session, step.document_id, None, _refusal(outcome))
                step.finish(session)
                return
            journal_entry_id = optional_uuid(outcome.reply.journal_entry_id, "journal_entry_id")
            usecases.record_acceptance(session, step.document_id, journal_entry_id, None)
            step.proceed(session, kind="payroll.true_up", state={"after": None})

    @saga_step("payroll.true_up")
    def project_rest_of_year(self, step):
        """What finance is to obligate for the next employments, written down before it is asked."""
        after = step.state["after"]
        with self.db.step(step) as session:
            asked = usecases.next_true_up(session, step.document_id, UUID(after) if after else None, pack=self.pack)
            if asked is None:
                step.finish(session)
            else:
                step.proceed(session, kind="payroll.adjust", state=asked)

    @saga_step("payroll.adjust")
    def adjust_obligations(self, step):
        """Finance sets the obligations of these employments to the projected rest of the year."""
        budget, state, done, refusal = self.finance.stub(budget_pb2_grpc.BudgetServiceStub), step.state, [], None
        number = budget_pb2.FUNDS_DOCUMENT_KIND_PAYROLL_RUN, step.document_id, state["number"]
        for name, method, message in (
            ("adjust", budget.AdjustObligation, budget_pb2.AdjustObligationRequest),
            ("obligate", budget.ObligateFunds, budget_pb2.ObligateFundsRequest),
        ):
            if not state[name]:
                continue
            request = message(
                agency_id=str(step.agency_id),
                document=finance_wire.document(*number),
                items=finance_wire.funds_items(plan.lines_of(state[name]), self.pack.currency),
                effective_on=finance_wire.effective_on(state),
            )
            outcome = step.ask(method, request, name=name, timeout=_ACCEPT_SECONDS / 2)
            if isinstance(outcome, Refused):
                refusal = _refusal(outcome)
            else:
                done += state[name]
        with self.db.step(step) as session:
            usecases.record_true_up(session, step.agency_id, done)
            if refusal is not None:
                usecases.record_shortfall(session, step.document_id, refusal)
            step.proceed(session, kind="payroll.true_up", state={"after": state["after"]})

    @on_event(payables_events_pb2.PaymentMade)
    def on_payment_made(self, event, session):
        for payment in wire.payments(event.message, self.pack.currency):
            usecases.record_payment(session, payment)


def _record_reading(session, call, row, fields):
    audit.personal_data_read(session, call, person_id=row.person_id, fields=fields, agency_id=row.agency_id)


def _refusal(outcome: Refused) -> Refusal:
    kept = finance_wire.refusal(outcome)
    return Refusal(kept.reason, kept.message, kept.figures)
