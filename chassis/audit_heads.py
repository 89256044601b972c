"""The audit chain's signed heads, published: as events, and as lines of a file. Anchors outside the database.

Whoever rewrites the chain as the database's administrator can rewrite the table `audit_head` beside it, but not
what others hold already. So each head also goes

- to the topic `kelola.<service>.audit.v1`, through the outbox, in the transaction that signs it. Sending an event
  writes no audit row, so a head never causes the next one;
- to the file of `audit_head_file`, a line each, which `verify` takes as anchors. Keep it where the database's
  administrators cannot write.

A line: {"service": …, "position": …, "hash": hex, "signed_at": ISO 8601, "key_id": …, "signature": hex}
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import Message
from sqlalchemy import Connection, text

from chassis import outbox
from chassis.audit import Head

log = structlog.get_logger("chassis.audit")

_EVENT = "kelola.{service}.v1.AuditHeadSigned"
_TOPIC = "kelola.{service}.audit.v1"

# The relay's role may add no events but this one.
_FUNCTION = """
create function public.outbox_add_audit_head(event_id uuid, sequence bigint, body bytea) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
    insert into public.outbox (event_id, type, topic, key, sequence, body)
    values ($1, '{event}', '{topic}', '{service}', $2, $3)
$$
"""


class HeadFileBroken(ValueError):
    """A line of the file is no head: it was damaged, or it is another file."""


def create(op: Any, service: str, reader: str) -> None:
    """Make the function that adds a head's event, in a migration, for the relay's role `reader` alone."""
    names = {"service": service}
    op.execute(_FUNCTION.format(event=_EVENT.format(**names), topic=_TOPIC.format(**names), **names))
    op.execute("revoke all on function public.outbox_add_audit_head(uuid, bigint, bytea) from public")
    op.execute(f"grant execute on function public.outbox_add_audit_head(uuid, bigint, bytea) to {reader}")


def event_class(service: str) -> type[Message]:
    """The service's AuditHeadSigned; RuntimeError when its contract has none."""
    with suppress(ModuleNotFoundError):
        importlib.import_module(f"kelola.{service}.v1.audit_events_pb2")
    try:
        found = descriptor_pool.Default().FindMessageTypeByName(_EVENT.format(service=service))
    except KeyError:
        raise RuntimeError(
            f"the contract of {service} has no AuditHeadSigned, with which its audit heads are published: "
            f"write it in protos/kelola/{service}/v1/audit_events.proto"
        ) from None
    made: type[Message] = message_factory.GetMessageClass(found)
    return made


def publish(connection: Connection, service: str, head: Head) -> None:
    """Add the head's event to the outbox, in the transaction that signed it."""
    message: Any = event_class(service)(
        position=head.position,
        hash=head.hash,
        key_id=head.key_id,
        signature=head.signature,
    )
    message.signed_at.FromDatetime(head.signed_at)
    row = outbox.row_of(outbox.Envelope(message, service, None, head.position))
    connection.execute(
        text("select outbox_add_audit_head(:event_id, :sequence, :body)"),
        {name: row[name] for name in ("event_id", "sequence", "body")},
    )


def line_of(service: str, head: Head) -> str:
    """The head as a line of the file, without its end."""
    return json.dumps(
        {
            "service": service,
            "position": head.position,
            "hash": head.hash.hex(),
            "signed_at": head.signed_at.isoformat(),
            "key_id": head.key_id,
            "signature": head.signature.hex(),
        }
    )


def read(file: Path, *, service: str) -> list[Head]:
    """The heads of the file; none when it is not there. HeadFileBroken names the line that is none of `service`.

    A last line without its end is being written, or its writer died: it is not looked at.
    """
    heads = []
    lines = file.read_text(encoding="utf-8").split("\n")[:-1] if file.exists() else []
    for number, line in enumerate(lines, start=1):
        try:
            given = json.loads(line)
            head = Head(
                position=int(given["position"]),
                hash=bytes.fromhex(given["hash"]),
                signed_at=datetime.fromisoformat(given["signed_at"]),
                key_id=str(given["key_id"]),
                signature=bytes.fromhex(given["signature"]),
            )
        except (ValueError, KeyError, TypeError) as failure:
            raise HeadFileBroken(f"line {number} of {file} is no audit head") from failure
        if given.get("service") != service:
            raise HeadFileBroken(f"line {number} of {file} is a head of {given.get('service')}, not of {service}")
        heads.append(head)
    return heads


class HeadFile:
    """The file that a relay adds heads to. One relay a file: the one that leads."""

    def __init__(self, service: str, path: Path) -> None:
        self._service = service
        self._path = path
        self._filed: set[str] | None = None
        self._position = 0

    def add(self, connection: Connection) -> None:
        """Add the signed heads that the file has not; a file that cannot be written is tried again next time."""
        try:
            self._add(connection)
        except OSError as failure:
            self._filed = None
            log.error("audit heads cannot be written to their file", file=str(self._path), error=str(failure))

    def _add(self, connection: Connection) -> None:
        if self._filed is None:
            # A relay that died after its commit, or another disk: whatever is missing is added.
            self._position = 0
            self._filed = set(self._path.read_text(encoding="utf-8").splitlines()) if self._path.exists() else set()
        with connection.begin():
            rows = connection.execute(
                text("select * from audit_head where position > :position order by position"),
                {"position": self._position},
            ).mappings()
            heads = [Head.of(row) for row in rows]
        missing = [line for head in heads if (line := line_of(self._service, head)) not in self._filed]
        if missing:
            with _appending(self._path) as descriptor:
                for line in missing:
                    _write(descriptor, f"{line}\n".encode())
                os.fsync(descriptor)
            self._filed.update(missing)
        if heads:
            self._position = heads[-1].position


@contextmanager
def _appending(path: Path) -> Iterator[int]:
    """The file, open at its end; the half of a line that a crash left is cut off."""
    is_new = not path.exists()
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o640)
    try:
        if is_new:
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        else:
            whole = path.read_bytes().rfind(b"\n") + 1
            if whole != os.fstat(descriptor).st_size:
                os.ftruncate(descriptor, whole)
        yield descriptor
    finally:
        os.close(descriptor)


def _write(descriptor: int, line: bytes) -> None:
    while line:
        line = line[os.write(descriptor, line) :]
