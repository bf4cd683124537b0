"""The escalation policy, its steps taken, and the feeds that are expected.

Law: a step that has been released is never changed.
"""

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
