"""The tables of the tests' service."""

import sqlalchemy as sa
from alembic import op

from chassis import migrate

revision, down_revision = "parcels_0001", None


def upgrade() -> None:
    """Make them."""
    migrate.shared_tables(op, "parcels")
    op.create_table(
        "parcel",
        sa.Column("parcel_id", sa.Uuid, primary_key=True),
        sa.Column("agency_id", sa.Uuid, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("price_minor", sa.BigInteger, nullable=False, server_default="0"),
    )
    migrate.secure(op, "parcels", "parcel")
    # What the consumer's effect is: one row an event, and no key that would hide a second one.
    op.create_table(
        "arrival",
        sa.Column("arrival_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("parcel_id", sa.Uuid, nullable=False),
        sa.Column("agency_id", sa.Uuid, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    migrate.secure(op, "parcels", "arrival", app="select, insert")
    op.create_table("post_office", sa.Column("code", sa.Text, primary_key=True))
    migrate.secure(op, "parcels", "post_office", agency=False, app="select")
