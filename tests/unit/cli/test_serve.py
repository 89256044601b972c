"""What `kelola relay` (and `serve`, alike) logs: text for a person at a terminal, JSON lines for everything else."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import pytest

# Without a database the relay says why it cannot work, and ends: a whole life in a second.
_COMMAND = [sys.executable, "-m", "cli.main", "relay", "identity"]


def log_of(*arguments: str, terminal: bool, **environment: str) -> list[str]:
    """The lines that the process logs, its stderr being a terminal or a pipe."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("KELOLA_")}
    ours, theirs = pty.openpty() if terminal else os.pipe()
    with os.fdopen(ours, "rb", buffering=0) as log:
        child = subprocess.Popen([*_COMMAND, *arguments], stderr=theirs, env={**inherited, **environment})
        os.close(theirs)
        said = b""
        try:
            while chunk := log.read(65_536):
                said += chunk
        except OSError:
            pass  # a terminal whose other side is gone
        assert child.wait(60) == 1
    return said.decode().splitlines()


@pytest.mark.parametrize(
    ("arguments", "terminal", "environment"),
    [
        ((), False, {}),
        (("--json",), False, {}),
        (("--json",), True, {}),
        (("--json",), True, {"KELOLA_LOG_FORMAT": "text"}),
        ((), True, {"KELOLA_LOG_FORMAT": "json"}),
    ],
)
def test_a_document_a_line_where_no_person_looks_or_when_asked_for(arguments, terminal, environment):
    documents = [json.loads(line) for line in log_of(*arguments, terminal=terminal, **environment)]

    assert "the relay failed" in [each["event"] for each in documents]


@pytest.mark.parametrize(("terminal", "environment"), [(True, {}), (False, {"KELOLA_LOG_FORMAT": "text"})])
def test_lines_of_text_on_a_terminal(terminal, environment):
    lines = log_of(terminal=terminal, **environment)

    assert any("the relay failed" in line for line in lines)
    assert any("set KELOLA_DATABASE_READER_URL" in line for line in lines)
    assert not any(line.startswith("{") for line in lines)
