"""Rows of browsers in which people have signed in: they come before whoever tries logins from elsewhere.

Law: such a row opens nothing; it only says under which name attempts are counted.
"""

from datetime import datetime

from sqlalchemy import Connection, delete, select

from service.storage.rows import digest, upsert
from service.storage.tables_people import known_browsers, people

_B = known_browsers.c


def known(connection: Connection, token: str, *, login: str, now: datetime) -> str | None:
    """The digest of a browser's token, if whoever has this login has signed in there."""
    joined = select(_B.digest).join(people, people.c.id == _B.person_id)
    found = connection.execute(joined.where(_B.digest == digest(token), people.c.login == login, _B.ends_at > now))
    return found.scalar_one_or_none()


def keep(connection: Connection, token: str, *, person_id: str, ends_at: datetime, most: int) -> None:
    """Somebody has signed in in this browser; of their browsers the ``most`` that were used last are kept."""
    row = {"digest": digest(token), "person_id": person_id, "ends_at": ends_at}
    statement = upsert(connection.dialect.name, known_browsers).values(**row)
    connection.execute(statement.on_conflict_do_update(index_elements=[_B.digest], set_={"ends_at": ends_at}))
    theirs = select(_B.digest).where(_B.person_id == person_id).order_by(_B.ends_at.desc(), _B.digest)
    rest = connection.execute(theirs.offset(most)).scalars().all()
    connection.execute(delete(known_browsers).where(_B.digest.in_(rest)))


def forget(connection: Connection, person_id: str) -> None:
    """No browser of somebody is known any more."""
    connection.execute(delete(known_browsers).where(_B.person_id == person_id))


def clear(connection: Connection, *, now: datetime) -> None:
    """Remove what has ended."""
    connection.execute(delete(known_browsers).where(_B.ends_at <= now))
