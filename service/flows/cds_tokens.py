"""A caller's token is used once.

Law: noted before anything is answered to it, in a transaction of its own.
"""

from datetime import datetime, timedelta

from service.storage import tokens
from service.storage.database import Database

# A clock of ours may be behind: what is valid by another of our clocks must not be forgotten yet.
_AFTER = timedelta(hours=1)


def use(database: Database, issuer: str, token: str, *, expires_at: datetime, now: datetime) -> bool:
    """Note that a token was used; False when it was before. Raises ``Unavailable``."""
    with database.transaction() as connection:
        tokens.forget(connection, before=now - _AFTER)
        return tokens.use(connection, issuer, token, expires_at=expires_at)
