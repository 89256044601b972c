"""TokenService, and its documents over HTTP: what each does, in order."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from nameko.extensions import DependencyProvider

from chassis import audit
from chassis.container import every
from chassis.grpc import rpc
from kelola.identity.v1 import token_pb2
from services.identity import key_files
from services.identity.organization import store as organization
from services.identity.token import discovery, domain, store, usecases, wire
from services.identity.token.issuer import Issuer
from services.identity.token.keys import TokenKeys

TOKENS = token_pb2.DESCRIPTOR.services_by_name["TokenService"]
_FORGET_SECONDS = 60


class TokenIssuer(DependencyProvider):
    """The issuer with the keys of the settings, made at the first start when missing."""

    def setup(self) -> None:
        """Read the keys, and publish the public ones in a file where the settings ask for it."""
        self.issuer = Issuer(self.container.settings)
        file = self.container.settings.jwks_file
        if file is not None:
            key_files.replace(file, json.dumps(self.issuer.keys.public(), indent=1))

    def get_dependency(self, worker_ctx: object) -> Issuer:
        """The issuer, the same for every worker."""
        return self.issuer


class Discovery(DependencyProvider):
    """The HTTP door: /.well-known/openid-configuration and /jwks.json."""

    server: discovery.DiscoveryServer | None = None

    def start(self) -> None:
        """Open the door. A dependency: it starts before the gRPC door, which checks tokens with these keys."""
        settings = self.container.settings
        server = discovery.DiscoveryServer(settings.http_host, settings.http_port)
        self.server = server
        public_url = settings.http_public_url or f"http://{server.address}"
        server.publish(
            {
                discovery.JWKS_PATH: TokenKeys.from_file(settings.key_file("token_keys")).public(),
                discovery.CONFIGURATION_PATH: discovery.configuration(settings.token_issuer, public_url),
            }
        )
        if settings.http_address_file is not None:
            key_files.replace(settings.http_address_file, server.address)
        self.container.spawn_managed_thread(server.serve, "discovery")

    def stop(self) -> None:
        """Close the door."""
        if self.server is not None:
            self.server.close()

    def get_dependency(self, worker_ctx: object) -> None:
        """Nothing: it serves by itself."""


class TokenEntrypoints:
    """The RPCs of TokenService. Lives of tokens and assertions are on real time, grants on civil days."""

    @rpc(TOKENS)
    def issue_token(self, request, call):
        order, now = wire.token_order(request), datetime.now(UTC)
        assertion = self.issuer.assertion(request.client_assertion, at=now)
        domain.require_subject(assertion.client, order)
        lifetime = self.issuer.lifetime(order)
        with self.db.read(call) as session:
            children, agencies = organization.children(session), organization.agency_ids(session)
        # Grants are behind the agency wall, and the issuer looks at those of every agency.
        with self.db.work(agencies, subject="service:identity") as session:
            grants = usecases.token_grants(
                session, order, assertion, children=children, agencies=agencies, day=self.clock.today()
            )
            token = self.issuer.sign(order, grants, lifetime, now)
            audit.record(
                session, call, resource=f"tokens/{order.subject}", details=domain.audit_details(order, assertion)
            )
        return wire.token_message(token, now + lifetime)

    @rpc(TOKENS)
    def get_json_web_key_set(self, request, call):
        wire.require_key_set_name(request.name)
        return wire.key_set_message(self.issuer.keys.public())

    @every(_FORGET_SECONDS)
    def forget_used_assertions(self):
        with self.db.work((), subject="service:identity") as session:
            store.forget_assertions(session, before=datetime.now(UTC))
