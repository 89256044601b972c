"""The one chain that every RPC passes, in this order:

1. errors        outermost, so that no exception's own words leave the process
2. trace         a span, a log line and the duration of every call
3. cap           calls and streams that run at once; none once the server ends
4. deadline      a default where the caller named none; no work once it is over
5. authenticate  the token proves a principal
6. parse         malformed bytes are INVALID_ARGUMENT
7. validate      the rules in the protos (protovalidate)
8. authorize     the RPC's permission, in the agency that the request names

It runs inside the handler, on the pool's thread: grpcio's one polling thread only hands the call over.
Idempotency is not here: `db.begin(call)` claims the key in the transaction of the effect.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol
from uuid import UUID

import grpc
import protovalidate
import structlog
from google.protobuf.message import Message
from google.rpc import status_pb2
from grpc_status import rpc_status
from opentelemetry import metrics
from opentelemetry.trace import Span, SpanKind, StatusCode

from chassis import telemetry
from chassis.auth import Authenticator, bearer
from chassis.call import Call, Principal
from chassis.clock import BusinessClock
from chassis.errors import (
    DeadlineExceeded,
    FieldViolation,
    InvalidArgument,
    OutOfRange,
    PermissionDenied,
)
from chassis.grpc.caps import Cap
from chassis.grpc.connections import UnderWay
from chassis.grpc.current import working_for
from chassis.grpc.method import Method
from chassis.grpc.status import internal_status, new_reference, refusal_of, status_of
from chassis.settings import ServiceSettings

log = structlog.get_logger("chassis.grpc")

# Statuses that are our trouble, not the caller's: their spans are errors (OpenTelemetry, gRPC server spans).
_SERVER_FAULTS = frozenset(
    {
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
_BY_NUMBER = {status.value[0]: status for status in grpc.StatusCode}
_DURATION_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]


class ValidationFailed(InvalidArgument):
    """The request breaks rules that stand in the protos."""

    reason = "VALIDATION_FAILED"


class ReplyTooLarge(OutOfRange):
    """The answer does not fit a message; a smaller page or a narrower question does."""

    reason = "REPLY_TOO_LARGE"


class Handler(Protocol):
    """What stands at the end of the chain: an `@rpc` entrypoint, or a part of the chassis."""

    def answer(self, request: Any, call: Call) -> bytes:
        """The reply's bytes."""

    def answers(self, request: Any, call: Call) -> Generator[bytes, None, None]:
        """The replies' bytes of a server stream."""


@dataclass(frozen=True)
class Denial:
    """A refused decision, for the audit."""

    method: str
    permission: str | None
    principal: Principal
    agency_id: UUID | None  # the agency asked for; None when the request names none
    reason: str


@dataclass
class _Outcome:
    """How a call ended, told by the errors step to the trace step inside it."""

    code: grpc.StatusCode = grpc.StatusCode.OK
    principal: Principal | None = None
    call: Call | None = None
    reference: str | None = None
    reason: str | None = None


