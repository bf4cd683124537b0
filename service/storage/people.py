"""Rows of people: who may sign in, and as what.

Law: nobody is deleted: whoever may no longer sign in is disabled, so that what they did keeps its name.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from service.domain.errors import NotFound
from service.domain.roles import SCOPES_OF, Role
from service.storage.tables_people import people

_C = people.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who may sign in. ``login`` is kept in the form in which it is compared; ``password`` as what checks it.

    ``issuer`` and ``subject``: who they are at a provider of OpenID Connect. ``must_change``: the password was made by
    somebody else, and opens nothing but the page that changes it.
    """

    id: str
    login: str = field(repr=False)
    name: str = field(repr=False)
    role: Role
    password: str | None = field(default=None, repr=False)
    must_change: bool = False
    issuer: str | None = None
    subject: str | None = field(default=None, repr=False)
    created_at: datetime
    changed_at: datetime
    disabled_at: datetime | None = None

    def may(self, scope: str) -> bool:
        """Does the role allow what asks for this scope?"""
        allowed = SCOPES_OF[self.role]
        return scope in allowed or "admin" in allowed


def add(connection: Connection, new: Person) -> None:
    """Keep a new person. Raises ``IntegrityError`` when somebody has the login."""
    connection.execute(insert(people).values(**_values(new)))


def replace(connection: Connection, changed: Person) -> None:
    """Keep a changed person."""
    connection.execute(update(people).where(_C.id == changed.id).values(**_values(changed)))


def find(connection: Connection, person_id: str) -> Person | None:
    """The person with this id."""
    return _one(connection, _C.id == person_id)


def by_login(connection: Connection, login: str) -> Person | None:
    """The person with this login, in the form in which logins are compared."""
    return _one(connection, _C.login == login)


def by_subject(connection: Connection, issuer: str, subject: str) -> Person | None:
    """The person who is known by this name at a provider."""
    return _one(connection, (_C.issuer == issuer) & (_C.subject == subject))


def held(connection: Connection, login: str) -> Person:
    """The person with this login, who stays as they are until the transaction ends. Raises ``NotFound``."""
    row = connection.execute(select(people).where(_C.login == login).with_for_update()).one_or_none()
    if row is None:
        raise NotFound("person with this login")
    return _person(row)


def every(connection: Connection) -> list[Person]:
    """Everybody, by login."""
    return [_person(row) for row in connection.execute(select(people).order_by(_C.login))]


def _one(connection: Connection, wanted: Any) -> Person | None:
    row = connection.execute(select(people).where(wanted)).one_or_none()
    return None if row is None else _person(row)


def _values(one: Person) -> dict[str, Any]:
    plain = ("id", "login", "name", "password", "must_change", "issuer", "subject")
    times = ("created_at", "changed_at", "disabled_at")
    return {"role": one.role.value} | {name: getattr(one, name) for name in (*plain, *times)}


def _person(row: Row[Any]) -> Person:
    given = dict(row._mapping)  # noqa: SLF001  SQLAlchemy documents it as public
    return Person(**{**given, "role": Role(row.role)})
