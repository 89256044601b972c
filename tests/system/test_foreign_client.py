"""Health and reflection as a client that is not ours uses them: `buf curl`, which speaks gRPC by itself."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest
from google.rpc.error_details_pb2 import ErrorInfo

_BUF = str(Path(sys.executable).with_name("buf"))
SERVICES = ("identity", "finance", "hr", "logistics")


def _curl(address: str, *arguments: str, path: str = "") -> subprocess.CompletedProcess[str]:
    command = [_BUF, "curl", "--protocol", "grpc", "--http2-prior-knowledge", *arguments, f"http://{address}{path}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("protocol", ["grpc-v1", "grpc-v1alpha"])
@pytest.mark.parametrize("service", SERVICES)
def test_the_contract_can_be_read_from_the_running_service(system, service, protocol):
    answer = _curl(system.addresses[service], "--reflect", "--reflect-protocol", protocol, "--list-methods")

    assert answer.returncode == 0, answer.stderr
    methods = answer.stdout.split()
    assert any(method.startswith(f"kelola.{service}.v1.") for method in methods)


@pytest.mark.parametrize("service", SERVICES)
def test_health_is_served_for_the_whole_server_and_by_service_name(system, service):
    for body, path in (
        ("{}", "/grpc.health.v1.Health/Check"),
        (json.dumps({"service": _a_grpc_service(system, service)}), "/grpc.health.v1.Health/Check"),
    ):
        answer = _curl(system.addresses[service], "--reflect", "-d", body, path=path)

        assert answer.returncode == 0, answer.stderr
        assert json.loads(answer.stdout) == {"status": "SERVING"}


def test_an_unknown_name_has_no_health(system):
    answer = _curl(
        system.addresses["finance"],
        "--reflect",
        "-d",
        '{"service": "kelola.nobody.v1.NoService"}',
        path="/grpc.health.v1.Health/Check",
    )

    assert answer.returncode != 0
    assert json.loads(answer.stderr)["code"] == "not_found"


def test_a_call_without_a_token_is_refused_with_its_reason(system):
    answer = _curl(
        system.addresses["finance"], "--reflect", "-d", "{}", path="/kelola.finance.v1.BudgetService/ListBudgetLines"
    )

    said = json.loads(answer.stderr)
    details = {detail["type"]: base64.b64decode(detail["value"] + "==") for detail in said["details"]}
    assert said["code"] == "unauthenticated"
    assert ErrorInfo.FromString(details["google.rpc.ErrorInfo"]).reason == "TOKEN_MISSING"


def _a_grpc_service(system, service: str) -> str:
    answer = _curl(system.addresses[service], "--reflect", "--list-services")
    return next(name for name in answer.stdout.split() if name.startswith("kelola."))
