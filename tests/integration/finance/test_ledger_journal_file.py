"""`kelola load journal`: journals of other systems go in through the public API, and the books agree with theirs."""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
import sys
from collections import defaultdict
from datetime import date
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from chassis.settings import ROOT
from chassis.testing import call_as
from cli.connect import System
from cli.load import journal_map
from cli.load.journal_load import JournalLoader, MapChanged, Outcome
from cli.load.journal_target import Unknown
from kelola.finance.v1 import ledger_pb2
from tests.integration.finance.books import ACCRUAL, Books, minor

# A hundred thousand are ordinary; so many are asked for by name (minutes).
ENTRIES = int(os.environ.get("KELOLA_TEST_JOURNAL_ENTRIES", "2300"))
JOURNALS = ROOT / "tests" / "data" / "journals"
MAP = """
source = "{source}"
fund_code = "UMUM"
create_fund = true
[currencies]
"$" = "USD"
[fiscal_years]
create = true
functional_currency = "IDR"
"""
RULE = """
[[create_accounts]]
prefix = "{prefix}"
code = "{source}/{{name}}"
kind = "{kind}"
normal_side = "{side}"
"""


@pytest.fixture
def bare(books: Books) -> UUID:
    """An agency without any books."""
    return uuid4()


def write_map(tmp_path: Path, *, rules: bool = True, **change: str) -> journal_map.JournalMap:
    source = f"T{uuid4().hex[:8]}"
    text = MAP.format(source=source)
    if rules:
        text += RULE.format(prefix="", source=source, kind="ASSET", side="DEBIT")
        text += RULE.format(prefix="Income:", source=source, kind="REVENUE", side="CREDIT")
        text += RULE.format(prefix="Expenses:", source=source, kind="EXPENSE", side="DEBIT")
    for old, new in change.items():
        text = text.replace(old, new)
    (tmp_path / "map.toml").write_text(text, encoding="utf-8")
    return journal_map.read(tmp_path / "map.toml")


def system_of(books: Books, agency_id: UUID, monkeypatch: pytest.MonkeyPatch, person_id: UUID) -> System:
    monkeypatch.setenv("KELOLA_TOKEN", books.token([agency_id], person_id=person_id))
    return System({"finance": books.service.address}, None)


def load(
    books: Books, agency_id: UUID, file: Path, made: journal_map.JournalMap, tmp_path: Path, patch: pytest.MonkeyPatch
) -> Outcome:
    # The request ids belong to a person: the same one loads again.
    with system_of(books, agency_id, patch, agency_id) as system:
        loader = JournalLoader(system, "accountant", agency_id, made)
        return loader.load(file, tmp_path / "errors.jsonl", show_progress=False)


def errors_of(tmp_path: Path) -> list[dict]:
    return [json.loads(line) for line in (tmp_path / "errors.jsonl").read_text().splitlines()]


def write(tmp_path: Path, rows: list[dict]) -> Path:
    file = tmp_path / "journal.jsonl"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return file


def entry(*lines: tuple[str, int, int, str], on: str = "2018-02-01", **values) -> dict:
    made = [{"account": a, "debit": debit, "credit": credit, "currency": c} for a, debit, credit, c in lines]
    return {"date": on, "description": "x", "lines": made, **values}


def sums(books: Books, agency_id: UUID, **scope) -> dict[tuple[str, str], tuple[int, int, int]]:
    """(account, currency): debit, credit, lines, from the trial balance over the wire."""
    found, token = {}, ""
    while True:
        request = ledger_pb2.GetTrialBalanceRequest(
            agency_id=str(agency_id), basis=ACCRUAL, page_size=500, page_token=token, **scope
        )
        reply = call_as(books.ledger.GetTrialBalance, request, books.token([agency_id]))
        for row in reply.rows:
            key = row.account_code.partition("/")[2], row.debit.currency_code
            found[key] = minor(row.debit), minor(row.credit), row.line_count
        token = reply.next_page_token
        if not token:
            return found


def expected(name: str) -> dict[tuple[str, str], tuple[int, int, int]]:
    with (JOURNALS / f"{name}.expected_tb.csv").open(encoding="utf-8", newline="") as rows:
        return {
            (row["account"], {"$": "USD"}.get(row["currency"], row["currency"])): (
                int(row["debit_minor"]),
                int(row["credit_minor"]),
                int(row["lines"]),
            )
            for row in csv.DictReader(rows)
        }


