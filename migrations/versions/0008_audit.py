"""Who read and wrote what, in a chain of hashes.

Law: a step that has been released is never changed.
"""

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
