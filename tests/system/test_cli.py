"""The command line against the running system, as its user types it."""

from __future__ import annotations

import json
import secrets
import time
from contextlib import contextmanager
from uuid import uuid4

import pytest
from kafka import KafkaProducer

from chassis.testing import wait_until
from cli.platform import _consumer_lag

SERVICES = {"identity", "finance", "hr", "logistics"}


@pytest.fixture(scope="module")
def government(kelola):
    """A government with one agency below it, founded by the operator. Each module run has its own."""
    code = f"CLI{uuid4().hex[:6].upper()}"
    made = kelola(
        "call",
        "OrganizationService/CreateAgency",
        json.dumps({"agency": {"code": code, "display_name": "Pemerintah Uji", "kind": "AGENCY_KIND_GOVERNMENT"}}),
    )
    return made


def test_status_shows_every_service_serving(kelola):
    answer = kelola("status")

    assert {row["service"]: row["health"] for row in answer["services"]} == dict.fromkeys(SERVICES, "SERVING")
    assert all(row["schema"] for row in answer["services"])
    assert answer["broker"]["bootstrap"]


def test_services_lists_the_rpcs_that_run(kelola):
    rows = kelola("services")

    by_name = {row["rpc"]: row for row in rows}
    assert {row["service"] for row in rows} == SERVICES
    assert by_name["kelola.finance.v1.BudgetService/AllotFunds"]["permission"] == "finance.budget.allot"
    assert by_name["kelola.finance.v1.LedgerService/ImportJournalEntries"]["kind"] == "client stream"


def test_a_call_may_be_repeated_by_its_request_id(kelola, government):
    body = json.dumps(
        {
            "agency": {
                "code": f"{government['code']}.1",
                "display_name": "Dinas Uji",
                "kind": "AGENCY_KIND_AGENCY",
                "parent_agency_id": government["agency_id"],
            }
        }
    )
    request_id = str(uuid4())

    first = kelola("call", "OrganizationService/CreateAgency", body, "--request-id", request_id)
    second = kelola("call", "OrganizationService/CreateAgency", body, "--request-id", request_id)

    assert first == second
    assert first["parent_agency_id"] == government["agency_id"]


def test_a_refusal_shows_its_code_reason_and_fields(kelola):
    answer = kelola("call", "AccessService/CreateGrant", '{"grant": {"person_id": "nobody"}}', status=1)

    assert answer["error"].startswith("INVALID_ARGUMENT")
    assert "grant.person_id" in answer["fields"]


def test_what_does_not_exist_is_named(kelola):
    assert "no running service offers NoService/Do" in kelola("call", "NoService/Do", status=2)["error"]
    assert "does not fit" in kelola("call", "PersonService/ListPersons", '{"colour": 1}', status=2)["error"]


def test_events_can_be_followed_and_replayed(kelola, government):
    followed = kelola("events", "tail", "kelola.identity.organization", "--beginning", "--seconds", "8")
    replayed = kelola("events", "replay", "identity")

    mine = [event for event in followed if event["data"].get("agency_id") == government["agency_id"]]
    again = [event for event in replayed if event["data"].get("agency_id") == government["agency_id"]]
    assert [event["headers"]["ce_type"] for event in mine] == ["kelola.identity.v1.AgencyCreated"]
    assert [event["headers"]["ce_id"] for event in again] == [event["headers"]["ce_id"] for event in mine]
    assert [event["position"] for event in replayed] == list(range(1, len(replayed) + 1))


def test_a_journey_can_be_listed_and_drawn(kelola, government):
    def journeys() -> list[list[str]]:
        found = kelola("trace", "list", "--name", "CreateAgency", "--limit", "4")
        return [[span["name"] for span in kelola("trace", "show", row["trace_id"])] for row in found]

    end = time.monotonic() + 20
    while True:
        drawn = journeys()
        # The event's publication belongs to the same journey as the call that caused it.
        if any("kelola.identity.organization.v1" in name for names in drawn for name in names):
            break
        assert time.monotonic() < end, drawn
        time.sleep(0.3)

    assert all("CreateAgency" in names[0] for names in drawn)


