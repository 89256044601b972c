"""After all that the other files did: the books hold, nothing is stuck, nothing private is in logs or spans.

Named so that it runs last.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cli.demo import cast
from cli.verify import between
from tests.system import books
from tests.system.conftest import SCALE
from tests.system.rehearsal import person

SERVICES = ("identity", "finance", "hr", "logistics")


def test_all_invariants_hold_at_the_end(lived, kelola):
    books.at_rest(lived.platform)

    answer = kelola("verify", "--strict")

    assert answer["problems"] == []
    assert {row["service"] for row in answer["services"]} == set(SERVICES)
    for row in answer["services"]:
        assert row["events"] > 0
        assert (row["events_unsent"], row["events_parked"], row["sagas_stuck"]) == (0, 0, 0)
    assert answer["between"]["stock_cuts"] > 0
    assert answer["between"]["payroll_runs"] > 0


@pytest.mark.parametrize(
    ("invariant", "service", "off_by_one"),
    [
        (
            "I7",
            "logistics",
            "update stock_movement set value_minor = value_minor + {one} where stock_movement_id ="
            " (select min(stock_movement_id::text)::uuid from stock_movement)",
        ),
        (
            "I8",
            "finance",
            "update payable set amount_minor = amount_minor + {one} where payable_id ="
            " (select min(payable_id::text)::uuid from payable where source = 'PAYROLL')",
        ),
    ],
)
def test_two_services_that_no_longer_agree_are_named(lived, invariant, service, off_by_one):
    books.at_rest(lived.platform)
    urls = {name: database.reader_url for name, database in lived.platform.databases.items()}
    assert between.report(urls).problems == []

    with lived.platform.postgres.connect(service) as connection:
        connection.execute(off_by_one.format(one=1))
    try:
        found = between.report(urls).problems
    finally:
        with lived.platform.postgres.connect(service) as connection:
            connection.execute(off_by_one.format(one=-1))

    # What differs in a projection is named as well (I6).
    assert {problem.invariant for problem in found} - {"I6"} == {invariant}


def test_nothing_was_parked(lived, kelola):
    assert {service: kelola("events", "parked", service) for service in SERVICES} == {name: [] for name in SERVICES}


def test_no_log_and_no_span_shows_a_national_id_a_token_or_a_password(lived):
    """I12. Names of persons are not looked for: the story's are all alike."""
    people = [
        *cast.officers(),
        *cast.owners(),
        *cast.officials(SCALE.officials),
        *(person(number, "") for number in range(len(cast.OFFICERS) + 3)),
    ]
    secrets = {each.national_id for each in people}
    for database in lived.platform.databases.values():
        secrets |= {urlsplit(url).password or "" for url in (database.owner_url, database.app_url, database.reader_url)}
    secrets.discard("")

    found = {
        f"{file.name}: {secret}"
        for folder in ("logs", "spans")
        for file in sorted((lived.platform.directory / folder).glob("*"))
        for secret in _in_file(file, secrets)
    }

    assert found == set()


def _in_file(file: Path, secrets: set[str]) -> set[str]:
    text = file.read_text(encoding="utf-8", errors="replace")
    # A token's header is the same in all of ours: {"typ":"JWT","alg":"Ed25519"…
    return {secret for secret in [*secrets, "eyJ0eXAiOiJKV1Qi", "eyJhbGciOiJFZDI1NTE5"] if secret in text}
