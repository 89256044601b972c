"""The issuer's public documents over HTTP: what an OpenID Connect client looks for."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# A client that sends its request too slowly is let go.
_REQUEST_SECONDS = 5
# Keys may be kept this long; a new key is published before it signs.
_CACHE_SECONDS = 60

JWKS_PATH = "/jwks.json"
CONFIGURATION_PATH = "/.well-known/openid-configuration"


def configuration(issuer: str, public_url: str) -> dict[str, Any]:
    """The provider's metadata (OpenID Connect Discovery 1.0, section 3). Tokens are asked for over gRPC."""
    return {
        "issuer": issuer,
        "jwks_uri": f"{public_url}{JWKS_PATH}",
        "response_types_supported": ["none"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["Ed25519"],
        "grant_types_supported": ["urn:ietf:params:oauth:grant-type:jwt-bearer"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ["Ed25519"],
        "claims_supported": ["iss", "sub", "aud", "iat", "exp", "jti", "grants"],
    }


class DiscoveryServer:
    """Serves fixed documents by path, each made once."""

    def __init__(self, host: str, port: int) -> None:
        self._documents: dict[str, bytes] = {}
        documents = self._documents

        class Handler(BaseHTTPRequestHandler):
            timeout = _REQUEST_SECONDS
            server_version, sys_version = "kelola", ""

            def do_GET(self) -> None:  # the name is http.server's
                self._answer(with_body=True)

            def do_HEAD(self) -> None:  # the name is http.server's
                self._answer(with_body=False)

            def _answer(self, *, with_body: bool) -> None:
                body = documents.get(self.path.partition("?")[0])
                if body is None:
                    self.send_error(HTTPStatus.NOT_FOUND)
                    return
                self.send_response(HTTPStatus.OK)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Cache-Control", f"public, max-age={_CACHE_SECONDS}")
                self.end_headers()
                if with_body:
                    self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: key fetches are no news, and the standard log line is no JSON."""

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        self._serving = threading.Event()

    @property
    def address(self) -> str:
        """host:port, with the port that the system chose when 0 was asked for."""
        host, port = self._server.server_address[:2]
        return f"{host!s}:{port}"

    def publish(self, documents: Mapping[str, Mapping[str, Any]]) -> None:
        """Set what is served, by path."""
        self._documents.update({path: json.dumps(document).encode() for path, document in documents.items()})

    def serve(self) -> None:
        """Serve until `close`."""
        self._serving.set()
        self._server.serve_forever(poll_interval=0.1)

    def close(self) -> None:
        """Stop serving and give the port back."""
        if self._serving.is_set():
            self._server.shutdown()
        self._server.server_close()