def test_nothing_is_parked_and_all_invariants_hold(kelola, government):
    assert [kelola("events", "parked", service) for service in sorted(SERVICES)] == [[], [], [], []]
    answer = kelola("verify")
    assert answer["holds"], answer["problems"]
    assert {row["service"] for row in answer["services"]} == SERVICES


def test_a_file_is_loaded_refused_rows_are_set_aside_and_a_repeat_changes_nothing(kelola, government, tmp_path):
    file = tmp_path / "agencies.csv"
    rows = [f"{government['code']}.{number},Unit {number}" for number in (11, 12, 13)]
    file.write_text("agency.code,agency.display_name\n" + "\n".join([*rows, ",Tanpa kode"]) + "\n", encoding="utf-8")
    command = (
        *("load", "rows", "OrganizationService/CreateAgency", "-", str(file)),
        *("--set", "agency.kind=AGENCY_KIND_AGENCY"),
        *("--set", f"agency.parent_agency_id={government['agency_id']}"),
    )

    first = kelola(*command, status=1)
    again = kelola(*command, status=1)

    assert (first["loaded"], first["refused"]) == (3, 1)
    assert (again["loaded"], again["refused"]) == (3, 1)
    refused = [json.loads(line) for line in (tmp_path / "agencies.csv.errors.jsonl").read_text().splitlines()]
    assert [entry["line"] for entry in refused] == [5]
    assert "agency.code" in refused[0]["error"]["fields"]
    codes = [
        agency["code"]
        for agency in kelola("call", "OrganizationService/ListAgencies", '{"page_size": 500}')["agencies"]
    ]
    assert sum(code in [row.partition(",")[0] for row in rows] for code in codes) == 3


def _officer(kelola, government, role: str) -> str:
    """A new person who holds `role` at the government; the person's id."""
    serial = secrets.randbelow(9000) + 1000
    day, month, year = secrets.randbelow(28) + 1, secrets.randbelow(12) + 1, 1970 + secrets.randbelow(30)
    person = {
        "national_id": f"117101{day:02d}{month:02d}{year % 100:02d}{serial}",
        "full_name": f"Petugas {serial}",
        "birth_date": {"year": year, "month": month, "day": day},
        "birth_place": "Banda Aceh",
        "sex": "SEX_MALE",
    }
    registered = kelola("call", "PersonService/RegisterPerson", json.dumps({"person": person}))
    person_id = registered["person"]["person_id"]
    grant = {"person_id": person_id, "role": role, "agency_id": government["agency_id"]}
    kelola("call", "AccessService/CreateGrant", json.dumps({"grant": grant}))
    return person_id


def test_a_stream_of_entries_is_sent_from_a_file_and_from_stdin_and_posted_once(kelola, government, tmp_path):
    accountant = _officer(kelola, government, "finance.accountant")
    agency_id, year = government["agency_id"], 2025
    kelola("load", "chart", "--as", accountant)
    fund = {"kind": "DIMENSION_KIND_FUND", "code": "CLI", "display_name": "Dana uji", "valid_from": {"year": 2021}}
    fund["valid_from"] |= {"month": 1, "day": 1}
    for method, body in (
        ("AccountService/BatchCreateDimensionValues", {"dimension_values": [fund]}),
        (
            "FiscalCalendarService/CreateFiscalYear",
            {"fiscal_year": {"agency_id": agency_id, "year": year, "functional_currency": "IDR"}},
        ),
        (
            "FiscalCalendarService/OpenFiscalPeriods",
            {"agency_id": agency_id, "year": year, "first_number": 1, "last_number": 12},
        ),
    ):
        kelola("call", method, json.dumps(body), "--as", accountant)
    lines = [json.dumps(_entry(agency_id, amount, str(uuid4()))) for amount in (1, 2, 3)]
    short = json.dumps(_entry(agency_id, 4, str(uuid4()), credited=5))
    file = tmp_path / "entries.jsonl"
    file.write_text("\n".join([*lines[:2], short]) + "\n", encoding="utf-8")
    command = ("call", "LedgerService/ImportJournalEntries")

    from_file = kelola(*command, f"@{file}", "--as", accountant)
    from_stdin = kelola(*command, "-", "--as", accountant, stdin="\n".join(lines))

    assert (from_file.get("posted_count"), from_file.get("refused_count")) == ("2", "1"), from_file
    assert [each["position"] for each in from_file["refusals"]] == ["3"]
    # The first two are known by their request ids and stand; the third is new.
    assert from_stdin == {"posted_count": "3"}
    listed = kelola(
        *("call", "LedgerService/ListJournalEntries", json.dumps({"agency_id": agency_id, "page_size": 100})),
        *("--as", accountant),
    )
    assert sorted(entry["description"] for entry in listed["journal_entries"]) == [f"Retribusi {n}" for n in (1, 2, 3)]


