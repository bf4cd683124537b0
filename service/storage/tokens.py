"""Rows of callers' tokens that were used, until they are no longer valid by themselves.

Law: a token is used once, whichever process of the service it comes to.
"""

import hashlib
from datetime import datetime

from sqlalchemy import Connection, delete

from service.storage.rows import upsert
from service.storage.tables_cds import cds_tokens

_C = cds_tokens.c


def use(connection: Connection, issuer: str, token: str, *, expires_at: datetime) -> bool:
    """Note that a token (its ``jti``) is used; False when it was before."""
    # A digest has the same length whatever was sent.
    row = {"issuer": issuer, "token": hashlib.sha256(token.encode()).hexdigest(), "expires_at": expires_at}
    statement = upsert(connection.dialect.name, cds_tokens).values(row).on_conflict_do_nothing()
    return connection.execute(statement.returning(_C.token)).first() is not None


def forget(connection: Connection, *, before: datetime) -> None:
    """Delete those that nobody could use any more."""
    connection.execute(delete(cds_tokens).where(_C.expires_at < before))
