"""What tests of a service stand on: the service running in this process, keys, tokens, calls.

with running(FinanceService, keys.settings("finance", ...)) as finance:
    stub = LedgerServiceStub(finance.channel)
    reply = call_as(stub.GetJournalEntry, GetJournalEntryRequest(name=...), keys.token(person, grants=[...]))
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2

from chassis import auth, telemetry
from chassis.container import NativeContainer
from chassis.grpc.server import GrpcServer
from chassis.grpc.status import details_of
from chassis.peer import CHANNEL_OPTIONS
from chassis.settings import ServiceSettings

ISSUER = "https://issuer.test.kelola.invalid"
SERVICES = ("identity", "finance", "hr", "logistics")
# Long enough for a busy machine, short enough that a hanging call fails its test and not the run.
CALL_SECONDS = 30.0


class TestKeys:
    """An issuer of tokens for people, and a key for each service, in a folder of their own."""

    __test__ = False  # pytest: a builder, not a test

    def __init__(self, folder: Path | None = None, services: Sequence[str] = SERVICES) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="kelola-keys-") if folder is None else None
        self.folder = Path(self._temporary.name) if self._temporary else Path(str(folder))
        self.issuer_key = auth.new_key("people-1")
        self.service_keys = {name: auth.new_key(name) for name in services}
        self.jwks_file = self.folder / "people.jwks.json"
        self.service_jwks_file = self.folder / "services.jwks.json"
        self._write(self.jwks_file, [self.issuer_key])
        self._write(self.service_jwks_file, self.service_keys.values())
        for name, key in self.service_keys.items():
            auth.write_key(key, self.folder / f"{name}.key.json")

    @staticmethod
    def _write(file: Path, keys: Iterable[auth.SigningKey]) -> None:
        file.write_text(json.dumps(auth.public_jwks(keys)), encoding="utf-8")

    def settings_values(self, service: str) -> dict[str, Any]:
        """The values of `ServiceSettings` that have to do with keys and tokens."""
        key_file = self.folder / f"{service}.key.json"
        return {
            "service": service,
            "token_issuer": ISSUER,
            "jwks_url": self.jwks_file.as_uri(),
            "service_jwks_url": self.service_jwks_file.as_uri(),
            "service_key_file": key_file if key_file.exists() else None,
        }

    def settings(self, service: str, **values: Any) -> ServiceSettings:
        """Settings of a service that trusts these keys; `values` are further fields of `ServiceSettings`."""
        return ServiceSettings(**{**self.settings_values(service), "grpc_whole_package": False, **values})

    def token(
        self,
        person_id: UUID | str,
        *,
        grants: Iterable[tuple[str, Iterable[UUID]]] = (),
        audience: str | Sequence[str] = SERVICES,
        lifetime_seconds: int = 3600,
        now: float | None = None,
        issuer: str = ISSUER,
        key: auth.SigningKey | None = None,
    ) -> str:
        """A person's token: `grants=[("finance.treasurer", [agency_id])]`."""
        return auth.issue_token(
            key or self.issuer_key,
            issuer=issuer,
            subject=str(person_id),
            audience=[audience] if isinstance(audience, str) else list(audience),
            lifetime_seconds=lifetime_seconds,
            claims={"grants": auth.grants_claim(grants)},
            now=now,
        )

    def service_token(
        self,
        service: str,
        *,
        audience: str,
        person_id: UUID | None = None,
        agencies: Iterable[UUID] = (),
        now: float | None = None,
    ) -> str:
        """A service's own token for the recorded person and agencies."""
        return auth.service_token(
            self.service_keys[service],
            service=service,
            audience=audience,
            person_id=person_id,
            agencies=agencies,
            now=now,
        )


@dataclass(frozen=True)
class RunningService:
    """A service that answers on `address` until the `with` ends."""

    container: NativeContainer
    address: str
    channel: grpc.Channel


@contextmanager
def running(service_cls: type, settings: ServiceSettings) -> Iterator[RunningService]:
    """The service in this process, with real gRPC on a free port; drained and stopped at the end."""
    telemetry.start(settings)
    container = NativeContainer(service_cls, settings)
    container.start()
    try:
        server = next(one for one in container.subextensions if isinstance(one, GrpcServer))
        channel = grpc.insecure_channel(server.address, options=list(CHANNEL_OPTIONS))
        try:
            yield RunningService(container, server.address, channel)
        finally:
            channel.close()
    finally:
        container.stop(grace=settings.grace_seconds)


def call_as(stub_method: Callable[..., Any], request: Any, token: str | None, *, timeout: float = CALL_SECONDS) -> Any:
    """Call with `token` (None: without one). Raises grpc.RpcError."""
    metadata = [("authorization", f"Bearer {token}")] if token is not None else []
    return stub_method(request, metadata=metadata, timeout=timeout)


@dataclass(frozen=True)
class Refusal:
    """A failed call as its client sees it."""

    code: grpc.StatusCode
    message: str
    reason: str
    metadata: dict[str, str]
    fields: tuple[str, ...]
    retry_after_seconds: float | None


def refusal(failure: grpc.RpcError) -> Refusal:
    """What the failed call says: code, text, and the details of google.rpc."""
    assert isinstance(failure, grpc.Call)
    info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    status = details_of(failure)
    seen = {
        type(holder).__name__
        for detail in (status.details if status else ())
        for holder in (info, bad, retry)
        if detail.Unpack(holder)
    }
    return Refusal(
        code=failure.code(),
        message=failure.details() or "",
        reason=info.reason,
        metadata=dict(info.metadata),
        fields=tuple(violation.field for violation in bad.field_violations),
        retry_after_seconds=(
            retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9 if "RetryInfo" in seen else None
        ),
    )


def refused(
    stub_method: Callable[..., Any], request: Any, token: str | None, *, timeout: float = CALL_SECONDS
) -> Refusal:
    """Call and expect a refusal. AssertionError when the call succeeds."""
    try:
        answer = call_as(stub_method, request, token, timeout=timeout)
        if not isinstance(answer, Message):
            answer = list(answer)  # a stream fails when it is read
    except grpc.RpcError as failure:
        return refusal(failure)
    raise AssertionError(f"the call was not refused but answered {answer}")


def wait_until(condition: Callable[[], Any], *, seconds: float = 20.0, what: str = "the condition") -> Any:
    """The first true value of `condition()`; AssertionError when there is none within `seconds`."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come within {seconds} s")
        time.sleep(0.05)
