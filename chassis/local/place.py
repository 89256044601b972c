"""Where the local platform keeps everything that lasts."""

from __future__ import annotations

import os
from pathlib import Path

from chassis.settings import ROOT


def home() -> Path:
    """The data folder: KELOLA_HOME, or `.local` in this checkout."""
    return Path(os.environ.get("KELOLA_HOME") or ROOT / ".local")
