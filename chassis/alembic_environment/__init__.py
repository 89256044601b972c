"""Alembic's script folder, the same for every service: `chassis.migrate` names it and the service's revisions."""
