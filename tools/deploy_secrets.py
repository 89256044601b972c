"""Keys and passwords for deploy/: python -m tools.deploy_secrets [FOLDER [SERVER]]

Made once below FOLDER (deploy/secrets, which git ignores), readable by our user alone; what is there stays. Per
service: `<service>.env` with the URLs of its app and reader roles, and `<service>.admin.env` with the owner's and the
administrator's, which only the migration gets. `urls/<service>-<role>` holds each URL alone, for Kubernetes' Secrets.
SERVER is host:port of PostgreSQL as the processes reach it; the default is that of deploy/compose.yaml.
"""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

from chassis.local.databases import write_private
from chassis.local.keys import Keys
from chassis.local.services import service_names
from services.identity import key_files
from services.identity.person import sealing
from services.identity.token.keys import TokenKeys

ROOT = Path(__file__).resolve().parent.parent
_SERVER = "postgres:5432"
_KINDS = ("owner", "app", "reader")


def main(folder: Path, server: str = _SERVER) -> None:
    """Make what is missing."""
    for each in (folder, folder / "identity", folder / "urls"):
        each.mkdir(mode=0o700, parents=True, exist_ok=True)
    Keys(folder / "keys").make(service_names())
    key_files.ensure(folder / "identity" / "sealing_keys.json", sealing.new_key_file_content)
    TokenKeys.from_file(folder / "identity" / "token_keys.json")
    password_file = folder / "postgres_password"
    if not password_file.exists():
        write_private(password_file, secrets.token_urlsafe(24))
    admin = f"postgresql://postgres:{password_file.read_text(encoding='utf-8')}@{server}/postgres"
    for service in service_names():
        if (folder / f"{service}.env").exists():
            continue
        urls = {
            kind: f"postgresql://{service}_{kind}:{secrets.token_urlsafe(18)}@{server}/{service}" for kind in _KINDS
        }
        lines = {kind: f"KELOLA_DATABASE_{kind.upper()}_URL={url}\n" for kind, url in urls.items()}
        write_private(folder / f"{service}.admin.env", f"KELOLA_DATABASE_ADMIN_URL={admin}\n" + "".join(lines.values()))
        write_private(folder / f"{service}.env", lines["app"] + lines["reader"])
        for kind, url in urls.items():
            write_private(folder / "urls" / f"{service}-{kind}", url)
    print(f"keys and passwords are in {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "deploy" / "secrets", *sys.argv[2:3])
