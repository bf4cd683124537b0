"""Tests are counted by themselves, so that the numbers of events have no gap (FHIR ``event-number``).

Law: a step that has been released is never changed.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("subscriptions", "deliveries"):
        op.add_column(table, sa.Column("tests", sa.BigInteger(), nullable=False, server_default=sa.text("0")))
    op.execute(
        """
        UPDATE deliveries SET tests = (
            SELECT count(*) FROM deliveries AS earlier
            WHERE earlier.subscription_id = deliveries.subscription_id AND earlier.number <= deliveries.number
            AND earlier.type = 'lab.subscription.test'
        )
        WHERE subscription_id IN (SELECT subscription_id FROM deliveries WHERE type = 'lab.subscription.test')
        """
    )
    op.execute(
        """
        UPDATE subscriptions SET tests = (
            SELECT count(*) FROM deliveries
            WHERE deliveries.subscription_id = subscriptions.id AND deliveries.type = 'lab.subscription.test'
        )
        """
    )


def downgrade() -> None:
    for table in ("deliveries", "subscriptions"):
        op.drop_column(table, "tests")
