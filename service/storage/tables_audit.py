"""The table of who read and wrote what, and the head of its chain.

Law: rows are only added, each with a hash over itself and the one before; they go only from the oldest end.
"""

from sqlalchemy import JSON, BigInteger, CheckConstraint, Column, Index, Integer, Table, Text

from service.domain.audit import KINDS
from service.storage.tables import Instant, metadata

__all__ = ["audit", "audit_head", "metadata"]

_KINDS = ", ".join(f"'{kind}'" for kind in KINDS)
_PLACE = BigInteger().with_variant(Integer, "sqlite")

audit = Table(
    "audit",
    metadata,
    Column("place", _PLACE, primary_key=True, autoincrement=False),
    Column("at", Instant, nullable=False),
    Column("kind", Text),
    Column("actor", Text),
    Column("action", Text, nullable=False),
    Column("subject", Text),
    Column("request_id", Text),
    Column("outcome", Text, nullable=False),
    Column("detail", JSON, nullable=False),
    Column("before", Text, nullable=False),
    Column("hash", Text, nullable=False),
    CheckConstraint("place > 0", name="place"),
    CheckConstraint(f"kind IN ({_KINDS})", name="kind"),
    CheckConstraint("(kind IS NULL) = (actor IS NULL)", name="actor"),
    Index("ix_audit_at", "at", "place"),
    Index("ix_audit_actor", "actor", "at", "place"),
    Index("ix_audit_subject", "subject", "at", "place"),
)

# One row: whoever adds to the chain holds it. The chain that is kept begins after ``from_place``.
audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("place", BigInteger, nullable=False),
    Column("hash", Text, nullable=False),
    Column("from_place", BigInteger, nullable=False),
    Column("from_hash", Text, nullable=False),
    CheckConstraint("id = 1", name="one"),
    CheckConstraint("from_place <= place", name="order"),
)
