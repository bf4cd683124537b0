"""what messages of other formats say: trials, what was told of the person, what few senders say of a result.

Law: a step that has been released is never changed.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("inbox", sa.Column("test", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("panels", sa.Column("told_sex", sa.Text(), nullable=True))
    op.add_column("panels", sa.Column("told_born", sa.Date(), nullable=True))
    op.add_column("results", sa.Column("besides", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column("results", "besides")
    op.drop_column("panels", "told_born")
    op.drop_column("panels", "told_sex")
    op.drop_column("inbox", "test")
