"""A journal of another system, read line by line: what is taken, and what is refused with its line and reason."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import UUID

import pytest

from chassis.money import INT64_MAX
from chassis.settings import ROOT
from cli.load import journal_map
from cli.load.journal_file import Entry, FileRefused, Reader, Refused
from cli.load.journal_map import CurrencyRule, JournalMap, MapRefused

PLAIN = JournalMap(source="other", fund_code="UMUM")
AGENCY = UUID(int=7)


def entry(**values) -> dict:
    lines = [{"account": "A", "debit": 500, "credit": 0}, {"account": "B", "debit": 0, "credit": 500}]
    return {"date": "2018-02-01", "description": "x", "currency": "EUR", "scale": 2, "lines": lines, **values}


def lines_of(*pairs, **values) -> dict:
    lines = [{"account": f"A{n}", "debit": debit, "credit": credit} for n, (debit, credit) in enumerate(pairs)]
    return entry(lines=lines, **values)


def read(tmp_path: Path, content: bytes | list, journal: JournalMap = PLAIN) -> tuple[list[Entry | Refused], Reader]:
    file = tmp_path / "journal.jsonl"
    if isinstance(content, list):
        content = b"".join(json.dumps(row).encode() + b"\n" for row in content)
    file.write_bytes(content)
    reader = Reader(file, journal)
    return list(reader), reader


def only(tmp_path: Path, row, journal: JournalMap = PLAIN) -> Entry | Refused:
    ((one,), _) = read(tmp_path, [row], journal)
    return one


def test_an_entry_is_read_with_its_amounts_in_minor_units(tmp_path: Path):
    one = only(tmp_path, entry())

    assert isinstance(one, Entry)
    assert [(a.account, a.debit_minor, a.credit_minor, a.currency) for a in one.amounts] == [
        ("A", 500, 0, "EUR"),
        ("B", 0, 500, "EUR"),
    ]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b'{"date": "2018-02-01", "lines": [', "no JSON"),
        (json.dumps(entry()).encode().replace(b'"x"', b'"caf\xe9"'), "not UTF-8"),
        (b"[]", "an entry is an object"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"date": 1' + b"0" * 5_000 + b"}", "no JSON"),
        (json.dumps(entry()).encode().replace(b'"currency"', b'"date": "2018-02-01", "currency"'), "stands twice"),
        (json.dumps(entry()).encode().replace(b"500", b"NaN", 1), "NaN is no number"),
    ],
)
def test_a_line_that_is_no_entry_is_refused_with_its_number(tmp_path: Path, raw: bytes, reason: str):
    good = json.dumps(entry()).encode()

    (first, second, third), _ = read(tmp_path, good + b"\n" + raw + b"\r\n" + good)

    assert isinstance(first, Entry)
    assert isinstance(third, Entry)
    assert isinstance(second, Refused)
    assert (second.line, reason in second.reason) == (2, True), second.reason


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_file_in_another_encoding_is_refused_whole(tmp_path: Path, encoding: str):
    with pytest.raises(FileRefused, match="iconv"):
        read(tmp_path, json.dumps(entry()).encode(encoding))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (entry(date="2018-02-30"), "no day"),
        (entry(date="20180201"), "no day"),
        (entry(date="1815-06-18"), "1950 to 2200"),
        (entry(lines=[]), "lines"),
        (entry(lines="x"), "lines"),
        (entry(currency=None), "neither the line nor the entry"),
        (entry(currency="$"), "no code of ISO 4217"),
        (entry(currency="ZZZ"), "no code of ISO 4217"),
        (lines_of((500, 0), (0, 500.0)), "no whole number"),
        (lines_of((500, 0), (0, "500")), "no whole number"),
        (lines_of((500, 0), (0, True)), "no whole number"),
        (lines_of((500, 500), (0, 500)), "both a debit and a credit"),
        (lines_of((500, 0), (-500, 0)), "negative"),
        (lines_of((500, 0), (0, 0)), "fewer than two lines"),
        (lines_of((INT64_MAX + 1, 0), (0, 5)), "more than 64 bits"),
        (lines_of((INT64_MAX, 0), (1, 0), (0, 5)), "64 bits do not hold"),
        (lines_of((INT64_MAX, 0), (0, 5), scale=0), "more than 64 bits"),
        (lines_of((12_345, 0), (0, 12_345), scale=4), "more decimals than EUR"),
        (entry(scale=2.5), "scale"),
        (entry(description="a\0b"), "NUL"),
        (entry(description="\ud800"), "surrogate"),
        (entry(description=["x"]), "description"),
        (entry(id=["x"]), "id"),
        (entry(lines=[{"account": " ", "debit": 5}, {"account": "B", "credit": 5}]), "account"),
        (entry(lines=[{"account": "A", "debit": 5}, 5]), "a line is an object"),
        (entry(lines=[{"account": "A", "debit": 5}] * 2_001), "at most 2000"),
    ],
)
def test_an_entry_with_a_fault_is_refused_with_the_reason(tmp_path: Path, row: dict, reason: str):
    one = only(tmp_path, row)

    assert isinstance(one, Refused)
    assert reason in one.reason, one.reason


@pytest.mark.parametrize(
    ("currency", "scale", "minor", "made"),
    [
        ("EUR", 2, 5, 5),
        ("EUR", 0, 5, 500),
        ("EUR", 4, 500, 5),
        ("JPY", 2, 500, 5),
        ("KWD", 2, 5, 50),
        ("EUR", None, 5, 5),
    ],
)
def test_minor_units_of_the_source_become_those_of_the_currency(tmp_path: Path, currency, scale, minor, made):
    one = only(tmp_path, lines_of((minor, 0), (0, minor), currency=currency, scale=scale))

    assert isinstance(one, Entry)
    assert [amount.debit_minor + amount.credit_minor for amount in one.amounts] == [made, made]


def test_what_a_source_counts_in_units_of_its_own_is_kept_when_the_map_says_so(tmp_path: Path):
    journal = JournalMap("other", "UMUM", currencies={"AAPL": CurrencyRule("XTS", counted=True)})

    one = only(tmp_path, lines_of((12_345, 0), (0, 12_345), currency="AAPL", scale=4), journal)

    assert isinstance(one, Entry)
    assert (one.amounts[0].debit_minor, one.amounts[0].currency) == (12_345, "XTS")


def test_negative_amounts_change_sides_when_the_map_says_so(tmp_path: Path):
    one = only(tmp_path, lines_of((-5, 0), (5, 0)), JournalMap("other", "UMUM", negative_swaps=True))

    assert isinstance(one, Entry)
    assert [(amount.debit_minor, amount.credit_minor) for amount in one.amounts] == [(0, 5), (5, 0)]


def test_a_name_that_comes_twice_is_a_duplicate_and_equal_entries_without_one_are_told(tmp_path: Path):
    named, reader = read(tmp_path, [entry(id="7"), entry(id="8"), entry(id="7", description="other")])
    assert isinstance(named[2], Refused)
    assert "'7' stands on line 1 already" in named[2].reason
    assert (reader.found.entries, reader.found.refused, reader.found.equal_entries) == (2, 1, 0)

    plain, reader = read(tmp_path, [entry(), entry()])
    assert (len(plain), reader.found.entries, reader.found.equal_entries) == (2, 2, 1)
    assert plain[0].request_id(AGENCY, "s") != plain[1].request_id(AGENCY, "s"), "two bus tickets of a day are two"

    strict, _ = read(tmp_path, [entry(), entry()], JournalMap("other", "UMUM", refuse_equal=True))
    assert isinstance(strict[1], Refused)


def test_request_ids_come_from_source_content_and_place(tmp_path: Path):
    first, _ = read(tmp_path, [entry(id="7"), entry()])
    moved, _ = read(tmp_path, [entry(description="new"), entry(id="7"), entry()])

    assert first[0].request_id(AGENCY, "s") == moved[1].request_id(AGENCY, "s"), "a name is a place"
    assert first[1].request_id(AGENCY, "s") != moved[2].request_id(AGENCY, "s")
    assert first[0].request_id(AGENCY, "s") != first[0].request_id(AGENCY, "t")
    assert first[0].request_id(AGENCY, "s") != first[0].request_id(UUID(int=8), "s")


def test_a_row_of_an_error_file_keeps_the_place_where_it_stood(tmp_path: Path):
    (_, second), _ = read(tmp_path, [entry(), entry(description="y")])
    (again,), _ = read(tmp_path, [{"line": 2, "error": {"message": "m"}, "row": entry(description="y")}])

    assert again.request_id(AGENCY, "s") == second.request_id(AGENCY, "s")


def test_the_debits_of_a_whole_file_stay_within_64_bits(tmp_path: Path):
    half = INT64_MAX // 2 + 1
    (first, second, third), reader = read(
        tmp_path, [lines_of((half, 0), (0, half)), lines_of((half, 0), (0, half)), lines_of((7, 0), (0, 7))]
    )

    assert isinstance(first, Entry)
    assert isinstance(second, Refused)
    assert isinstance(third, Entry), "the others go in"
    assert reader.found.debits == {"EUR": half + 7}


def test_a_byte_order_mark_blank_lines_and_a_missing_last_newline_do_no_harm(tmp_path: Path):
    raw = b"\xef\xbb\xbf" + json.dumps(entry()).encode() + b"\r\n\r\n  \n" + json.dumps(entry(id="z")).encode()

    read_in, reader = read(tmp_path, raw)

    assert [type(one) for one in read_in] == [Entry, Entry]
    assert [one.line for one in read_in] == [1, 4]
    assert reader.bytes_read == len(raw)


def test_a_line_beyond_the_limit_is_refused_and_the_next_one_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("cli.load.journal_file.LINE_BYTES_MAX", 400)
    raw = b"x" * 1_000 + b"\n" + json.dumps(entry()).encode() + b"\n"

    first, second = read(tmp_path, raw)[0]

    assert isinstance(first, Refused)
    assert "longer than 400 bytes" in first.reason
    assert isinstance(second, Entry)
    assert second.line == 2


def test_descriptions_are_never_empty_and_long_ones_are_cut_and_counted(tmp_path: Path):
    (bare, named, long), reader = read(
        tmp_path, [entry(description=""), entry(description=None, ref="R-7"), entry(description="ä" * 900)]
    )

    assert (bare.description, named.description) == ("(no description)", "R-7")
    assert (len(long.description), reader.found.cut_descriptions) == (500, 1)


MAP = """
source = "books"
fund_code = "UMUM"
[currencies]
"$" = "USD"
[accounts]
"Cash" = "1.1.01.07"
[[create_accounts]]
prefix = ""
code = "X/{name}"
kind = "EXPENSE"
normal_side = "DEBIT"
[[create_accounts]]
prefix = "Assets:"
code = "A/{rest}"
kind = "ASSET"
normal_side = "DEBIT"
"""


def read_map(tmp_path: Path, text: str, name: str = "map.toml") -> JournalMap:
    (tmp_path / name).write_text(text, encoding="utf-8")
    return journal_map.read(tmp_path / name)


def test_a_map_gives_accounts_by_the_longest_prefix(tmp_path: Path):
    made = read_map(tmp_path, MAP)

    codes = {name: rule.account(name).code for name in ("Assets:Bank", "Food") if (rule := made.rule_for(name))}
    assert codes == {"Assets:Bank": "A/Bank", "Food": "X/Food"}
    assert [made.currency(name) for name in ("$", "EUR", "ZZZ")] == [CurrencyRule("USD"), CurrencyRule("EUR"), None]


def test_the_map_in_the_documentation_is_one(tmp_path: Path):
    page = (ROOT / "docs" / "journal-import.md").read_text(encoding="utf-8")

    made = read_map(tmp_path, page.partition("```toml\n")[2].partition("```")[0])

    assert (made.source, made.create_fund, made.create_years, made.functional_currency) == (
        "municipal-2018",
        True,
        True,
        "IDR",
    )
    assert made.segments == {"organisation_code": "1.02.01"}
    assert made.currencies["AAPL"] == CurrencyRule("XTS", counted=True)


def test_a_map_may_be_json(tmp_path: Path):
    text = json.dumps({"source": "s", "fund_code": "F", "currencies": {"B": {"code": "XBT", "counted": True}}})

    assert read_map(tmp_path, text, "map.json").currency("B") == CurrencyRule("XBT", counted=True)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("source", "sauce"), "no such key: sauce"),
        (('"EXPENSE"', '"EXPENDITUR"'), "is none of"),
        (('code = "X/{name}"', 'code = "X"'), r"{name} or {rest}"),
        (('"USD"', '"dollars"'), "three capital letters"),
        (('source = "books"', 'source = "books"\nscale = 2.5'), "scale"),
        (('source = "books"', 'source = "books"\nagency_id = "7"'), "no UUID"),
        (('source = "books"', 'source = "books"\nnegative = "ignore"'), "refuse, swap"),
        (("[currencies]", "[currencies"), "is no TOML"),
        (("[currencies]", "[fiscal_years]\ncreate = true\n[currencies]"), "functional_currency"),
        (('"Cash" = "1.1.01.07"', '"Cash" = 7'), "no text"),
    ],
)
def test_a_map_that_is_not_clear_is_refused_with_the_place(tmp_path: Path, change: tuple[str, str], reason: str):
    with pytest.raises(MapRefused) as refused:
        read_map(tmp_path, MAP.replace(*change, 1))

    assert reason in str(refused.value)
