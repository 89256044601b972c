"""docs/finance.md names tests and paths that there are."""

from __future__ import annotations

import re

from tools.descriptors import ROOT

_FOLDERS = {
    "i": "tests/integration/finance",
    "u": "tests/unit/finance",
    "s": "tests/system",
    "c": "tests/contract",
    "k": "tests/unit/cli",
    "h": "tests/integration/chassis",
    "b": "tests/unit/benchmarks",
}
_TEST = re.compile(r"`([a-z])/(\w+)::(\w+)`")
_ELSEWHERE = ("benchmarks/", "chassis/", "cli/", "data/", "docs/", "protos/", "tests/")


def _rows() -> list[list[str]]:
    """The cells of every row that promises something; headings and rules are left out."""
    lines = (ROOT / "docs" / "finance.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    return [row for row in rows if _TEST.search(" ".join(row))]


def test_every_test_of_the_page_is_there():
    missing = []
    for letter, file, name in _TEST.findall("\n".join(" ".join(row) for row in _rows())):
        path = ROOT / _FOLDERS[letter] / f"test_{file}.py"
        if not path.exists() or f"def test_{name}(" not in path.read_text(encoding="utf-8"):
            missing.append(f"{letter}/{file}::{name}")

    assert missing == []
    assert len(_rows()) > 150


def test_every_path_of_the_page_is_there():
    missing = []
    for row in _rows():
        for place in re.findall(r"`([\w/.-]+)`", row[1]):
            path = ROOT / place if place.startswith(_ELSEWHERE) else ROOT / "services" / "finance" / place
            if ("/" in place or place.endswith(".py")) and not path.exists():
                missing.append(place)

    assert missing == []
