"""The tables of people, their sessions and browsers, their attempts to sign in, and sign-ins under way elsewhere.

    people ◄── sessions, known_browsers        sign_in_attempts        oidc_requests

Law: a password and a session are kept as what checks them, never as themselves.
"""

from sqlalchemy import Boolean, CheckConstraint, Column, ForeignKey, Index, Integer, Table, Text

from service.domain.roles import Role
from service.storage.tables import Instant, metadata

__all__ = ["known_browsers", "metadata", "oidc_requests", "people", "sessions", "sign_in_attempts"]

_ROLES = ", ".join(f"'{role}'" for role in Role)

people = Table(
    "people",
    metadata,
    Column("id", Text, primary_key=True),
    Column("login", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("password", Text),
    Column("must_change", Boolean, nullable=False),
    Column("issuer", Text),
    Column("subject", Text),
    Column("created_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    Column("disabled_at", Instant),
    CheckConstraint(f"role IN ({_ROLES})", name="role"),
    CheckConstraint("(issuer IS NULL) = (subject IS NULL)", name="issuer"),
    # Whoever was disabled keeps the login: what they did stays theirs.
    Index("uq_people_login", "login", unique=True),
    Index("uq_people_subject", "issuer", "subject", unique=True),
)

sessions = Table(
    "sessions",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("person_id", Text, ForeignKey("people.id"), nullable=False),
    Column("csrf", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("ends_at", Instant, nullable=False),
    Index("ix_sessions_person", "person_id"),
    Index("ix_sessions_ends_at", "ends_at"),
)

known_browsers = Table(
    "known_browsers",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("person_id", Text, ForeignKey("people.id"), nullable=False),
    Column("ends_at", Instant, nullable=False),
    Index("ix_known_browsers_person", "person_id"),
    Index("ix_known_browsers_ends_at", "ends_at"),
)

sign_in_attempts = Table(
    "sign_in_attempts",
    metadata,
    Column("who", Text, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("last_at", Instant, nullable=False),
    CheckConstraint("failures > 0", name="failures"),
    Index("ix_sign_in_attempts_last_at", "last_at"),
)

oidc_requests = Table(
    "oidc_requests",
    metadata,
    Column("state", Text, primary_key=True),
    Column("nonce", Text, nullable=False),
    Column("verifier", Text, nullable=False),
    Column("browser", Text, nullable=False),
    Column("after", Text, nullable=False),
    Column("ends_at", Instant, nullable=False),
    Index("ix_oidc_requests_ends_at", "ends_at"),
)
