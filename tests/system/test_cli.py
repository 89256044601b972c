"""The command line against the running system, as its user types it."""

from __future__ import annotations

import json
import secrets
import time
from uuid import uuid4

import pytest

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
