"""Persons, agencies, legal entities, grants, used client assertions."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import text

from chassis import migrate

revision, down_revision = "identity_0001", None


def _instant(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    """Make the first tables."""
    migrate.shared_tables(op, "identity")

    op.create_table(
        "person",
        sa.Column("person_id", sa.Uuid, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("national_id_type", sa.Text, nullable=False),
        sa.Column("index_key_id", sa.Text, nullable=False),
        sa.Column("national_id_index", sa.LargeBinary, nullable=False),
        sa.Column("tax_number_index", sa.LargeBinary),
        sa.Column("civil_servant_number_index", sa.LargeBinary),
        sa.Column("sealing_key_id", sa.Text, nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        _instant("created_at"),
        _instant("updated_at"),
    )
    op.create_index("uq_person_national_id", "person", ["national_id_type", "national_id_index"], unique=True)
    op.create_index("uq_person_tax_number", "person", ["tax_number_index"], unique=True)
    op.create_index("uq_person_civil_servant_number", "person", ["civil_servant_number_index"], unique=True)
    op.create_index("ix_person_index_key", "person", ["index_key_id"])
    migrate.secure(op, "identity", "person", agency=False)

    op.create_table(
        "agency",
        sa.Column("agency_id", sa.Uuid, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("parent_agency_id", sa.Uuid, sa.ForeignKey("agency.agency_id")),
        sa.Column("government_agency_id", sa.Uuid, sa.ForeignKey("agency.agency_id"), nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("display_name", sa.Text, nullable=False),
        sa.Column("region_code", sa.Text, nullable=False),
        sa.Column("depth", sa.Integer, nullable=False),
        _instant("created_at"),
        _instant("updated_at"),
        sa.CheckConstraint("(parent_agency_id is null) = (kind = 'GOVERNMENT')", name="root_is_government"),
        sa.CheckConstraint(
            "(parent_agency_id is null) = (government_agency_id = agency_id)", name="root_is_own_government"
        ),
        sa.CheckConstraint("(parent_agency_id is null) = (depth = 0)", name="root_has_depth_zero"),
    )
    op.create_index("uq_agency_code", "agency", ["government_agency_id", "code"], unique=True)
    op.create_index("ix_agency_parent", "agency", ["parent_agency_id"])
    op.create_index(
        "uq_agency_treasury",
        "agency",
        ["government_agency_id"],
        unique=True,
        postgresql_where=text("kind = 'TREASURY'"),
    )
    migrate.secure(op, "identity", "agency", agency=False)

    op.create_table(
        "legal_entity",
        sa.Column("legal_entity_id", sa.Uuid, primary_key=True),
        sa.Column("display_name", sa.Text, nullable=False),
        sa.Column("tax_number", sa.Text, nullable=False),
        _instant("created_at"),
    )
    op.create_index("uq_legal_entity_tax_number", "legal_entity", ["tax_number"], unique=True)
    migrate.secure(op, "identity", "legal_entity", agency=False, app="select, insert")

    op.create_table(
        "legal_entity_owner",
        sa.Column("legal_entity_id", sa.Uuid, sa.ForeignKey("legal_entity.legal_entity_id"), primary_key=True),
        sa.Column("person_id", sa.Uuid, sa.ForeignKey("person.person_id"), primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
    )
    op.create_index("ix_legal_entity_owner_person", "legal_entity_owner", ["person_id"])
    migrate.secure(op, "identity", "legal_entity_owner", agency=False, app="select, insert")

    op.create_table(
        "access_grant",
        sa.Column("grant_id", sa.Uuid, primary_key=True),
        sa.Column("person_id", sa.Uuid, sa.ForeignKey("person.person_id"), nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("agency_id", sa.Uuid, sa.ForeignKey("agency.agency_id"), nullable=False),
        sa.Column("valid_from", sa.Date, nullable=False),
        sa.Column("valid_to", sa.Date),
        sa.Column("granted_by_person_id", sa.Uuid),
        _instant("created_at"),
        _instant("revoked_at", nullable=True),
        sa.Column("revoked_by_person_id", sa.Uuid),
        sa.Column("revocation_reason", sa.Text, nullable=False),
        sa.CheckConstraint("granted_by_person_id is distinct from person_id", name="maker_is_not_holder"),
        sa.CheckConstraint("valid_to is null or valid_to > valid_from", name="days_in_order"),
        sa.CheckConstraint(
            "revoked_at is not null or (revoked_by_person_id is null and revocation_reason = '')",
            name="revocation_whole",
        ),
    )
    op.create_index("ix_access_grant_person", "access_grant", ["person_id", "role", "agency_id"])
    op.create_index("ix_access_grant_agency", "access_grant", ["agency_id"])
    migrate.secure(op, "identity", "access_grant")

    op.create_table(
        "client_assertion",
        sa.Column("client_id", sa.Text, primary_key=True),
        sa.Column("jti", sa.Text, primary_key=True),
        _instant("expires_at"),
    )
    op.create_index("ix_client_assertion_expires", "client_assertion", ["expires_at"])
    migrate.secure(op, "identity", "client_assertion", agency=False, app="select, insert, delete")


def downgrade() -> None:
    """Not offered: going back would lose persons; restore a backup instead."""
    raise NotImplementedError("restore a backup instead")
