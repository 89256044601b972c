"""Etags of logistics' documents: the version that the reader saw."""

from __future__ import annotations

from chassis.errors import Aborted


class EtagMismatch(Aborted):
    """The document changed since it was read."""

    reason = "ETAG_MISMATCH"


def etag_of(version: int) -> str:
    """The etag of a version."""
    return f'"{version}"'


def require_etag(etag: str, version: int, document: str) -> None:
    """Refuse with ETAG_MISMATCH when an etag is given and is not that of the present version."""
    if etag and etag != etag_of(version):
        raise EtagMismatch(
            f"{document} changed since it was read; read it again and decide anew",
            metadata={"given": etag, "present": etag_of(version)},
        )
