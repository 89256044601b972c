"""Everything that can be said about the code without running it: python -m tools.lint

All steps run, each with its time; the words of those that fail follow; exit 1 if any did.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_BIN = Path(sys.executable).parent
_PYTHON = [sys.executable, "-m"]
_PACKAGES = ["chassis", "services", "cli", "tools", "benchmarks"]


def steps() -> list[tuple[str, list[str]]]:
    """The name and the command of each step."""
    found = [
        ("format", [str(_BIN / "ruff"), "format", "--check", "."]),
        ("ruff", [str(_BIN / "ruff"), "check", "."]),
        ("types", [*_PYTHON, "mypy", "--no-error-summary", *_PACKAGES]),
        ("layers", [str(_BIN / "lint-imports"), "--no-logo"]),
        ("protos", [str(_BIN / "buf"), "lint"]),
        ("contracts and architecture", [*_PYTHON, "pytest", "-q", "tests/contract", "tests/architecture"]),
        ("docs are current", [*_PYTHON, "tools.docs", "--check"]),
        ("tidiness", [*_PYTHON, "tools.check_repository"]),
    ]
    released = ROOT / "protos" / "released.binpb"
    if released.exists():
        # Created by the first release: what integrators rely on from then on. Our own module is named, because
        # against the whole workspace buf takes the files of each module for deleted from the other.
        against = [str(_BIN / "buf"), "breaking", "protos", "--against", str(released.relative_to(ROOT))]
        found.insert(5, ("protos break nobody", against))
    return found


def main() -> int:
    """Run the steps; how many failed."""
    failed = 0
    for name, command in steps():
        began = time.monotonic()
        done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        verdict = "ok" if done.returncode == 0 else "FAILED"
        print(f"{name:<28} {verdict:<7} {time.monotonic() - began:6.1f} s", flush=True)
        if done.returncode:
            failed += 1
            print("  " + (done.stdout + done.stderr).strip().replace("\n", "\n  "), flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
