"""The tables of law of one government, by day."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from chassis import country_pack
from chassis.settings import ROOT

TABLE = """code,rate,valid_from,valid_to,legal_source
A,1,2020-01-01,2025-01-01,Act 1
A,2,2025-01-01,,Act 2
"""


@pytest.fixture(autouse=True)
def pack(tmp_path: Path) -> Iterator[Path]:
    """A made-up country's pack, for one test."""
    (tmp_path / "rates.csv").write_text(TABLE, encoding="utf-8")
    country_pack.choose(tmp_path)
    yield tmp_path
    country_pack.choose(ROOT / "data" / "id")


@pytest.mark.parametrize(
    ("on", "rates"),
    [
        (date(2019, 12, 31), []),
        (date(2020, 1, 1), ["1"]),
        (date(2024, 12, 31), ["1"]),
        (date(2025, 1, 1), ["2"]),
        (date(2099, 1, 1), ["2"]),
    ],
)
def test_a_row_holds_from_its_first_day_until_before_its_last(on: date, rates: list[str]) -> None:
    """[valid_from, valid_to), an empty end being open."""
    assert [row["rate"] for row in country_pack.holding("rates.csv", on)] == rates


def test_a_table_that_the_pack_lacks_is_named() -> None:
    """Whoever keeps the pack must know which file to add."""
    with pytest.raises(country_pack.PackIncomplete) as refused:
        country_pack.rows("tolerances.csv")
    assert refused.value.metadata == {"table": "tolerances.csv"}


def test_another_pack_is_read_anew(tmp_path: Path) -> None:
    """Nothing of the first country is remembered for the second."""
    assert len(country_pack.rows("rates.csv")) == 2
    other = tmp_path / "other"
    other.mkdir()
    (other / "rates.csv").write_text("\n".join(TABLE.splitlines()[:2]), encoding="utf-8")
    country_pack.choose(other)
    assert len(country_pack.rows("rates.csv")) == 1


def test_a_folder_that_is_none_ends_the_start_with_its_name(tmp_path: Path) -> None:
    """A wrong setting is told at once, with its name."""
    with pytest.raises(country_pack.PackMissing, match=r"KELOLA_COUNTRY_PACK_DIR=.*nowhere is no folder"):
        country_pack.choose(tmp_path / "nowhere")
