"""Small helpers that every table's functions share.

Law: nothing here knows a table.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import FromClause, Table, Text, bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite


def upsert(dialect: str, table: Table) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that can say what to do on a conflict; both databases know it, each in a dialect of its own."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def listed(dialect: str, *columns: str) -> FromClause:
    """A table of texts that a statement is handed (``given``), so that it is the same for any number of rows."""
    if dialect == "postgresql":
        arrays = (bindparam(f"listed_{name}", type_=postgresql.ARRAY(Text)) for name in columns)
        return func.unnest(*arrays).table_valued(*columns).render_derived(name="listed")
    each = func.json_each(bindparam("listed")).table_valued("value")
    picked = (func.json_extract(each.c.value, f"$[{at}]").label(name) for at, name in enumerate(columns))
    return select(*picked).subquery("listed")


def given(dialect: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> dict[str, Any]:
    """The parameters that make ``listed`` hold these rows."""
    if dialect == "postgresql":
        return {f"listed_{name}": [row[at] for row in rows] for at, name in enumerate(columns)}
    return {"listed": orjson.dumps(rows).decode()}


def digest(token: str) -> str:
    """What is kept of a token: it is random enough for a fast hash."""
    return hashlib.sha256(token.encode()).hexdigest()
