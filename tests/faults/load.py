"""A mixed load that never trusts the services: each client notes its intent before the call and the outcome after.

An unknown outcome is repeated with the same request id until it is known, as a careful client would. What counts in
the end is compared with the databases from outside (`effects`).
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import grpc
from google.type import decimal_pb2
from sqlalchemy import create_engine, text

from chassis.database import sqlalchemy_url
from chassis.ids import derived_id
from chassis.money import Money
from chassis.wire import to_date, to_money
from cli.connect import refusal
from cli.demo import cast
from kelola.finance.v1 import account_pb2, ledger_pb2, ledger_pb2_grpc
from kelola.hr.v1 import unit_pb2, unit_pb2_grpc
from kelola.identity.v1 import organization_pb2, organization_pb2_grpc, person_pb2, person_pb2_grpc
from kelola.logistics.v1 import requisition_pb2, requisition_pb2_grpc, stock_pb2, stock_pb2_grpc
from tests.faults.conftest import Town

# What a client may see of a part that was killed; anything else is a defect (trust T1). RESOURCE_EXHAUSTED is not
# among them: the load stays below a process's cap of calls (64), and what a client gave up ends on its server too.
PASSING = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.ABORTED}
# What the clients do, and which service they ask for it. Its events reach every consumer but hr's.
KINDS = {
    "journal": "finance",
    "requisition": "logistics",
    "issue": "logistics",
    "person": "identity",
    "entity": "identity",
    "unit": "hr",
}
_CALL_SECONDS = 5.0
_DECIDE_SECONDS = 90.0
# Between two acts a client thinks; before it repeats one it waits, longer each time.
_THINK_SECONDS_MAX = 0.4
_PAUSE_SECONDS, _PAUSE_SECONDS_MAX = 0.1, 1.0
_ON = date(cast.FISCAL_YEAR, 1, 6)


@dataclass
class Load:
    """`clients` threads at work until stopped. `acknowledged` maps a kind to the request ids that were answered."""

    town: Town
    seed: int
    clients: int
    # The province in the numbers of the persons that it registers: two loads never register the same person.
    province: int
    acknowledged: dict[str, set[str]] = field(default_factory=lambda: {kind: set() for kind in KINDS})
    refused: Counter[str] = field(default_factory=Counter)
    served: Counter[str] = field(default_factory=Counter)  # by kind: answers and refusals by rule
    defects: list[str] = field(default_factory=list)
    passing: Counter[str] = field(default_factory=Counter)
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def running(self) -> Iterator[Load]:
        """The load runs in the block; every outcome is known when it ends."""
        threads = [threading.Thread(target=self._client, args=(number,)) for number in range(self.clients)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(_DECIDE_SECONDS + 30)
        assert not any(thread.is_alive() for thread in threads), "a client still waits for an answer"

    def _client(self, number: int) -> None:
        chance = random.Random(f"{self.seed}/{number}")
        turn = 0
        while not self._stop.is_set():
            turn += 1
            self._stop.wait(chance.uniform(0, _THINK_SECONDS_MAX))
            kind = chance.choice(["journal", *KINDS])
            request_id = str(derived_id("fault-load", self.seed, number, turn))
            try:
                self._decide(kind, request_id, chance, number * 10_000 + turn)
            except Exception as error:
                with self._lock:
                    self.defects.append(f"{kind}: {type(error).__name__}: {error}")

    def _decide(self, kind: str, request_id: str, chance: random.Random, number: int) -> None:
        """One act, repeated with the same request id until its outcome is known."""
        method, request, officer = getattr(self, f"_{kind}")(request_id, chance, number)
        end, pause = time.monotonic() + _DECIDE_SECONDS, _PAUSE_SECONDS
        while True:
            try:
                method(request, metadata=self._metadata(officer), timeout=_CALL_SECONDS)
            except grpc.RpcError as error:
                if error.code() in PASSING and time.monotonic() < end:
                    with self._lock:
                        self.passing[error.code().name] += 1
                    time.sleep(pause * chance.uniform(0.5, 1.5))
                    pause = min(2 * pause, _PAUSE_SECONDS_MAX)
                    continue
                with self._lock:
                    if error.code() == grpc.StatusCode.FAILED_PRECONDITION:
                        self.served[kind] += 1
                        self.refused[refusal(error).get("reason", "")] += 1
                    else:
                        self.defects.append(f"{kind}: {error.code().name}: {error.details()}")
                return
            with self._lock:
                self.served[kind] += 1
                self.acknowledged[kind].add(request_id)
            return

    def _metadata(self, officer: str) -> list[tuple[str, str]]:
        """The officer's token; identity may be the part that is away, then a moment later."""
        end = time.monotonic() + _DECIDE_SECONDS
        subject = officer if officer == "operator" else self.town.government.persons[officer]
        while True:
            try:
                return self.town.system.metadata(subject)
            except grpc.RpcError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)

    def _agency(self, chance: random.Random) -> tuple[str, str, Any]:
        label = chance.choice([unit.label for unit in cast.units()])
        line = self.town.lines[label][chance.randrange(min(3, len(self.town.lines[label])))]
        return label, self.town.foundation.agencies[label], line

    def _journal(self, request_id: str, chance: random.Random, number: int) -> tuple[Any, Any, str]:
        """A direct expenditure: two lines, funds from available."""
        _, agency_id, line = self._agency(chance)
        amount = to_money(Money(chance.randrange(100, 100_000) * 100, "IDR"))
        lines = [
            ledger_pb2.JournalLine(
                basis=account_pb2.BASIS_ACCRUAL,
                fund_code=line.fund_code,
                account_code="8.1.02.01",
                debit=amount,
                budget_line_id=line.budget_line_id,
                organisation_code=line.organisation_code,
            ),
            ledger_pb2.JournalLine(
                basis=account_pb2.BASIS_ACCRUAL,
                fund_code=line.fund_code,
                account_code="2.1.06.99",
                credit=amount,
                budget_line_id=line.budget_line_id,
            ),
        ]
        entry = ledger_pb2.JournalEntry(
            agency_id=agency_id, effective_on=to_date(_ON), description=f"load {request_id}", lines=lines
        )
        stub = ledger_pb2_grpc.LedgerServiceStub(self.town.system.channel("finance"))
        return (
            stub.CreateJournalEntry,
            ledger_pb2.CreateJournalEntryRequest(journal_entry=entry, request_id=request_id),
            "accountant",
        )

    def _requisition(self, request_id: str, chance: random.Random, number: int) -> tuple[Any, Any, str]:
        _, agency_id, line = self._agency(chance)
        requisition = requisition_pb2.Requisition(
            agency_id=agency_id,
            purpose=f"load {request_id}",
            currency_code="IDR",
            needed_on=to_date(date(cast.FISCAL_YEAR, 3, 31)),
            lines=[
                requisition_pb2.RequisitionLine(
                    item_id=self.town.market.item_id,
                    quantity=decimal_pb2.Decimal(value=str(chance.randrange(1, 9))),
                    estimated_unit_price=decimal_pb2.Decimal(value=str(chance.randrange(1_000, 50_000))),
                    budget_line_id=line.budget_line_id,
                )
            ],
        )
        stub = requisition_pb2_grpc.RequisitionServiceStub(self.town.system.channel("logistics"))
        return (
            stub.CreateRequisition,
            requisition_pb2.CreateRequisitionRequest(requisition=requisition, request_id=request_id),
            "requester",
        )

    def _issue(self, request_id: str, chance: random.Random, number: int) -> tuple[Any, Any, str]:
        """Stock given out: finance posts it from the event."""
        label, agency_id, _ = self._agency(chance)
        request = stock_pb2.IssueStockRequest(
            agency_id=agency_id,
            warehouse_id=self.town.market.warehouses[label],
            item_id=self.town.market.item_id,
            quantity=decimal_pb2.Decimal(value="1"),
            purpose=f"load {request_id}",
            request_id=request_id,
        )
        return stock_pb2_grpc.StockServiceStub(self.town.system.channel("logistics")).IssueStock, request, "storekeeper"

    def _entity(self, request_id: str, chance: random.Random, number: int) -> tuple[Any, Any, str]:
        """A legal entity: logistics takes it in from the event."""
        owner = organization_pb2.Owner(
            person_id=self.town.foundation.persons["owner-1"], kind=organization_pb2.OWNERSHIP_KIND_BENEFICIAL_OWNER
        )
        entity = organization_pb2.LegalEntity(
            display_name=f"load {request_id}", tax_number=f"{self.province}{number:010d}000", owners=[owner]
        )
        stub = organization_pb2_grpc.OrganizationServiceStub(self.town.system.channel("identity"))
        return (
            stub.CreateLegalEntity,
            organization_pb2.CreateLegalEntityRequest(legal_entity=entity, request_id=request_id),
            "access_administrator",
        )

    def _unit(self, request_id: str, chance: random.Random, number: int) -> tuple[Any, Any, str]:
        _, agency_id, _ = self._agency(chance)
        unit = unit_pb2.Unit(agency_id=agency_id, code=f"L{self.province}-{number}", title=f"load {request_id}")
        stub = unit_pb2_grpc.UnitServiceStub(self.town.system.channel("hr"))
        return stub.CreateUnit, unit_pb2.CreateUnitRequest(unit=unit, request_id=request_id), "hr_officer"

    def _person(self, request_id: str, chance: random.Random, number: int) -> tuple[Any, Any, str]:
        made = cast.person(number, request_id)
        national_id = f"{self.province}71{1 + number % 60:02d}{made.national_id[6:12]}{1 + (number // 60) % 9_999:04d}"
        person = person_pb2.Person(
            national_id=national_id,
            full_name=made.full_name,
            birth_date=to_date(made.birth_date),
            sex=person_pb2.SEX_FEMALE if made.female else person_pb2.SEX_MALE,
        )
        stub = person_pb2_grpc.PersonServiceStub(self.town.system.channel("identity"))
        return stub.RegisterPerson, person_pb2.RegisterPersonRequest(person=person, request_id=request_id), "operator"