def test_a_line_that_is_no_request_is_named_and_nothing_is_posted(kelola, government):
    bad = kelola("call", "LedgerService/ImportJournalEntries", "-", status=2, stdin='{"journal_entry": {"colour": 1}}')
    broken = kelola("call", "LedgerService/ImportJournalEntries", "-", status=2, stdin='{"journal_entry": ')

    assert "colour" in bad["error"]
    assert "does not fit" in broken["error"]


def _entry(agency_id: str, amount: int, request_id: str, *, credited: int | None = None) -> dict:
    """Dr a receivable / Cr revenue, as a request of an import; out of balance when `credited` differs."""

    def line(account_code: str, side: str, units: int) -> dict:
        place = {"basis": "BASIS_ACCRUAL", "fund_code": "CLI", "account_code": account_code}
        return {**place, side: {"currency_code": "IDR", "units": str(units)}}

    entry = {
        "agency_id": agency_id,
        "effective_on": {"year": 2025, "month": 1, "day": 6},
        "description": f"Retribusi {amount}",
        "lines": [line("1.1.04.01", "debit", amount), line("7.1.01.01", "credit", credited or amount)],
    }
    return {"journal_entry": entry, "request_id": request_id}


@contextmanager
def refusing_names(system, beginning: str):
    """For the block, logistics' own database refuses legal entities whose name begins so: their events are parked."""
    with system.postgres.connect("logistics") as connection:
        connection.execute(
            "alter table legal_entity add constraint refused_for_now"
            f" check (display_name not like '{beginning}%') not valid"
        )
    try:
        yield
    finally:
        with system.postgres.connect("logistics") as connection:
            connection.execute("alter table legal_entity drop constraint refused_for_now")


def _legal_entity(kelola, government, name: str) -> str:
    """A registered legal entity; its id. Identity tells logistics of it."""
    owner = _officer(kelola, government, "auditor")
    entity = {
        "display_name": name,
        "tax_number": f"0{secrets.randbelow(10**8):08d}012000",
        "owners": [{"person_id": owner, "kind": "OWNERSHIP_KIND_DIRECTOR"}],
    }
    return kelola("call", "OrganizationService/CreateLegalEntity", json.dumps({"legal_entity": entity}))[
        "legal_entity_id"
    ]


def _kept(system, legal_entity_id: str) -> tuple[int, int]:
    """How often logistics keeps a legal entity, and how often it took its event in."""
    with system.postgres.connect("logistics") as connection:
        (kept,) = connection.execute(
            "select count(*) from legal_entity where legal_entity_id = %s", (legal_entity_id,)
        ).fetchone()
        (taken,) = connection.execute(
            "select count(*) from inbox join parked using (event_id)"
            " where parked.key = %s and inbox.consumer = 'on_legal_entity_registered'",
            (legal_entity_id,),
        ).fetchone()
    return kept, taken


def _replayed(system, kelola, service: str, *, until: str) -> None:
    """Send a service's events again, and wait until `until` has read them all."""
    assert kelola("events", "replay", service, "--send")["sent"] > 0
    wait_until(lambda: _consumer_lag(system.broker.bootstrap, until) == 0, what=f"{until} caught up", seconds=60)


def _parked_of(kelola, legal_entity_id: str) -> list[dict]:
    return [row for row in kelola("events", "parked", "logistics") if row["key"] == legal_entity_id]


