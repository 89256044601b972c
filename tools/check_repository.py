"""What must not be in the repository: python -m tools.check_repository

Registry hosts (a checkout builds from whichever registry its machine uses), home paths and this checkout's own path,
secrets in clear, generated code, protos of others, and files too long to be read in one sitting.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Written in pieces, so that this file does not find itself.
_HOSTS = (
    "pypi" + r"\.org",
    r"files\.python" + r"hosted\.org",
    r"repo1?\.maven",
    r"maven\.apa" + r"che\.org/maven2",
    r"registry\.np" + r"mjs",
    r"proxy\.gol" + r"ang\.org",
    r"static\.crates" + r"\.io",
    r"buf" + r"\.build/",
)
_RULES = [
    ("names a registry host", re.compile("|".join(_HOSTS))),
    ("names a home folder", re.compile(r"(?<![\w.])(/home/[a-z][\w-]*/|/ro" + r"ot/|/Users/[A-Za-z][\w-]*/)")),
    ("holds a private key", re.compile("-----BEGIN [A-Z ]*PRIVATE " + "KEY-----")),
]  # fmt: skip
_GENERATED = re.compile(r"(_pb2(_grpc)?\.pyi?$|^gen/|\.binpb$)")
_RELEASED = "protos/released.binpb"
# Migrations are records of what was done once: they are never rewritten, so never split.
_LINES_MAX = 500
_BYTES_MAX = 2_000_000


def tracked() -> list[str]:
    """What git would commit: tracked files, and new ones that are not ignored."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return sorted(name for name in set(names) if name and (ROOT / name).is_file())


def problems() -> Iterator[str]:
    """Everything found, as `file:line: what`."""
    own_path = re.compile(re.escape(f"{ROOT}") + r"\b")
    for name in tracked():
        path = ROOT / name
        if _GENERATED.search(name) and name != _RELEASED:
            yield f"{name}: is generated; `make protos` makes it, git must not keep it"
            continue
        if name.endswith(".proto") and not name.startswith(("protos/kelola/", "tests/", "benchmarks/")):
            yield f"{name}: protos of others are taken from their packages, not copied"
        if path.stat().st_size > _BYTES_MAX:
            yield f"{name}: has {path.stat().st_size} bytes; at most {_BYTES_MAX}"
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        if name.endswith(".py") and "/migrations/" not in name and len(lines) > _LINES_MAX:
            yield f"{name}: has {len(lines)} lines; a file holds one thing, at most {_LINES_MAX}"
        for number, line in enumerate(lines, start=1):
            for what, pattern in [*_RULES, ("names this checkout's own path", own_path)]:
                if pattern.search(line):
                    yield f"{name}:{number}: {what}: {line.strip()[:120]}"


def main() -> int:
    """Print what was found; exit 1 if anything was."""
    found = list(problems())
    for problem in found:
        print(problem)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
