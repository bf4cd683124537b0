"""Browsers in which people have signed in.

Law: a step that has been released is never changed.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_NOW = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "known_browsers",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("ends_at", _NOW, nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_known_browsers_people")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_known_browsers")),
    )
    op.create_index("ix_known_browsers_person", "known_browsers", ["person_id"], unique=False)
    op.create_index("ix_known_browsers_ends_at", "known_browsers", ["ends_at"], unique=False)


def downgrade() -> None:
    op.drop_table("known_browsers")