def _asleep(system, parked_id: int) -> bool:
    """Put the parked event's next own try an hour off, so that only a person's retry wakes it; whether it stays so.

    A try that is under way writes its own time once more.
    """
    with system.postgres.connect("logistics") as connection:
        connection.execute(
            "update parked set retry_at = clock_timestamp() + interval '1 hour' where parked_id = %s", (parked_id,)
        )
    time.sleep(1)
    with system.postgres.connect("logistics") as connection:
        (asleep,) = connection.execute(
            "select retry_at > clock_timestamp() + interval '30 minutes' from parked where parked_id = %s", (parked_id,)
        ).fetchone()
    return bool(asleep)


def test_a_parked_event_is_retried_once_its_cause_is_gone_and_has_its_effect_once(system, kelola, government):
    with refusing_names(system, "CV Ditolak"):
        legal_entity_id = _legal_entity(kelola, government, "CV Ditolak Sementara")
        (parked,) = wait_until(lambda: _parked_of(kelola, legal_entity_id), what="the event is parked", seconds=60)
        # Delivered again, it is the same event.
        _replayed(system, kelola, "identity", until="logistics")
        assert [row["parked_id"] for row in _parked_of(kelola, legal_entity_id)] == [parked["parked_id"]]

        plain, strict = kelola("verify"), kelola("verify", "--strict", status=1)
        assert plain["holds"], plain["problems"]
        assert any("legal entities" in each["what"] for each in plain["not_compared"])
        assert (strict["holds"], strict["problems"]) == (False, [])
        assert any(parked["event_id"] in each["what"] for each in strict["waiting"])

        # A retry before the cause is gone changes nothing for good.
        kelola("events", "retry", "logistics", str(parked["parked_id"]))
        time.sleep(1)
        assert len(_parked_of(kelola, legal_entity_id)) == 1
        assert _kept(system, legal_entity_id) == (0, 0)

        wait_until(lambda: _asleep(system, parked["parked_id"]), what="the next try of its own is far", seconds=60)

    assert len(_parked_of(kelola, legal_entity_id)) == 1
    retried = kelola("events", "retry", "logistics", str(parked["parked_id"]))
    wait_until(lambda: not _parked_of(kelola, legal_entity_id), what="the event is taken in", seconds=60)
    _replayed(system, kelola, "identity", until="logistics")

    assert retried == {"service": "logistics", "retried": 1}
    assert parked["type"] == "kelola.identity.v1.LegalEntityRegistered"
    assert parked["tries"] >= 5
    assert _kept(system, legal_entity_id) == (1, 1)


def test_a_parked_event_is_dropped_with_a_reason_and_a_replay_does_not_bring_it_back(system, kelola, government):
    with refusing_names(system, "CV Dibuang"):
        legal_entity_id = _legal_entity(kelola, government, "CV Dibuang")
        (parked,) = wait_until(lambda: _parked_of(kelola, legal_entity_id), what="the event is parked", seconds=60)
        wait_until(lambda: _asleep(system, parked["parked_id"]), what="the next try of its own is far", seconds=60)

    without_reason = kelola("events", "drop", "logistics", str(parked["parked_id"]), "--reason", " ", status=1)
    dropped = kelola("events", "drop", "logistics", str(parked["parked_id"]), "--reason", "a test's entity")
    again = kelola("events", "drop", "logistics", str(parked["parked_id"]), "--reason", "a test's entity", status=1)
    too_late = kelola("events", "retry", "logistics", str(parked["parked_id"]), status=1)
    _replayed(system, kelola, "identity", until="logistics")

    assert "say why" in without_reason["error"]
    assert dropped == {"service": "logistics", "dropped": parked["parked_id"]}
    assert str(parked["parked_id"]) in again["error"]
    assert "nothing was retried" in too_late["error"]
    assert _parked_of(kelola, legal_entity_id) == []
    assert _kept(system, legal_entity_id) == (0, 0)
    with system.postgres.connect("logistics") as connection:
        row = connection.execute(
            "select state, resolved_by <> '', resolved_reason from parked where parked_id = %s", (parked["parked_id"],)
        ).fetchone()
    assert row == ("DROPPED", True, "a test's entity")
    answer = kelola("verify", "--strict")
    assert answer["holds"]
    assert any("a person dropped" in each["what"] for each in answer["not_compared"])


