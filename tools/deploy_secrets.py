"""Keys and passwords for deploy/compose.yaml: python -m tools.deploy_secrets [FOLDER]

Made once below deploy/secrets (git ignores it), readable by our user alone; what is there stays. Per service:
`<service>.env` with the URLs of its app and reader roles, and `<service>.admin.env` with the owner's and the
administrator's, which only the migration gets.
"""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

from chassis.local.databases import write_private
from chassis.local.keys import Keys
from chassis.local.services import service_names

ROOT = Path(__file__).resolve().parent.parent
_SERVER = "postgres:5432"
_KINDS = ("owner", "app", "reader")


def main(folder: Path) -> None:
    """Make what is missing."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / "identity").mkdir(mode=0o700, exist_ok=True)
    Keys(folder / "keys").make(service_names())
    password_file = folder / "postgres_password"
    if not password_file.exists():
        write_private(password_file, secrets.token_urlsafe(24))
    admin = f"postgresql://postgres:{password_file.read_text(encoding='utf-8')}@{_SERVER}/postgres"
    for service in service_names():
        if (folder / f"{service}.env").exists():
            continue
        urls = {
            kind: f"postgresql://{service}_{kind}:{secrets.token_urlsafe(18)}@{_SERVER}/{service}" for kind in _KINDS
        }
        lines = {kind: f"KELOLA_DATABASE_{kind.upper()}_URL={url}\n" for kind, url in urls.items()}
        write_private(folder / f"{service}.admin.env", f"KELOLA_DATABASE_ADMIN_URL={admin}\n" + "".join(lines.values()))
        write_private(folder / f"{service}.env", lines["app"] + lines["reader"])
    print(f"keys and passwords are in {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "deploy" / "secrets")
