"""People, their sessions and their attempts to sign in.

Law: a step that has been released is never changed.
"""

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