class Chain:
    """Puts handlers behind the chain. One a server; its parts are shared by all RPCs."""

    def __init__(
        self,
        settings: ServiceSettings,
        authenticator: Authenticator,
        *,
        on_denied: Callable[[Denial], None],
    ) -> None:
        self._settings, self._authenticator, self._on_denied = settings, authenticator, on_denied
        self._clock = BusinessClock.of(settings)
        self._calls = Cap(settings.calls_max, "calls")
        self._streams = Cap(settings.streams_max, "streams")
        self.under_way = UnderWay()
        self._duration = metrics.get_meter("kelola").create_histogram(
            "rpc.server.call.duration",
            unit="s",
            description="Duration of incoming calls.",
            explicit_bucket_boundaries_advisory=_DURATION_BUCKETS,
        )

    def handler(self, method: Method, handler: Handler) -> grpc.RpcMethodHandler[Any, Any]:
        """The grpcio handler: bytes in, bytes out, everything between is the chain."""
        links = _Links(self, method, handler)
        if method.server_streaming and method.client_streaming:
            return grpc.stream_stream_rpc_method_handler(links.stream)
        if method.server_streaming:
            return grpc.unary_stream_rpc_method_handler(links.stream)
        if method.client_streaming:
            return grpc.stream_unary_rpc_method_handler(links.single)
        return grpc.unary_unary_rpc_method_handler(links.single)

    # --- the steps, in their order -----------------------------------------------------------------------

    @contextmanager
    def errors(self, method: Method, context: grpc.ServicerContext, outcome: _Outcome) -> Iterator[None]:
        """Step 1. Whatever is raised inside ends as a status that one of our tables made."""
        try:
            yield
        except Exception as failure:
            status = self._judged(method, failure, outcome)
            context.abort_with_status(rpc_status.to_status(status))

    def _judged(self, method: Method, failure: Exception, outcome: _Outcome) -> status_pb2.Status:
        refusal = refusal_of(failure)
        if refusal is not None:
            return status_of(refusal)
        return internal_status(outcome.reference or self._noted(method, failure))

    @staticmethod
    def _noted(method: Method, failure: Exception) -> str:
        """Log an unforeseen failure; the reference under which it stands there."""
        reference = new_reference()
        log.error("unforeseen failure", rpc=method.full_name, reference=reference, exc_info=failure)
        return reference

    @contextmanager
    def trace(self, method: Method, context: grpc.ServicerContext, outcome: _Outcome) -> Iterator[None]:
        """Step 2. A server span that continues the caller's trace, the duration, one log line."""
        sent = {key.lower(): value for key, value in context.invocation_metadata() or ()}
        began = time.perf_counter()
        names = {"rpc.system.name": "grpc", "rpc.method": method.span_name}
        parent = telemetry.context_of(_text(sent.get("traceparent")))
        with telemetry.span(method.span_name, kind=SpanKind.SERVER, attributes=names, parent=parent) as span:
            try:
                yield
            except Exception as failure:
                refusal = refusal_of(failure)
                outcome.code = _BY_NUMBER[refusal.code.value] if refusal else grpc.StatusCode.INTERNAL
                if refusal is None:
                    # Noted here, while the span is current, so that the log line has the trace's id.
                    outcome.reference = self._noted(method, failure)
                else:
                    outcome.reason = refusal.reason
                    span.set_attribute("kelola.reason", refusal.reason)
                raise
            except BaseException:
                # The client went away in the middle of a stream: the generator was closed.
                outcome.code = grpc.StatusCode.CANCELLED
                raise
            finally:
                self._record(method, span, outcome, time.perf_counter() - began)

    def _record(self, method: Method, span: Span, outcome: _Outcome, seconds: float) -> None:
        code = outcome.code.name
        attributes: dict[str, str] = {
            "rpc.system.name": "grpc",
            "rpc.method": method.span_name,
            "rpc.response.status_code": code,
        }
        span.set_attribute("rpc.response.status_code", code)
        if outcome.code in _SERVER_FAULTS:
            attributes["error.type"] = code
            span.set_status(StatusCode.ERROR)
        if outcome.reason is not None:
            # Reasons are few and stable; so one sees how often, for instance, funds were refused (BUDGET_EXCEEDED).
            attributes["kelola.reason"] = outcome.reason
        if outcome.principal is not None:
            span.set_attribute("kelola.principal", outcome.principal.subject)
        if outcome.call is not None and outcome.call.request_id:
            span.set_attribute("kelola.request_id", outcome.call.request_id)
        self._duration.record(seconds, attributes)
        line = {
            "rpc": method.span_name,
            "code": code,
            "milliseconds": round(seconds * 1000, 1),
            "principal": outcome.principal.subject if outcome.principal else None,
            "request_id": outcome.call.request_id if outcome.call else None,
        }
        if outcome.code is grpc.StatusCode.OK:
            telemetry.note_behind("rpc", line)
        else:
            log.info("rpc", **line)

    def cap(self, method: Method, context: grpc.ServicerContext) -> Any:
        """Step 3. Streams hold a thread for their whole length, so they are counted apart."""
        self.under_way.begin(context)
        return (self._streams if method.server_streaming else self._calls).place()

    def deadline(self, method: Method, context: grpc.ServicerContext) -> float:
        """Step 4. When the caller stops waiting, as time.monotonic()."""
        settings = self._settings
        remaining = context.time_remaining()
        longest = settings.stream_deadline_default_seconds if method.server_streaming else settings.deadline_max_seconds
        # grpcio says "no deadline" with None or with centuries.
        if remaining is None or remaining > 10 * 365 * 86400:
            remaining = longest if method.server_streaming else settings.deadline_default_seconds
        if remaining <= 0:
            raise DeadlineExceeded("the call's time was over before its work began; retry with more")
        return time.monotonic() + min(remaining, longest)

    def authenticate(self, method: Method, context: grpc.ServicerContext) -> tuple[Principal, str | None]:
        """Step 5. Public RPCs need no token and look at none."""
        if method.permission is None:
            return self._authenticator.anonymous(), None
        token = bearer(context.invocation_metadata())
        return self._authenticator.principal(token), token

    @staticmethod
    def validate(request: Message) -> None:
        """Step 7. Every broken rule is named with its field."""
        broken = protovalidate.collect_violations(request)
        if broken:
            violations = tuple(FieldViolation(_path(one), one.proto.message) for one in broken)
            first = violations[0]
            more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
            raise ValidationFailed(f"{first.field}: {first.description}{more}", violations=violations)

    def authorize(self, method: Method, request: Message, call: Call) -> None:
        """Step 8. What no policy permits is denied."""
        if method.permission is None:
            return
        call.principal.require(method.permission)
        for _, agency_id in method.agencies(request):
            call.principal.require(method.permission, agency_id)

    @contextmanager
    def admitted(
        self, method: Method, data: Any, context: grpc.ServicerContext, outcome: _Outcome
    ) -> Iterator[tuple[Any, Call]]:
        """Steps 4 to 8, then the method with what they gave: the request and the call."""
        deadline = self.deadline(method, context)
        principal, token = self.authenticate(method, context)
        outcome.principal = principal
        agencies = principal.agencies(method.permission) if method.permission else frozenset()
        call = Call(
            method=method.full_name,
            permission=method.permission,
            principal=principal,
            agencies=agencies,
            request_id=None,
            request_hash=b"",
            now=self._clock.now(),
            deadline=deadline,
        )
        if not method.client_streaming:
            request = method.parse(data)
            self.validate(request)
            call = replace(call, request_id=method.request_id(request), request_hash=method.request_hash(request))
        outcome.call = call
        with self.denials(method, call), working_for(call, token):
            if method.client_streaming:
                yield self.each(method, data, call), call
            else:
                self.authorize(method, request, call)
                yield request, call

    def each(self, method: Method, stream: Iterator[bytes], call: Call) -> Iterator[Message]:
        """The messages of a client stream: each parsed, validated and authorized as it comes."""
        if method.permission is not None:
            call.principal.require(method.permission)
        for data in stream:
            if time.monotonic() > call.deadline:
                raise DeadlineExceeded("the call's time was over before its last message came")
            request = method.parse(data)
            self.validate(request)
            self.authorize(method, request, call)
            yield request

    def sized(self, reply: bytes) -> bytes:
        """The reply itself. Beyond the limit grpcio would refuse it without a reason that programs can read."""
        limit = self._settings.message_bytes_max
        if len(reply) > limit:
            raise ReplyTooLarge(
                f"the answer has {len(reply)} bytes, the limit is {limit}; ask for less",
                metadata={"bytes": str(len(reply)), "limit": str(limit)},
            )
        return reply

    @contextmanager
    def denials(self, method: Method, call: Call) -> Iterator[None]:
        """Tell the audit of every denied decision, by the chain or by a use case, in its own transaction."""
        try:
            yield
        except PermissionDenied as denied:
            agency = denied.metadata.get("agency_id")
            self._on_denied(
                Denial(
                    method=method.full_name,
                    permission=denied.metadata.get("permission", method.permission),
                    principal=call.principal,
                    agency_id=UUID(agency) if agency else None,
                    reason=denied.reason,
                )
            )
            raise