@pytest.mark.parametrize("name", ["ledger_drewr3", "gnucash_book_prices"])
def test_the_trial_balance_of_a_loaded_journal_is_that_of_the_other_program(
    books: Books, bare: UUID, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    outcome = load(books, bare, JOURNALS / f"{name}.jsonl", write_map(tmp_path), tmp_path, monkeypatch)

    assert (outcome.posted, outcome.refused) == (len((JOURNALS / f"{name}.jsonl").read_text().splitlines()), 0)
    assert sums(books, bare) == expected(name)
    with (JOURNALS / f"{name}.expected_tb_asof.csv").open(encoding="utf-8", newline="") as rows:
        wanted: dict[date, dict[str, int]] = defaultdict(dict)
        for row in csv.DictReader(rows):
            wanted[date.fromisoformat(row["as_of_inclusive"])][row["account"]] = int(row["balance_minor"])
    for day, balances in wanted.items():
        as_of = {"year": day.year, "month": day.month, "day": day.day}
        found = {account: debit - credit for (account, _), (debit, credit, _) in sums(books, bare, as_of=as_of).items()}
        assert {account: found[account] for account in balances} == balances
        assert all(balance == 0 for account, balance in found.items() if account not in balances)


def test_a_load_that_is_repeated_posts_nothing_twice_and_needs_no_new_account(
    books: Books, bare: UUID, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    made = write_map(tmp_path)
    file = JOURNALS / "ledger_drewr3.jsonl"

    first = load(books, bare, file, made, tmp_path, monkeypatch)
    again = load(books, bare, file, made, tmp_path, monkeypatch)

    assert (first.accounts_added, first.years_added, again.accounts_added, again.years_added) == (13, 2, 0, 0)
    assert (again.posted, again.refused) == (11, 0)
    assert sums(books, bare) == expected("ledger_drewr3")


def test_a_load_that_broke_is_taken_up_again_from_its_start(
    books: Books, bare: UUID, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("cli.load.journal_load.STREAM", 10)
    made, sent = write_map(tmp_path), []
    file = write(tmp_path, [entry(("A", n, 0, "EUR"), ("B", 0, n, "EUR")) for n in range(1, 36)])
    send = JournalLoader._send

    def breaking(self, entries, target):
        reply = send(self, entries, target)
        sent.append(len(entries))
        if len(sent) == 2:
            raise ConnectionError("the line broke after the second stream")
        return reply

    with monkeypatch.context() as patch:
        patch.setattr(JournalLoader, "_send", breaking)
        with pytest.raises(ConnectionError):
            load(books, bare, file, made, tmp_path, patch)
    assert sums(books, bare)["A", "EUR"] == (sum(range(1, 21)), 0, 20)
    outcome = load(books, bare, file, made, tmp_path, monkeypatch)

    assert (outcome.posted, outcome.refused) == (35, 0)
    assert sums(books, bare)["A", "EUR"] == (sum(range(1, 36)), 0, 35)


def test_another_map_for_entries_that_are_in_the_books_is_refused(
    books: Books, bare: UUID, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    made = write_map(tmp_path)
    file = JOURNALS / "ledger_drewr3.jsonl"
    load(books, bare, file, made, tmp_path, monkeypatch)
    other = write_map(tmp_path, **{"USD": "AUD"})
    other = journal_map.JournalMap(**{**vars(other), "source": made.source})

    with pytest.raises(MapChanged, match="lines 1 to 11"):
        load(books, bare, file, other, tmp_path, monkeypatch)
    assert {currency for _, currency in sums(books, bare)} == {"USD"}


def test_what_is_unknown_is_listed_and_nothing_is_loaded_or_made(
    books: Books, bare: UUID, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    made = write_map(
        tmp_path, rules=False, **{"create = true": "create = false", "create_fund = true": "", "UMUM": "KHUSUS"}
    )
    rows = [
        entry(("Assets:Cash", 5, 0, "EUR"), ("Income", 0, 5, "EUR")),
        entry(("Assets:Shares", 5, 0, "¤"), ("Income", 0, 5, "¤"), on="2019-05-05"),
    ]

    with pytest.raises(Unknown) as listed:
        load(books, bare, write(tmp_path, rows), made, tmp_path, monkeypatch)

    for part in (
        "6 things are unknown",
        "'Assets:Cash' (line 1)",
        "'Assets:Shares' (line 2)",
        "'Income' (line 1)",
        "fund 'KHUSUS'",
        "fiscal year 2018",
        "currency '¤' (line 2)",
    ):
        assert part in str(listed.value), part
    assert sums(books, bare) == {}


def test_months_that_are_closed_stop_a_load(books: Books, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    agency = books.agency(year=2018, open_to=3)
    agency.close(2, year=2018)
    rows = [entry(("A", 5, 0, "EUR"), ("B", 0, 5, "EUR"), on=f"2018-0{month}-07") for month in (1, 2, 4)]

    with pytest.raises(Unknown, match="period 2018-02 is SOFT_CLOSED"):
        load(books, agency.agency_id, write(tmp_path, rows), write_map(tmp_path), tmp_path, monkeypatch)
    outcome = load(
        books, agency.agency_id, write(tmp_path, [rows[0], rows[2]]), write_map(tmp_path), tmp_path, monkeypatch
    )

    assert (outcome.posted, outcome.refused) == (2, 0), "April was FUTURE, and the map lets it be opened"


def test_refused_entries_are_told_with_line_and_reason_and_the_corrected_error_file_goes_in(
    books: Books, bare: UUID, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    made = write_map(tmp_path)
    good = entry(("A", 5, 0, "EUR"), ("B", 0, 5, "EUR"))
    unbalanced = entry(("A", 6, 0, "EUR"), ("B", 0, 5, "EUR"))
    # Domain rules §1: without functional amounts each currency balances by itself.
    across = entry(("A", 10_00, 0, "EUR"), ("B", 0, 11_00, "USD"))
    huge = entry(("A", 2**63, 0, "EUR"), ("B", 0, 2**63, "EUR"))
    file = write(tmp_path, [good, unbalanced, good, across, huge])
    with file.open("a") as more:
        more.write('{"date": \n')

    outcome = load(books, bare, file, made, tmp_path, monkeypatch)

    told = {one["line"]: one["error"] for one in errors_of(tmp_path)}
    assert (outcome.posted, outcome.refused, outcome.found.equal_entries) == (2, 4, 1)
    assert {line: error.get("reason") for line, error in told.items() if line < 5} == {
        2: "JOURNAL_UNBALANCED",
        4: "JOURNAL_UNBALANCED",
    }
    assert "64 bits" in told[5]["message"]
    assert "no JSON" in told[6]["message"]

    rows = [one for one in errors_of(tmp_path) if one["line"] == 2]
    rows[0]["row"]["lines"][1]["credit"] = 6
    (tmp_path / "corrected.jsonl").write_text(json.dumps(rows[0]) + "\n")
    outcome = load(books, bare, tmp_path / "corrected.jsonl", made, tmp_path, monkeypatch)
    assert (outcome.posted, outcome.refused) == (1, 0)
    assert sums(books, bare)["A", "EUR"] == (16, 0, 3)
    assert not (tmp_path / "errors.jsonl").exists()


def test_lines_with_functional_amounts_balance_in_the_books_currency(
    books: Books, bare: UUID, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    # Domain rules §1: Dr AP USD 1 000 (15 400 000), Cr CASH 15 350 000, Cr FXD 50 000.
    row = entry(("Payable", 1_000_00, 0, "USD"), ("Cash", 0, 15_350_000_00, "IDR"), ("Difference", 0, 50_000_00, "IDR"))
    row["lines"][0]["functional"] = 15_400_000_00

    outcome = load(books, bare, write(tmp_path, [row]), write_map(tmp_path), tmp_path, monkeypatch)

    assert (outcome.posted, outcome.refused) == (1, 0)
    assert sums(books, bare)["Payable", "USD"] == (1_000_00, 0, 1)


def test_ten_years_in_many_currencies_sum_to_what_the_file_says(
    books: Books, bare: UUID, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    rng = random.Random(seed)
    currencies = ["EUR", "USD", "IDR", "GBP", "SGD", "$", "CHF", "AUD"]
    wanted: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    rows = []
    for number in range(ENTRIES):
        lines = []
        for currency in rng.sample(currencies, rng.choice([1, 1, 1, 2])):
            parts = [rng.randrange(1, 10**9) for _ in range(rng.randrange(1, 4))]
            taken = [(f"Expenses:{rng.randrange(20)}", part, 0, currency) for part in parts]
            for account, debit, credit, name in [*taken, (f"Assets:{rng.randrange(9)}", 0, sum(parts), currency)]:
                lines.append((account, debit, credit, name))
                kept = wanted[account, {"$": "USD"}.get(name, name)]
                kept[0], kept[1], kept[2] = kept[0] + debit, kept[1] + credit, kept[2] + 1
        on = date(2010 + rng.randrange(10), rng.randrange(1, 13), rng.randrange(1, 29))
        rows.append(entry(*lines, on=str(on), id=f"e{number}"))

    outcome = load(books, bare, write(tmp_path, rows), write_map(tmp_path), tmp_path, monkeypatch)

    assert (outcome.posted, outcome.refused, outcome.years_added) == (ENTRIES, 0, 10)
    assert sums(books, bare) == {key: tuple(kept) for key, kept in wanted.items()}


def kelola(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, as people run it."""
    command = [sys.executable, "-m", "cli.main", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_the_command_tells_what_it_did_and_fails_when_something_was_refused(
    books: Books, bare: UUID, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write_map(tmp_path)
    monkeypatch.setenv("KELOLA_PEERS", json.dumps({"finance": books.service.address}))
    monkeypatch.setenv("KELOLA_TOKEN", books.token([bare]))
    file = write(tmp_path, [entry(("A", 5, 0, "EUR"), ("B", 0, 5, "EUR")), entry(("A", 6, 0, "EUR"))])
    arguments = ["load", "journal", str(file), "--map", str(tmp_path / "map.toml"), "--agency", str(bare)]

    ran = kelola(*arguments, "--json")
    for_people = kelola(*arguments)
    unread = kelola(*arguments[:3], "--map", str(file))

    told = json.loads(ran.stdout)
    assert (ran.returncode, told["posted"], told["refused"], told["debits_minor"]) == (1, 1, 1, {"EUR": 5})
    assert Path(told["error_file"]).read_text().count("\n") == 1
    assert for_people.returncode == 1
    assert "posted: 1\nrefused: 1\n" in for_people.stdout, "what was posted before counts as posted"
    assert "posting journal.jsonl" in for_people.stderr
    assert (unread.returncode, "is no TOML" in unread.stderr) == (2, True)
