"""Files that the service writes: secret keys, made once and never overwritten, and what others read of it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_READABLE_BY_ALL = 0o644


@contextmanager
def _scratch(file: Path, content: str) -> Iterator[Path]:
    """`content`, whole and on disk, beside `file` under a name of its own; readable by our user alone."""
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    scratch = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        yield scratch
    finally:
        scratch.unlink(missing_ok=True)


def ensure(file: Path, make: Callable[[], str]) -> None:
    """Write what `make` gives to `file` unless it is there; of several processes that start at once, one wins.

    The content is complete before the name appears, so that nobody reads half a key.
    """
    if file.exists():
        return
    with _scratch(file, make()) as scratch:
        try:
            # link() refuses an existing name, which rename() would replace.
            os.link(scratch, file)
        except FileExistsError:
            return


def replace(file: Path, content: str) -> None:
    """Write `content`, which is no secret, over `file`; a reader sees the old or the new, never a half."""
    with _scratch(file, content) as scratch:
        scratch.chmod(_READABLE_BY_ALL)
        scratch.replace(file)