class _Links:
    """One RPC behind the chain."""

    def __init__(self, chain: Chain, method: Method, handler: Handler) -> None:
        self._chain, self._method, self._handler = chain, method, handler

    def single(self, data: Any, context: grpc.ServicerContext) -> bytes:
        """A call with one answer (unary, or a client stream)."""
        chain, method, outcome = self._chain, self._method, _Outcome()
        with (
            chain.errors(method, context, outcome),
            chain.trace(method, context, outcome),
            chain.cap(method, context),
            chain.admitted(method, data, context, outcome) as (request, call),
        ):
            return chain.sized(self._handler.answer(request, call))
        raise AssertionError("abort raises")

    def stream(self, data: Any, context: grpc.ServicerContext) -> Iterator[bytes]:
        """A call with a stream of answers. The same steps; they are held until the stream ends."""
        chain, method, outcome = self._chain, self._method, _Outcome()
        with (
            chain.errors(method, context, outcome),
            chain.trace(method, context, outcome),
            chain.cap(method, context),
            chain.admitted(method, data, context, outcome) as (request, call),
            # Closed here, also when the client goes away: the worker's teardown waits for no collector.
            closing(self._handler.answers(request, call)) as replies,
        ):
            for reply in replies:
                yield chain.sized(reply)


def _text(value: str | bytes | None) -> str | None:
    return value if isinstance(value, str) else None


def _path(violation: protovalidate.Violation) -> str:
    """`lines[2].amount`, as a client would write the field."""
    parts: list[str] = []
    for element in violation.proto.field.elements if violation.proto.field is not None else ():
        subscript = element.subscript
        parts.append(element.field_name + (f"[{subscript.value}]" if subscript is not None else ""))
    return ".".join(parts)
