"""LedgerService: what each RPC does, in order."""

from __future__ import annotations

import itertools
from dataclasses import replace

from chassis.errors import Code, InvalidArgument, KelolaError, OutOfRange
from chassis.grpc import rpc
from chassis.grpc.method import Method
from chassis.idempotency import IdempotencyMismatch
from chassis.ids import new_id
from chassis.paging import Page
from chassis.wire import from_date, from_timestamp, optional_uuid, resource_id, to_timestamp, to_uuid
from kelola.finance.v1 import ledger_pb2
from services.finance.classification.store import functional_currencies
from services.finance.ledger import report_store, store, usecases, wire
from services.finance.ledger.reports import Scope

LEDGER = ledger_pb2.DESCRIPTOR.services_by_name["LedgerService"]
POST_LATE = "finance.fiscal_period.post_late"
# A stream is posted in transactions of this many entries, which is where one commit costs each of them little.
STREAM_GROUP = 100
REFUSALS_MAX = 1_000

_IMPORT = Method.of(LEDGER.methods_by_name["ImportJournalEntries"])
# What a refusal of an entry may be; anything else (the database is away, the deadline passed) ends the stream.
_REFUSALS = frozenset({Code.INVALID_ARGUMENT, Code.FAILED_PRECONDITION, Code.NOT_FOUND, Code.OUT_OF_RANGE})


def post_group(session, orders):
    """The committer's work: one verdict for each order, an entry and whether its answer shows the lines."""
    verdicts = usecases.post_each(session, [entry for entry, _ in orders])
    return [wire.reply(verdict, lines=lines) for verdict, (_, lines) in zip(verdicts, orders, strict=True)]


def _order(message, call, field="journal_entry"):
    if message.late_reason:
        call.principal.require(POST_LATE, to_uuid(message.agency_id, f"{field}.agency_id"))
    return wire.entry(message, person_id=call.principal.acting_person(), field=field)


