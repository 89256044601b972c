"""AccountService and FiscalCalendarService: what each RPC does, in order."""

from __future__ import annotations

from chassis.errors import InvalidArgument, NotFound
from chassis.grpc import rpc
from chassis.paging import Page
from chassis.wire import from_date, resource_id, to_uuid
from kelola.finance.v1 import account_pb2, fiscal_calendar_pb2
from services.finance.classification import store, usecases, wire
from services.finance.classification.domain import PeriodState

ACCOUNT = account_pb2.DESCRIPTOR.services_by_name["AccountService"]
CALENDAR = fiscal_calendar_pb2.DESCRIPTOR.services_by_name["FiscalCalendarService"]


class ClassificationEntrypoints:
    """The RPCs of AccountService and FiscalCalendarService."""

    @rpc(ACCOUNT)
    def create_account(self, request, call):
        account = wire.account(request.account)
        with self.db.begin(call) as work:
            ((created, _),) = usecases.create_accounts(work.session, [account])
            work.reply(wire.account_message(created))
        return work.answer

    @rpc(ACCOUNT)
    def batch_create_accounts(self, request, call):
        accounts = [wire.account(one, f"accounts[{i}]") for i, one in enumerate(request.accounts)]
        with self.db.begin(call) as work:
            outcome = usecases.create_accounts(work.session, accounts)
            work.reply(
                account_pb2.BatchCreateAccountsResponse(
                    accounts=[wire.account_message(account) for account, _ in outcome],
                    existing_count=_existing(outcome),
                )
            )
        return work.answer

    @rpc(ACCOUNT)
    def get_account(self, request, call):
        account_id = resource_id(wire.ACCOUNTS, request.name)
        with self.db.read(call) as session:
            account = store.account(session, account_id)
        if account is None:
            raise NotFound.resource("account", account_id)
        return wire.account_message(account)

    @rpc(ACCOUNT)
    def list_accounts(self, request, call):
        valid_on = from_date(request.valid_on, "valid_on") if request.HasField("valid_on") else None
        filters = {"code_prefix": request.code_prefix, "valid_on": valid_on}
        page = Page.of(request, filters=filters)
        with self.db.read(call) as session:
            accounts = store.list_accounts(session, **filters, after=page.after, limit=page.size + 1)
        shown, token = _page(page, accounts, lambda account: [account.code, account.valid_from])
        return account_pb2.ListAccountsResponse(
            accounts=[wire.account_message(account) for account in shown], next_page_token=token
        )

    @rpc(ACCOUNT)
    def create_dimension_value(self, request, call):
        value = wire.dimension_value(request.dimension_value)
        with self.db.begin(call) as work:
            ((created, _),) = usecases.create_dimension_values(work.session, [value])
            work.reply(wire.dimension_value_message(created))
        return work.answer

    @rpc(ACCOUNT)
    def batch_create_dimension_values(self, request, call):
        values = [wire.dimension_value(one, f"dimension_values[{i}]") for i, one in enumerate(request.dimension_values)]
        with self.db.begin(call) as work:
            outcome = usecases.create_dimension_values(work.session, values)
            work.reply(
                account_pb2.BatchCreateDimensionValuesResponse(
                    dimension_values=[wire.dimension_value_message(value) for value, _ in outcome],
                    existing_count=_existing(outcome),
                )
            )
        return work.answer

    @rpc(ACCOUNT)
    def get_dimension_value(self, request, call):
        dimension_value_id = resource_id(wire.DIMENSION_VALUES, request.name)
        with self.db.read(call) as session:
            value = store.dimension_value(session, dimension_value_id)
        if value is None:
            raise NotFound.resource("dimension value", dimension_value_id)
        return wire.dimension_value_message(value)

    @rpc(ACCOUNT)
    def list_dimension_values(self, request, call):
        filters = {"kind": wire.dimension_kind(request.kind), "code_prefix": request.code_prefix}
        page = Page.of(request, filters=filters)
        with self.db.read(call) as session:
            values = store.list_dimension_values(session, **filters, after=page.after, limit=page.size + 1)
        shown, token = _page(page, values, lambda value: [value.code, value.valid_from])
        return account_pb2.ListDimensionValuesResponse(
            dimension_values=[wire.dimension_value_message(value) for value in shown], next_page_token=token
        )

    @rpc(ACCOUNT)
    def batch_create_account_mappings(self, request, call):
        mappings = [wire.mapping(one, f"account_mappings[{i}]") for i, one in enumerate(request.account_mappings)]
        with self.db.begin(call) as work:
            outcome = usecases.create_mappings(work.session, mappings)
            work.reply(
                account_pb2.BatchCreateAccountMappingsResponse(
                    account_mappings=[wire.mapping_message(mapping) for mapping, _ in outcome],
                    existing_count=_existing(outcome),
                )
            )
        return work.answer

    @rpc(ACCOUNT)
    def list_account_mappings(self, request, call):
        page = Page.of(request, filters={"role": request.role})
        with self.db.read(call) as session:
            mappings = store.list_mappings(session, role=request.role, after=page.after, limit=page.size + 1)
        shown, token = _page(page, mappings, lambda one: [one.role, one.expenditure_prefix, one.valid_from])
        return account_pb2.ListAccountMappingsResponse(
            account_mappings=[wire.mapping_message(mapping) for mapping in shown], next_page_token=token
        )

    @rpc(CALENDAR)
    def create_fiscal_year(self, request, call):
        wanted = wire.fiscal_year(request.fiscal_year)
        with self.db.begin(call) as work:
            created = usecases.create_fiscal_year(work.session, wanted, at=call.now)
            work.reply(wire.fiscal_year_message(created))
        return work.answer

    @rpc(CALENDAR)
    def get_fiscal_year(self, request, call):
        with self.db.read(call) as session:
            found = usecases.get_fiscal_year(session, resource_id(wire.FISCAL_YEARS, request.name))
        return wire.fiscal_year_message(found)

    @rpc(CALENDAR)
    def list_fiscal_years(self, request, call):
        agency_id = to_uuid(request.agency_id, "agency_id")
        page = Page.of(request, filters={"agency_id": agency_id})
        with self.db.read(call) as session:
            years = store.list_fiscal_years(session, agency_id=agency_id, after=page.after, limit=page.size + 1)
        shown, token = _page(page, years, lambda year: [year.year])
        return fiscal_calendar_pb2.ListFiscalYearsResponse(
            fiscal_years=[wire.fiscal_year_message(year) for year in shown], next_page_token=token
        )

    @rpc(CALENDAR)
    def list_fiscal_periods(self, request, call):
        filters = {
            "agency_id": to_uuid(request.agency_id, "agency_id"),
            "year": request.year,
            "area": wire.area(request.area),
        }
        page = Page.of(request, filters=filters)
        with self.db.read(call) as session:
            periods = store.list_periods(session, **filters, after=page.after, limit=page.size + 1)
        shown, token = _page(page, periods, lambda period: [period.number, period.area.value])
        return fiscal_calendar_pb2.ListFiscalPeriodsResponse(
            fiscal_periods=[wire.period_message(period) for period in shown], next_page_token=token
        )

    @rpc(CALENDAR)
    def open_fiscal_periods(self, request, call):
        last_number = request.last_number or request.first_number
        if last_number < request.first_number:
            raise InvalidArgument.field("last_number", f"{last_number} is before {request.first_number}")
        return self._move(request, call, PeriodState.OPEN, request.first_number, last_number)

    @rpc(CALENDAR)
    def soft_close_fiscal_period(self, request, call):
        return self._move(request, call, PeriodState.SOFT_CLOSED, request.number, request.number)

    @rpc(CALENDAR)
    def hard_close_fiscal_period(self, request, call):
        return self._move(request, call, PeriodState.HARD_CLOSED, request.number, request.number)

    def _move(self, request, call, state, first_number, last_number):
        agency_id = to_uuid(request.agency_id, "agency_id")
        with self.db.begin(call) as work:
            periods = usecases.move_periods(
                work.session,
                agency_id=agency_id,
                year=request.year,
                first_number=first_number,
                last_number=last_number,
                areas=wire.areas(request.areas),
                state=state,
                at=call.now,
            )
            messages = [wire.period_message(period) for period in periods]
            work.reply(_MOVED[state](fiscal_periods=messages), agency_id=agency_id)
        return work.answer


_MOVED = {
    PeriodState.OPEN: fiscal_calendar_pb2.OpenFiscalPeriodsResponse,
    PeriodState.SOFT_CLOSED: fiscal_calendar_pb2.SoftCloseFiscalPeriodResponse,
    PeriodState.HARD_CLOSED: fiscal_calendar_pb2.HardCloseFiscalPeriodResponse,
}


def _existing(outcome):
    return sum(not is_new for _, is_new in outcome)


def _page(page, rows, key):
    """The page's rows, and the token of the page after them."""
    more = len(rows) > page.size
    shown = rows[: page.size]
    return shown, page.token(key(shown[-1])) if more else ""
