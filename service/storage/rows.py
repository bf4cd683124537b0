"""Small helpers that every table's functions share.

Law: nothing here knows a table.
"""

from collections.abc import Iterable
from enum import Enum
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite


def upsert(dialect: str, table: Table) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that can say what to do on a conflict; both databases know it, each in a dialect of its own."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def values_of(thing: Any, names: Iterable[str]) -> dict[str, Any]:
    """Some attributes of a domain object as column values; a word from a list is kept as its text."""
    found = {name: getattr(thing, name) for name in names}
    return {name: value.value if isinstance(value, Enum) else value for name, value in found.items()}
