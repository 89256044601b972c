"""Policies and contracts speak of the same permissions."""

from __future__ import annotations

import re

import cedarpy

from tools.descriptors import ROOT, contracts

_POLICIES = sorted((ROOT / "deploy" / "policies").glob("*.cedar"))
_ACTION = re.compile(r'Action::"([^"]+)"')


def _named() -> dict[str, str]:
    return {action: file.name for file in _POLICIES for action in _ACTION.findall(file.read_text(encoding="utf-8"))}


def test_every_policy_file_is_cedar():
    for file in _POLICIES:
        assert cedarpy.PolicySet.from_str(file.read_text(encoding="utf-8")) is not None

    assert _POLICIES


def test_every_permission_is_held_by_some_role():
    asked = {method.access.permission for method in contracts().methods if not method.access.public}

    assert sorted(asked - set(_named())) == [], "nobody could ever call what asks for these"


def test_no_policy_grants_what_nobody_asks_for():
    asked = {method.access.permission for method in contracts().methods}
    code = "\n".join(file.read_text(encoding="utf-8") for file in (ROOT / "services").rglob("*.py"))
    unknown = {
        action: file
        for action, file in _named().items()
        if action not in asked
        and "." in action  # a name without a dot is a group of permissions: `read`, `identity`
        and not action.endswith(".operation.read")  # google.longrunning.Operations, which the chassis serves
        and f'"{action}"' not in code  # asked by a use case, beside its RPC's own permission
    }

    assert unknown == {}, "a misspelt permission grants nothing"
