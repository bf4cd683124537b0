"""What people do about episodes, and episodes that are acknowledged.

Law: a step that has been released is never changed.
"""

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
