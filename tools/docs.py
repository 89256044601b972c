"""Pages that are made from the protos: python -m tools.docs writes them, --check says whether they are current."""

from __future__ import annotations

import sys
from pathlib import Path

from tools import asyncapi, protodocs

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGES = {"asyncapi.yaml": asyncapi.render, "api.md": protodocs.render}


def main(*, check: bool) -> int:
    """Write the pages, or count those that `make docs` would change."""
    stale = 0
    for name, render in PAGES.items():
        file, text = DOCS / name, render()
        if file.exists() and file.read_text(encoding="utf-8") == text:
            continue
        if check:
            stale += 1
            print(f"docs/{name} is not what the protos say: run `make docs`")
        else:
            file.write_text(text, encoding="utf-8")
            print(f"docs/{name}")
    return stale


if __name__ == "__main__":
    sys.exit(1 if main(check="--check" in sys.argv[1:]) else 0)
