"""Make `.venv`: the locked packages, the path to this checkout, and the `kelola` command.

    python3 tools/install.py            (what `make setup` does; Python 3.11 or newer, nothing installed)

Packages come from `requirements.lock` with their hashes checked, so every machine gets the same files. The
project itself is not copied: a path file lets Python import it, and the generated stubs in `gen/`, from here.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV, LOCK, LOG = ROOT / ".venv", ROOT / "requirements.lock", ROOT / "build" / "setup.log"
_VERSION_MIN = (3, 11)
_LOG_TAIL_LINES = 25

_COMMAND = """#!{python}
import sys

from cli.main import app

sys.exit(app())
"""


def main() -> None:
    """Do what is missing; safe to repeat, and quick when all is there."""
    if sys.version_info < _VERSION_MIN:
        sys.exit(f"Kelola needs Python 3.11 or newer; {sys.executable} is {sys.version.split()[0]} (make PYTHON=…)")
    python = VENV / "bin" / "python"
    if not python.exists():
        print(f"making {VENV.name} with Python {sys.version.split()[0]} …", flush=True)
        venv.create(VENV, with_pip=True, symlinks=True)
    _install_packages(python)
    _link(python)


def _install_packages(python: Path) -> None:
    """Run pip on the lock file, counting packages as they come; its words go to `build/setup.log`."""
    wanted = sum(1 for line in LOCK.read_text(encoding="utf-8").splitlines() if line[:1].isalpha())
    LOG.parent.mkdir(exist_ok=True)
    began, seen = time.monotonic(), 0
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--require-hashes"]
    with LOG.open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [*command, "-r", str(LOCK)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert process.stdout is not None
        for line in process.stdout:
            log.write(line)
            if line.startswith(("Collecting ", "Requirement already satisfied")):
                seen += 1
                _show(f"packages: {min(seen, wanted)} of {wanted}")
            elif line.startswith("Installing collected"):
                _show(f"packages: {wanted} of {wanted}, unpacking")
        status = process.wait()
    print(flush=True)
    if status:
        tail = LOG.read_text(encoding="utf-8").splitlines()[-_LOG_TAIL_LINES:]
        sys.exit("pip could not install requirements.lock:\n  " + "\n  ".join(tail))
    print(f"packages are there after {time.monotonic() - began:.0f} s", flush=True)


def _show(text: str) -> None:
    """A progress line that overwrites itself on a terminal, and stays away elsewhere but for each tenth."""
    if sys.stdout.isatty():
        print(f"\r\033[K{text}", end="", flush=True)
    elif text.endswith(("0 of", "unpacking")) or "0 of" in text:
        print(text, flush=True)


def _link(python: Path) -> None:
    """Let this interpreter import the checkout and `gen/`, and put `kelola` beside it."""
    packages = subprocess.run(
        [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    (Path(packages) / "kelola.pth").write_text(f"{ROOT}\n{ROOT / 'gen'}\n", encoding="utf-8")
    command = VENV / "bin" / "kelola"
    fresh = command.with_suffix(".new")
    fresh.write_text(_COMMAND.format(python=python), encoding="utf-8")
    fresh.chmod(0o755)
    os.replace(fresh, command)


if __name__ == "__main__":
    main()
