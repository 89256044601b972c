"""EmployeeService: what each RPC does, in order, and the steps that finance and identity take part in."""

from __future__ import annotations

from chassis.grpc import rpc
from chassis.ids import new_id
from chassis.paging import Page
from chassis.saga import Refused, StepInError, saga_step
from chassis.wire import from_date, resource_id, to_uuid
from kelola.finance.v1 import budget_pb2, budget_pb2_grpc
from kelola.hr.v1 import employee_pb2
from kelola.identity.v1 import person_pb2, person_pb2_grpc
from services.hr.employee import finance_wire, plan, store, usecases, wire

EMPLOYEES = employee_pb2.DESCRIPTOR.services_by_name["EmployeeService"]


class EmployeeEntrypoints:
    """The RPCs of EmployeeService and their sagas."""

    @rpc(EMPLOYEES)
    def hire_employee(self, request, call):
        order = wire.new_employee(request.employee, new_id(), call.principal.acting_person())
        facts = wire.facts(request.employee.facts, self.pack.currency, field="employee.facts")
        with self.db.begin(call) as work:
            employee = usecases.hire(work.session, order, facts, pack=self.pack)
            message = self._employee_message(work.session, employee, employee.hired_on)
            work.reply(
                employee_pb2.HireEmployeeResponse(employee=message),
                resource=message.name,
                agency_id=employee.agency_id,
            )
        return work.answer

    @rpc(EMPLOYEES)
    def change_employee(self, request, call):
        employee_id, changes = resource_id(wire.COLLECTION, request.name), wire.changes(request, self.pack.currency)
        effective_on = from_date(request.effective_on, "effective_on")
        with self.db.begin(call) as work:
            employee = usecases.change(
                work.session,
                employee_id,
                changes,
                effective_on=effective_on,
                effective_until=wire.optional_date(request, "effective_until"),
                document_number=request.document_number,
                etag=request.etag,
                by=call.principal.acting_person(),
                pack=self.pack,
            )
            message = self._employee_message(work.session, employee, effective_on)
            work.reply(
                employee_pb2.ChangeEmployeeResponse(employee=message),
                resource=message.name,
                agency_id=employee.agency_id,
            )
        return work.answer

    @rpc(EMPLOYEES)
    def separate_employee(self, request, call):
        employee_id = resource_id(wire.COLLECTION, request.name)
        separated_on = from_date(request.separated_on, "separated_on")
        with self.db.begin(call) as work:
            employee = usecases.separate(
                work.session,
                employee_id,
                separated_on,
                etag=request.etag,
                by=call.principal.acting_person(),
                pack=self.pack,
            )
            message = self._employee_message(work.session, employee, self.clock.today())
            work.reply(
                employee_pb2.SeparateEmployeeResponse(employee=message),
                resource=message.name,
                agency_id=employee.agency_id,
            )
        return work.answer

    @rpc(EMPLOYEES)
    def get_employee(self, request, call):
        employee_id, known_at = resource_id(wire.COLLECTION, request.name), wire.optional_instant(request, "known_at")
        day = wire.optional_date(request, "effective_on") or self.clock.today()
        with self.db.read(call) as session:
            employee = usecases.get_employee(session, employee_id)
            return self._employee_message(session, employee, day, known_at)

    @rpc(EMPLOYEES)
    def list_employees(self, request, call):
        page = Page.of(request, {"agency_id": request.agency_id, "state": request.state})
        agency_id, state = to_uuid(request.agency_id, "agency_id"), wire.state(request.state)
        with self.db.read(call) as session:
            found = store.employees_after(session, agency_id, page.after, page.size + 1, state=state)
            shown = usecases.shown(session, found[: page.size], self.clock.today())
        last = found[page.size - 1] if len(found) > page.size else None
        return employee_pb2.ListEmployeesResponse(
            employees=[wire.employee_message(*one, self.pack.currency) for one in shown],
            next_page_token=page.token([last.employee_number, last.employee_id]) if last else "",
        )

    def _employee_message(self, session, employee, day, known_at=None):
        (shown,) = usecases.shown(session, [employee], day, known_at)
        return wire.employee_message(*shown, self.pack.currency)

    @saga_step("employee.verify")
    def verify_person(self, step):
        """Identity must know the person before funds are bound for him."""
        request = person_pb2.GetPersonRequest(name=f"persons/{step.state['person_id']}")
        outcome = step.ask(self.identity.stub(person_pb2_grpc.PersonServiceStub).GetPerson, request)
        with self.db.step(step) as session:
            if isinstance(outcome, Refused):
                refusal = finance_wire.refusal(outcome)
                usecases.record_hire(session, step.document_id, [], refusal, currency=self.pack.currency)
                step.finish(session)
            elif step.state["obligate"]:
                step.proceed(session, kind="employee.obligate")
            else:
                usecases.record_hire(session, step.document_id, [], None, currency=self.pack.currency)
                step.finish(session)

    @saga_step("employee.obligate")
    def obligate_employment(self, step):
        """Finance binds the rest of the fiscal year, or refuses with the figures of the short line."""
        planned = plan.lines_of(step.state["obligate"])
        outcome = step.ask(
            self.finance.stub(budget_pb2_grpc.BudgetServiceStub).ObligateFunds,
            budget_pb2.ObligateFundsRequest(
                agency_id=str(step.agency_id),
                document=finance_wire.position_document(step.document_id, step.state),
                items=finance_wire.funds_items(planned, self.pack.currency),
                effective_on=finance_wire.effective_on(step.state),
            ),
        )
        refusal = finance_wire.refusal(outcome) if isinstance(outcome, Refused) else None
        with self.db.step(step) as session:
            usecases.record_hire(session, step.document_id, planned, refusal, currency=self.pack.currency)
            step.finish(session)

    @saga_step("employee.project")
    def project_employment(self, step):
        """What finance is to obligate now, written down before it is asked, once nobody else is asking."""
        with self.db.step(step) as session:
            asked = usecases.plan_adjustment(
                session, step.document_id, step.state, saga_id=step.saga_id, pack=self.pack
            )
            if asked is None:
                step.wait(session, usecases.TURN)
            elif plan.asks_something(asked):
                step.proceed(session, kind="employee.adjust", state=asked)
            else:
                separating = step.state["separating"]
                usecases.record_adjustment(session, step.document_id, [], None, separating=separating)
                step.finish(session)

    @saga_step("employee.adjust")
    def adjust_employment(self, step):
        """Finance sets the obligation to what is projected now. What is freed comes first, so that it can be used."""
        budget, state = self.finance.stub(budget_pb2_grpc.BudgetServiceStub), step.state
        common = {
            "agency_id": str(step.agency_id),
            "document": finance_wire.position_document(step.document_id, state),
            "effective_on": finance_wire.effective_on(state),
        }
        release, adjust, obligate = (plan.lines_of(state[name]) for name in ("release", "adjust", "obligate"))
        done, refusal = [], None
        if release:
            items = finance_wire.release_items(release)
            outcome = step.ask(
                budget.ReleaseFunds, budget_pb2.ReleaseFundsRequest(items=items, **common), name="release"
            )
            if isinstance(outcome, Refused):
                # What an employment holds can always be freed; a refusal is a mistake that a person must look at.
                raise StepInError(f"finance did not release: {outcome.reason}")
            done += release
        if adjust:
            items = finance_wire.funds_items(adjust, self.pack.currency)
            request = budget_pb2.AdjustObligationRequest(items=items, **common)
            outcome = step.ask(budget.AdjustObligation, request, name="adjust")
            if isinstance(outcome, Refused):
                refusal = finance_wire.refusal(outcome)
            else:
                done += adjust
        if obligate and refusal is None:
            items = finance_wire.funds_items(obligate, self.pack.currency)
            request = budget_pb2.ObligateFundsRequest(items=items, **common)
            outcome = step.ask(budget.ObligateFunds, request, name="obligate")
            if isinstance(outcome, Refused):
                refusal = finance_wire.refusal(outcome)
            else:
                done += obligate
        with self.db.step(step) as session:
            usecases.record_adjustment(session, step.document_id, done, refusal, separating=state["separating"])
            step.finish(session)
