"""the map of each source: what its local codes and units are in the catalogue.

Law: a step that has been released is never changed.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "source_maps",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=True),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.CheckConstraint("version > 0", name=op.f("ck_source_maps_version")),
        sa.PrimaryKeyConstraint("name", "version", name=op.f("pk_source_maps")),
    )


def downgrade() -> None:
    op.drop_table("source_maps")
