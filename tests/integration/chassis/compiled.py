"""Protos of tests, compiled outside `gen/`: once for each content, whoever asks and however his process ends."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import grpc_tools

ROOT = Path(__file__).resolve().parents[3]
_FOLDER = ROOT / "build" / "test-protos"


def make_importable(proto: Path, package: str) -> None:
    """Compile `proto` as a file of `package` (kelola.parcels.v1), and put its modules on the path.

    Processes that come together each compile in a folder of their own, and one of them gives it its name.
    """
    content = hashlib.sha256(f"{package}\n{grpc_tools.__file__}\n".encode() + proto.read_bytes()).hexdigest()[:16]
    made = _FOLDER / f"{proto.stem}-{content}"
    if not made.is_dir():
        _FOLDER.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_FOLDER) as scratch:
            out = Path(scratch) / "out"
            _compile(proto, package, sources=Path(scratch) / "protos", out=out)
            try:
                out.rename(made)
            except OSError:
                if not made.is_dir():
                    raise
    sys.path.append(os.fspath(made))


def _compile(proto: Path, package: str, *, sources: Path, out: Path) -> None:
    name = Path(*package.split(".")) / proto.name
    out.mkdir()
    (sources / name).parent.mkdir(parents=True)
    shutil.copyfile(proto, sources / name)
    imports = [sources, ROOT / "protos", ROOT / "gen" / "third_party", Path(grpc_tools.__file__).parent / "_proto"]
    subprocess.run(
        [
            *(sys.executable, "-m", "grpc_tools.protoc"),
            *(f"-I{path}" for path in imports),
            *(f"--python_out={out}", f"--grpc_python_out={out}"),
            os.fspath(name),
        ],
        check=True,
    )
