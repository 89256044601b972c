"""deploy/compose.yaml fits the services: each is migrated, served and relayed, as the image's user, without root."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from chassis.local.services import service_names
from chassis.settings import ServiceSettings
from tools import deploy_secrets
from tools.descriptors import ROOT

_COMPOSE = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("service", service_names())
def test_every_service_is_migrated_served_and_relayed(service):
    parts = _COMPOSE["services"]

    assert parts[f"{service}-migrate"]["command"] == ["migrate", service]
    assert parts[service]["command"] == ["serve", service]
    assert parts[f"{service}-relay"]["command"] == ["relay", service]
    assert service in json.loads(parts[service]["environment"]["KELOLA_PEERS"])
    # What serves calls never holds the owner's password.
    assert parts[service]["env_file"] == [f"secrets/{service}.env"]


def test_nothing_of_ours_runs_as_root_or_may_write_its_image():
    ours = {name: part for name, part in _COMPOSE["services"].items() if part["image"] == "kelola"}

    assert len(ours) == 3 * len(service_names())
    assert {name for name, part in ours.items() if not part["read_only"] or part["cap_drop"] != ["ALL"]} == set()
    assert {part["user"] for part in ours.values()} == {"${KELOLA_UID:-10001}:${KELOLA_GID:-10001}"}
    assert "USER 10001:10001" in (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")


def test_the_services_know_every_variable_that_they_are_given():
    known = {f"KELOLA_{name.upper()}" for name in ServiceSettings.model_fields}
    known |= {"KELOLA_DATA_DIR", "KELOLA_CLIENT_JWKS"}  # identity's own
    given = {
        name
        for part in _COMPOSE["services"].values()
        for name in part.get("environment", {})
        if name.startswith("KELOLA_")
    }

    assert given - known == set()


def test_keys_and_passwords_are_made_once_for_the_server_that_is_named(tmp_path):
    def made() -> dict[str, str]:
        files = (path for path in tmp_path.rglob("*") if path.is_file())
        return {str(path.relative_to(tmp_path)): path.read_text(encoding="utf-8") for path in files}

    deploy_secrets.main(tmp_path, "db.example:5433")
    first = made()
    deploy_secrets.main(tmp_path, "db.example:5433")

    assert made() == first
    assert {path.stat().st_mode & 0o077 for path in tmp_path.rglob("*") if path.is_file()} == {0}
    for service in service_names():
        for role in ("app", "reader", "owner"):
            url = first[f"urls/{service}-{role}"]
            assert re.fullmatch(rf"postgresql://{service}_{role}:[\w-]+@db\.example:5433/{service}", url)
            assert f"KELOLA_DATABASE_{role.upper()}_URL={url}\n" in first[f"{service}.admin.env"]
        assert "OWNER" not in first[f"{service}.env"]
    # What the chart's Secret `identityKeysSecret` holds.
    assert json.loads(first["identity/sealing_keys.json"])["master_keys"]
    assert json.loads(first["identity/token_keys.json"])["keys"]
    assert json.loads(first["keys/clients.jwks.json"])["keys"]