def rows(town: Town, service: str, query: str, **values: Any) -> list[Any]:
    """A query as the service's reader, from outside."""
    engine = create_engine(sqlalchemy_url(town.platform.databases[service].reader_url))
    try:
        with engine.connect() as connection:
            return list(connection.execute(text(query), values))
    finally:
        engine.dispose()


# Where the request id that a kind's texts carry is found again.
_TRACES = {
    "journal": "select description from journal_entry where description like 'load %'",
    "requisition": "select purpose from requisition where purpose like 'load %'",
    "issue": "select purpose from stock_movement where kind = 'ISSUE' and purpose like 'load %'",
    "entity": "select display_name from legal_entity where display_name like 'load %'",
    "unit": "select title from unit where title like 'load %'",
}


def effects(town: Town) -> dict[str, Counter[str]]:
    """How often each request id of the load has an effect in the books."""
    return {
        **{
            kind: Counter(row[0].removeprefix("load ") for row in rows(town, KINDS[kind], query))
            for kind, query in _TRACES.items()
        },
        "person": _registered(town),
    }


def _registered(town: Town) -> Counter[str]:
    """Persons have no room for a request id: the stored answer names them."""
    answers = rows(
        town,
        "identity",
        "select request_id, answer from idempotency where method like '%RegisterPerson' and answer is not null",
    )
    registered = Counter(str(row[0]) for row in rows(town, "identity", "select person_id from person"))
    # An answer without its person is a lost effect; a person whom no answer names is a doubled one (`orphans`).
    named = {
        str(row[0]): person_pb2.RegisterPersonResponse.FromString(bytes(row[1])).person.person_id for row in answers
    }
    orphans = set(registered) - set(named.values())
    assert not orphans, f"persons that no answer names: {sorted(orphans)}"
    return Counter({request_id: registered[person_id] for request_id, person_id in named.items()})
