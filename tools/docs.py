"""Files made from the protos and the code: python -m tools.docs writes them, --check says whether they are current."""

from __future__ import annotations

import sys
from pathlib import Path

from tools import asyncapi, deployment, protodocs

ROOT = Path(__file__).resolve().parent.parent
FILES = {
    "docs/asyncapi.yaml": asyncapi.render,
    "docs/api.md": protodocs.render,
    "deploy/kafka/topics.yaml": deployment.topics,
    "deploy/kafka/users.yaml": deployment.users,
    "deploy/helm/kelola/files/services.yaml": deployment.edges,
}


def main(*, check: bool) -> int:
    """Write the files, or count those that `make docs` would change."""
    stale = 0
    for name, render in FILES.items():
        file, text = ROOT / name, render()
        if file.exists() and file.read_text(encoding="utf-8") == text:
            continue
        if check:
            stale += 1
            print(f"{name} is not what the protos and the code say: run `make docs`")
        else:
            file.write_text(text, encoding="utf-8")
            print(name)
    return stale


if __name__ == "__main__":
    sys.exit(1 if main(check="--check" in sys.argv[1:]) else 0)
