"""What a service must be told: read from the environment (prefix `KELOLA_`), checked before anything starts.

`KELOLA_GRPC_PORT=50051` sets `grpc_port`; mappings are JSON: `KELOLA_PEERS={"finance": "127.0.0.1:50051"}`.
A service that needs more subclasses `ServiceSettings`. A wrong or missing value ends the start with its name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parent.parent


class ServiceSettings(BaseSettings):
    """The settings that every service has. Times are seconds, sizes bytes, unless the name says otherwise."""

    model_config = SettingsConfigDict(env_prefix="KELOLA_", frozen=True, extra="ignore")

    service: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="the service's name, for instance finance")
    version: str = "0.1.0"

    # The gRPC door. Port 0 lets the system choose a free one.
    grpc_host: str = "127.0.0.1"
    grpc_port: int = Field(default=0, ge=0, le=65535)
    # Written (as host:port) once the door is open, so that whoever started the process finds the free port.
    grpc_address_file: Path | None = None
    # Several processes of one service may share a port (SO_REUSEPORT); off, a second start fails at once.
    grpc_reuse_port: bool = False
    # Unary calls and client streams that run at once; more are refused with RESOURCE_EXHAUSTED and RetryInfo.
    calls_max: int = Field(default=64, ge=1)
    # Server streams that are open at once: each holds a thread for its whole length.
    streams_max: int = Field(default=16, ge=1)
    # Threads beyond both caps, so that a call above a cap finds a thread that refuses it.
    threads_spare: int = Field(default=16, ge=2)
    # At the start every RPC of the whole package kelola.<service>.v1 must have its handler; off (in tests of
    # one area), only the protos that are imported are looked at.
    grpc_whole_package: bool = True
    # How long a client's connection lasts before it is asked to connect anew (calls under way finish); None: for ever.
    # Clients that balance over several processes find new ones when they connect.
    connection_age_seconds: float | None = Field(default=None, gt=0)
    message_bytes_max: int = Field(default=4 * 1024 * 1024, ge=1024)
    # How long a call may take when its caller named no deadline, and the longest that any caller gets.
    deadline_default_seconds: float = Field(default=15.0, gt=0)
    deadline_max_seconds: float = Field(default=300.0, gt=0)
    stream_deadline_default_seconds: float = Field(default=3600.0, gt=0)
    # After SIGTERM: how long NOT_SERVING is shown before the door closes, and how long running calls may take.
    drain_notice_seconds: float = Field(default=0.0, ge=0)
    grace_seconds: float = Field(default=20.0, gt=0)

    # HTTP, for the services that have it (identity: keys and discovery). 0 is a free port.
    http_host: str = "127.0.0.1"
    http_port: int = Field(default=0, ge=0, le=65535)

    # The zone of civil days (IANA name), and how far the business clock is moved (a rehearsal, the demo's year): by
    # so much, or by what a file says at each look.
    civil_zone: str = "UTC"
    clock_offset_seconds: int = 0
    clock_offset_file: Path | None = None

    # PostgreSQL, as postgresql://user:password@host:port/database, one role a URL.
    database_app_url: str | None = None
    database_owner_url: str | None = None
    database_reader_url: str | None = None
    database_pool_size: int = Field(default=20, ge=1)
    database_pool_wait_seconds: float = Field(default=5.0, gt=0)

    # The broker, as host:port,host:port; None: neither relay nor consumers run.
    broker_servers: str | None = None
    # Mutual TLS with the broker, all three or none (PEM files): who signs the brokers, and who we are. The broker's
    # access rules know a process by its certificate.
    broker_ca_file: Path | None = None
    broker_certificate_file: Path | None = None
    broker_key_file: Path | None = None
    # The relay may also be a process of its own (`kelola relay SERVICE`).
    relay_enabled: bool = True

    # How long things stay, in days. Topics that a process makes get theirs from here; say the same of your own.
    topic_retention_days: int = Field(default=7, ge=1)
    # Sent events, for replays and for a broker that lost its log; then whole days are dropped.
    outbox_retention_days: int = Field(default=8, ge=1)
    # The age of the oldest backup that would be restored: its topics' events are then delivered once more.
    backup_age_days: int = Field(default=35, ge=0)
    # Which events a consumer took in: not shorter than topics and backups together.
    inbox_retention_days: int = Field(default=60, ge=1)
    # Request ids and their answers: a fiscal year and its audit (AIP-155 leaves the time to the service).
    idempotency_retention_days: int = Field(default=400, ge=1)
    # Ended sagas and finished operations: as long as an answer that names one.
    ended_retention_days: int = Field(default=400, ge=1)
    # Each signed head of the audit chain is also added to this file, a line of JSON each.
    audit_head_file: Path | None = None

    # Who signs people's tokens, and where the public keys are (file:// or http(s)://).
    token_issuer: str = "https://identity.kelola.invalid"  # noqa: S105  # a name, no secret
    jwks_url: str | None = None
    # Public keys of the services, for their self-signed tokens; the key's `kid` is the service's name.
    service_jwks_url: str | None = None
    # This service's private key (JWK, Ed25519), with which it signs tokens for its own calls.
    service_key_file: Path | None = None

    policies_dir: Path = ROOT / "deploy" / "policies"
    # The dated tables of law of one government (chassis.country_pack).
    country_pack_dir: Path = ROOT / "data" / "id"

    # Where the other services are: name -> host:port.
    peers: dict[str, str] = Field(default_factory=dict)

    # Telemetry: an OTLP/gRPC collector, and a folder for rotating files of spans (OTLP-JSON, one span a line).
    otlp_endpoint: str | None = None
    trace_dir: Path | None = None
    log_level: str = "INFO"
    # One JSON document a line, or lines for a person's eyes (`kelola serve` on a terminal).
    log_format: Literal["json", "text"] = "json"

    @model_validator(mode="after")
    def _deadlines_in_order(self) -> Self:
        if self.deadline_default_seconds > self.deadline_max_seconds:
            raise ValueError("deadline_default_seconds is above deadline_max_seconds")
        return self

    @model_validator(mode="after")
    def _broker_tls_is_whole(self) -> Self:
        files = (self.broker_ca_file, self.broker_certificate_file, self.broker_key_file)
        if any(files) and not all(files):
            raise ValueError("set broker_ca_file, broker_certificate_file and broker_key_file, or none of them")
        return self

    @model_validator(mode="after")
    def _kept_long_enough(self) -> Self:
        if self.outbox_retention_days < self.topic_retention_days:
            raise ValueError("outbox_retention_days is below topic_retention_days: a lost topic could not be refilled")
        if self.inbox_retention_days < self.topic_retention_days + self.backup_age_days:
            raise ValueError(
                "inbox_retention_days is below topic_retention_days + backup_age_days: "
                "an event that is delivered once more could have its effect twice"
            )
        if self.ended_retention_days < self.idempotency_retention_days:
            raise ValueError(
                "ended_retention_days is below idempotency_retention_days: an answer that is given again "
                "could name an operation that is gone"
            )
        return self

    @property
    def threads(self) -> int:
        """The size of the gRPC thread pool: both caps and the spare ones that refuse."""
        return self.calls_max + self.streams_max + self.threads_spare
