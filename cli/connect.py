"""Where the running system is, and how the command line speaks to it.

The local platform describes itself in `<home>/platform.json`. For any other system set KELOLA_PEERS (JSON: service
-> host:port, or https://host:port for TLS), KELOLA_BROKER_SERVERS, and KELOLA_TOKEN (a bearer token).
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc

from chassis.local.place import home
from chassis.settings import ServiceSettings

TOKEN_SECONDS = 3600
_RENEW_SECONDS = 60
_CALL_SECONDS = 30.0


class NotRunning(RuntimeError):
    """There is no system to talk to."""


@dataclass
class System:
    """A running system: addresses, and tokens that it gives to the operator's key."""

    addresses: dict[str, str]
    broker: str | None
    databases: dict[str, dict[str, str]] = field(default_factory=dict)  # the local platform's alone
    directory: Path | None = None
    description: dict[str, Any] = field(default_factory=dict)
    _channels: dict[str, grpc.Channel] = field(default_factory=dict, repr=False)
    _tokens: dict[tuple[str, tuple[str, ...]], tuple[float, str]] = field(default_factory=dict, repr=False)

    def channel(self, service: str) -> grpc.Channel:
        """A channel to one service; kept, and closed by `close`."""
        if service not in self.addresses:
            raise NotRunning(f"no address of {service!r}; known: {', '.join(sorted(self.addresses))}")
        if service not in self._channels:
            address = self.addresses[service]
            if address.startswith("https://"):
                made = grpc.secure_channel(address.removeprefix("https://"), grpc.ssl_channel_credentials())
            else:
                made = grpc.insecure_channel(address)
            self._channels[service] = made
        return self._channels[service]

    def token(self, subject: str, audiences: Sequence[str] | None = None) -> str:
        """A bearer token for a person's id or for `operator`, kept until a minute before it ends.

        KELOLA_TOKEN, when set, is the answer whatever is asked.
        """
        if given := os.environ.get("KELOLA_TOKEN"):
            return given
        wanted = tuple(sorted(audiences or self.addresses))
        kept = self._tokens.get((subject, wanted))
        if kept is None or kept[0] < time.monotonic():
            kept = (time.monotonic() + TOKEN_SECONDS - _RENEW_SECONDS, self._ask_for_token(subject, wanted))
            self._tokens[subject, wanted] = kept
        return kept[1]

    def forget_tokens(self) -> None:
        """Ask for new tokens from now on: grants have changed."""
        self._tokens.clear()

    def metadata(self, subject: str) -> list[tuple[str, str]]:
        """Call metadata that carries `subject`'s token."""
        return [("authorization", f"Bearer {self.token(subject)}")]

    def _ask_for_token(self, subject: str, audiences: tuple[str, ...]) -> str:
        from google.protobuf.duration_pb2 import Duration

        from chassis import auth
        from kelola.identity.v1 import token_pb2, token_pb2_grpc

        if self.directory is None:
            raise NotRunning("set KELOLA_TOKEN: only the local platform's operator key can ask for tokens here")
        key = auth.load_key(self.directory / "keys" / "operator.jwk")
        issuer = os.environ.get("KELOLA_TOKEN_ISSUER", ServiceSettings.model_fields["token_issuer"].default)
        assertion = auth.issue_token(key, issuer="operator", subject="operator", audience=[issuer], lifetime_seconds=60)
        answer = token_pb2_grpc.TokenServiceStub(self.channel("identity")).IssueToken(
            token_pb2.IssueTokenRequest(
                client_assertion=assertion,
                subject=subject,
                audiences=audiences,
                lifetime=Duration(seconds=TOKEN_SECONDS),
            ),
            timeout=_CALL_SECONDS,
        )
        return answer.access_token

    def close(self) -> None:
        """Close the channels."""
        for channel in self._channels.values():
            channel.close()
        self._channels.clear()

    def __enter__(self) -> System:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def running_system() -> System:
    """The system that the environment names, or the local platform; NotRunning when there is neither."""
    if peers := os.environ.get("KELOLA_PEERS"):
        return System(json.loads(peers), os.environ.get("KELOLA_BROKER_SERVERS"))
    directory = home().resolve()
    file = directory / "platform.json"
    if not file.exists():
        raise NotRunning(
            f"nothing runs on {directory}: start it with `make run` (or `kelola run`), or set KELOLA_PEERS"
        )
    described = json.loads(file.read_text(encoding="utf-8"))
    return System(
        addresses={name: entry["address"] for name, entry in described["services"].items()},
        broker=described["broker"]["bootstrap"],
        databases={name: entry["database"] for name, entry in described["services"].items()},
        directory=directory,
        description=described,
    )


def system_of(platform: Any) -> System:
    """The system of a platform that this very process runs (tests, the demo)."""
    return System(
        addresses=dict(platform.addresses),
        broker=platform.broker.bootstrap,
        databases={name: dict(vars(database)) for name, database in platform.databases.items()},
        directory=platform.directory,
    )


def new_request_id() -> str:
    """A request id for a mutation that the caller did not number."""
    return str(uuid4())


def refusal(error: Any) -> dict[str, Any]:
    """What a gRPC error says: code, message, and the details of google.rpc (reason, figures, bad fields)."""
    from google.rpc import error_details_pb2
    from grpc_status import rpc_status

    found: dict[str, Any] = {"code": error.code().name, "message": error.details()}
    status = rpc_status.from_call(error)
    for detail in status.details if status is not None else []:
        info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            found["reason"] = info.reason
            if info.metadata:
                found["metadata"] = dict(info.metadata)
        elif detail.Unpack(bad):
            found["fields"] = {each.field: each.description for each in bad.field_violations}
        elif detail.Unpack(retry):
            found["retry_after_seconds"] = retry.retry_delay.seconds
    return found


def reader_url(service: str) -> str:
    """The URL of the service's reader role: KELOLA_DATABASE_READER_URL, or the local platform's; LookupError else."""
    if given := os.environ.get("KELOLA_DATABASE_READER_URL"):
        return given
    try:
        known = running_system().databases
    except NotRunning as missing:
        raise LookupError(f"{missing} (or KELOLA_DATABASE_READER_URL)") from None
    if service not in known:
        raise LookupError(f"no database of {service!r} is known; set KELOLA_DATABASE_READER_URL")
    return known[service]["reader_url"]
