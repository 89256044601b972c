"""Which role holds which permission: Cedar policies in deploy/policies, parsed once, decisions kept.

`permit(principal in Role::"finance.treasurer", action in [Action::"finance.payment_order.issue"], resource);`

The principal is a Grant whose parent is the role; the action is the RPC's permission. Permissions that end
in `.read` are also in the group `Action::"read"`, and a permission `<service>.<resource>.<verb>` in the
group `Action::"<service>"`. Where a grant holds (its agencies) is judged by `Principal`, what a document's
maker may do by the use case.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import cedarpy

# Roles × permissions of four services stay far below this.
_DECISIONS_MAX = 50_000


class PolicyBroken(Exception):
    """A policy file does not parse: the service does not start."""


class Policy:
    """The parsed policies. Safe to use from many threads."""

    def __init__(self, text: str) -> None:
        try:
            self._policies = cedarpy.PolicySet.from_str(text)
            self._plain: dict[str, Any] = json.loads(cedarpy.policies_to_json_str(text))
        except ValueError as bad:
            raise PolicyBroken(str(bad)) from bad
        self._decide = lru_cache(maxsize=_DECISIONS_MAX)(self._decide_anew)

    @classmethod
    def load(cls, folder: Path) -> Policy:
        """All `*.cedar` files of the folder together. No file, or one that does not parse, is an error."""
        files = sorted(folder.glob("*.cedar"))
        if not files:
            raise PolicyBroken(f"no *.cedar file in {folder}; set KELOLA_POLICIES_DIR to the folder of the policies")
        for file in files:
            # Each alone first, so that the error names the file.
            try:
                cls(file.read_text(encoding="utf-8"))
            except PolicyBroken as bad:
                raise PolicyBroken(f"{file.name}: {bad}") from bad
        return cls("\n".join(file.read_text(encoding="utf-8") for file in files))

    def role_holds(self, role: str, permission: str) -> bool:
        """Whether the policies give `permission` to `role`. What no policy permits is denied."""
        return self._decide(role, permission)

    def roles(self) -> list[str]:
        """Every role that a policy names, sorted; roles of services (`service.finance`) among them."""
        found: set[str] = set()
        _collect(self._plain, "Role", found)
        return sorted(found)

    def permissions(self) -> list[str]:
        """Every permission that a policy names by itself, sorted; groups are not among them."""
        found: set[str] = set()
        _collect(self._plain, "Action", found)
        return sorted(name for name in found if name.count(".") >= 2)

    def _decide_anew(self, role: str, permission: str) -> bool:
        service, _, _ = permission.partition(".")
        groups = [{"type": "Action", "id": service}]
        if permission.endswith(".read"):
            groups.append({"type": "Action", "id": "read"})
        entities = [
            {"uid": {"type": "Grant", "id": "this"}, "attrs": {}, "parents": [{"type": "Role", "id": role}]},
            {"uid": {"type": "Action", "id": permission}, "attrs": {}, "parents": groups},
        ]
        request = {
            "principal": 'Grant::"this"',
            "action": f"Action::{json.dumps(permission)}",
            "resource": 'Agency::"any"',
            "context": {},
        }
        return bool(cedarpy.is_authorized(request, self._policies, json.dumps(entities)).allowed)


def _collect(node: Any, kind: str, found: set[str]) -> None:
    if isinstance(node, dict):
        if node.get("type") == kind and isinstance(node.get("id"), str):
            found.add(node["id"])
        for child in node.values():
            _collect(child, kind, found)
    elif isinstance(node, list):
        for child in node:
            _collect(child, kind, found)
