"""Versions of mutable resources, shown as etags (AIP-154)."""

from __future__ import annotations

from uuid import UUID

from chassis.errors import Aborted


class EtagMismatch(Aborted):
    """Somebody changed the resource since it was read."""

    reason = "ETAG_MISMATCH"


def etag_of(version: int) -> str:
    """The etag of a version."""
    return f"v{version}"


def require_etag(etag: str, kind: str, key: UUID, version: int) -> None:
    """Refuse with ABORTED unless `etag` is empty or that of the present version."""
    if etag and etag != etag_of(version):
        raise EtagMismatch(
            f"{kind} {key} is at {etag_of(version)}, not {etag}: read it again",
            metadata={"etag": etag_of(version)},
        )