class LedgerEntrypoints:
    """The RPCs of LedgerService."""

    @rpc(LEDGER)
    def create_journal_entry(self, request, call):
        # The one form without a visible transaction: calls that come together share one commit.
        return self.postings.post((_order(request.journal_entry, call), True), call)

    @rpc(LEDGER)
    def batch_create_journal_entries(self, request, call):
        orders = []
        for index, message in enumerate(request.journal_entries):
            if message.agency_id != request.agency_id:
                raise InvalidArgument.field(
                    f"journal_entries[{index}].agency_id", f"a batch is of one agency, {request.agency_id}"
                )
            orders.append(_order(message, call, f"journal_entries[{index}]"))
        with self.db.begin(call) as work:
            verdicts = usecases.post_each(work.session, orders)
            work.reply(
                ledger_pb2.BatchCreateJournalEntriesResponse(results=map(wire.result_message, verdicts)),
                agency_id=to_uuid(request.agency_id),
            )
        return work.answer

    @rpc(LEDGER)
    def import_journal_entries(self, requests, call):
        response = ledger_pb2.ImportJournalEntriesResponse()
        numbered = enumerate(requests, start=1)
        while group := list(itertools.islice(numbered, STREAM_GROUP)):
            self._import_group(group, call, response)
        return response

    def _import_group(self, group, call, response):
        """Post one group of a stream; each entry is claimed under its own request_id."""
        calls = [
            replace(call, request_id=message.request_id, request_hash=_IMPORT.request_hash(message))
            for _, message in group
        ]
        outcomes = {}
        orders = []
        for index, ((_, message), own) in enumerate(zip(group, calls, strict=True)):
            try:
                orders.append((index, _order(message.journal_entry, own), own))
            except (InvalidArgument, OutOfRange) as refusal:
                outcomes[index] = refusal
        # Of a stream's entries only the number is told, so what is kept of each is short.
        answers = self.postings.post_all([((order, False), own) for _, order, own in orders])
        outcomes.update((index, answer) for (index, _, _), answer in zip(orders, answers, strict=True))
        for index, (position, message) in enumerate(group):
            outcome = outcomes[index]
            if not isinstance(outcome, KelolaError):
                response.posted_count += 1
                continue
            if isinstance(outcome, IdempotencyMismatch) or outcome.code not in _REFUSALS:
                raise outcome
            response.refused_count += 1
            if len(response.refusals) < REFUSALS_MAX:
                response.refusals.add(
                    position=position, request_id=message.request_id, status=wire.refusal_status(outcome)
                )
            else:
                response.further_refused_positions.append(position)

    @rpc(LEDGER)
    def get_journal_entry(self, request, call):
        journal_entry_id = resource_id(wire.COLLECTION, request.name)
        with self.db.read(call) as session:
            stored = usecases.get(session, journal_entry_id)
            currency = functional_currencies(session, [stored.entry.agency_id])
        return wire.stored_message(stored, currency.get(stored.entry.agency_id))

    @rpc(LEDGER)
    def list_journal_entries(self, request, call):
        filters = {
            "agency_id": to_uuid(request.agency_id, "agency_id"),
            "accounting_from": _day(request, "accounting_from"),
            "accounting_to": _day(request, "accounting_to"),
            "source_id": optional_uuid(request.source_id, "source_id"),
            "corrects_id": optional_uuid(request.corrects_journal_entry_id, "corrects_journal_entry_id"),
        }
        asked = _instant(request)
        page = Page.of(request, filters={**filters, "known_at": asked})
        with self.db.read(call) as session:
            known_at = report_store.knowledge(session, asked, page.after)
            after = page.after and page.after[:2]
            keys = store.list_entry_ids(session, **filters, known_at=known_at, after=after, limit=page.size + 1)
            found = store.entries(session, [key for _, key in keys[: page.size]], known_at=known_at)
            currency = functional_currencies(session, [filters["agency_id"]]).get(filters["agency_id"])
        return ledger_pb2.ListJournalEntriesResponse(
            journal_entries=[wire.stored_message(one, currency) for one in found],
            next_page_token=page.token([*keys[page.size - 1], known_at]) if len(keys) > page.size else "",
            known_at=None if known_at is None else to_timestamp(known_at),
        )

    @rpc(LEDGER)
    def reverse_journal_entry(self, request, call):
        journal_entry_id = resource_id(wire.COLLECTION, request.name)
        with self.db.begin(call) as work:
            posted = usecases.reverse(
                work.session,
                journal_entry_id,
                reversal_id=new_id(),
                effective_on=_day(request, "effective_on"),
                reason=request.reason,
                late_reason=request.late_reason,
                in_adjustment_period=request.in_adjustment_period,
                person_id=call.principal.acting_person(),
                may_post_late=lambda agency_id: call.principal.require(POST_LATE, agency_id),
            )
            work.reply(
                ledger_pb2.ReverseJournalEntryResponse(journal_entry=wire.posted_message(posted)),
                resource=request.name,
                agency_id=posted.entry.agency_id,
            )
        return work.answer

    @rpc(LEDGER)
    def get_trial_balance(self, request, call):
        scope = Scope(
            basis=wire.basis(request.basis),
            agency_id=optional_uuid(request.agency_id, "agency_id"),
            fund_code=request.fund_code or None,
            currency=request.currency or None,
            as_of=_day(request, "as_of"),
            known_at=_instant(request),
            without_adjustments=request.without_adjustments,
            without_closing=request.without_closing,
        )
        page = Page.of(request, filters=vars(scope))
        with self.db.read(call) as session:
            balance = usecases.trial_balance(session, scope, after=page.after, limit=page.size + 1)
        more = len(balance.rows) > page.size
        shown = replace(balance, rows=balance.rows[: page.size])
        last = shown.rows[-1] if more else None
        token = page.token([last.account_code, last.currency, shown.known_at]) if last else ""
        return wire.trial_balance_message(shown, token)

    @rpc(LEDGER)
    def list_account_statement(self, request, call):
        first = _day(request, "accounting_from")
        scope = Scope(
            basis=wire.basis(request.basis),
            agency_id=to_uuid(request.agency_id, "agency_id"),
            fund_code=request.fund_code or None,
            currency=request.currency,
            account_code=request.account_code,
            as_of=_day(request, "accounting_to"),
            known_at=_instant(request),
        )
        page = Page.of(request, filters={**vars(scope), "first": first})
        # What was known at an answered instant changes no more and needs no snapshot; a snapshot would be older than
        # the horizon that is read in it.
        with self.db.read(call, snapshot=scope.known_at is None) as session:
            scope = replace(scope, known_at=report_store.knowledge(session, scope.known_at, page.after))
            after = page.after and page.after[:3]
            statement = report_store.statement(session, scope, first=first, after=after, limit=page.size + 1)
        more = len(statement.lines) > page.size
        shown = replace(statement, lines=statement.lines[: page.size])
        last = shown.lines[-1] if more else None
        token = page.token([last.accounting_on, last.journal_entry_id, last.line_no, scope.known_at]) if last else ""
        return wire.statement_message(shown, request.currency, scope.known_at, token)


def _day(request, field):
    return from_date(getattr(request, field), field) if request.HasField(field) else None


def _instant(request):
    return from_timestamp(request.known_at, "known_at") if request.HasField("known_at") else None