def test_a_malformed_record_is_parked_once_and_only_dropped(system, kelola, government):
    key, topic = str(uuid4()), "kelola.identity.organization.v1"
    producer = KafkaProducer(bootstrap_servers=system.broker.bootstrap)

    def poison() -> None:
        headers = [("ce_type", b"kelola.identity.v1.LegalEntityRegistered"), ("ce_specversion", b"1.0")]
        producer.send(topic, b"nonsense", key=key.encode(), headers=headers).get(10)

    try:
        poison()
        (parked,) = wait_until(lambda: _parked_of(kelola, key), what="the record is parked", seconds=60)
        poison()
        wait_until(
            lambda: _consumer_lag(system.broker.bootstrap, "logistics") == 0, what="logistics caught up", seconds=60
        )
        assert [row["parked_id"] for row in _parked_of(kelola, key)] == [parked["parked_id"]]
        refused = kelola("events", "retry", "logistics", str(parked["parked_id"]), status=1)
    finally:
        for row in _parked_of(kelola, key):
            kelola("events", "drop", "logistics", str(row["parked_id"]), "--reason", "a test's noise")
    poison()
    wait_until(lambda: _consumer_lag(system.broker.bootstrap, "logistics") == 0, what="logistics caught up", seconds=60)
    producer.close()

    assert parked["malformed"]
    assert "malformed" in refused["error"]
    assert _parked_of(kelola, key) == []


def test_a_server_stream_prints_a_line_a_message_and_ends_by_count_or_time(kelola):
    """No RPC of ours streams to its caller; health does, and reflection offers it."""
    seen = kelola("call", "finance.grpc.health.v1.Health/Watch", "--count", "1")
    waited = kelola("call", "finance.grpc.health.v1.Health/Watch", "--timeout", "1", status=1)

    assert seen == {"status": "SERVING"}
    assert waited[0] == {"status": "SERVING"}
    assert waited[-1]["error"].startswith("DEADLINE_EXCEEDED"), waited


def test_a_chart_and_a_published_budget_are_loaded_by_their_officers(kelola, government, tmp_path):
    accountant = _officer(kelola, government, "finance.accountant")
    budget_officer = _officer(kelola, government, "finance.budget_officer")
    published = tmp_path / "budget.csv"
    published.write_text(
        "unit_code,unit_name,function_code,function_name,account_code,account_name,amount_idr\n"
        "1.02.01,Dinas Kesehatan,1.02,Kesehatan,5.1.02.01,Belanja Barang,42600000\n"
        "1.02.01,Dinas Kesehatan,1.02,Kesehatan,5.1.02.01,Belanja Barang,158540460\n"
        "9.99.99,Unit lain,1.02,Kesehatan,5.1.02.01,Belanja Barang,1\n",
        encoding="utf-8",
    )
    units = tmp_path / "units.jsonl"
    unit = {"kind": "DIMENSION_KIND_ORGANISATION", "code": "1.02.01", "display_name": "Dinas Kesehatan"}
    units.write_text(json.dumps({**unit, "valid_from": "2021-01-01"}) + "\n", encoding="utf-8")

    chart = kelola("load", "chart", "--as", accountant)
    kelola(
        *("load", "rows", "AccountService/BatchCreateDimensionValues", "dimension_values", str(units)),
        *("--as", accountant),
    )
    command = (
        *("load", "budget", str(published), "--agency", government["agency_id"], "--document-number", "DPA-1"),
        *("--fiscal-year", "2025", "--unit", "1.02.01", "--as", budget_officer),
    )
    budget = kelola(*command)
    again = kelola(*command)

    assert chart["refused"] == 0
    assert chart["loaded"] > 500
    assert (budget["loaded"], budget["lines"]) == (2, 2)
    assert again == budget
    draft = kelola(
        "call",
        "BudgetService/GetAppropriation",
        json.dumps({"name": f"appropriations/{budget['appropriation_id']}"}),
        "--as",
        budget_officer,
    )
    assert draft["total"]["units"] == str(42_600_000 + 158_540_460)
