"""What was kept goes out as lines.

Law: one moment of the database from the first line to the last, and nothing is changed.
"""

from collections.abc import Callable, Iterator
from contextlib import closing

from service.formats import exported
from service.storage import exporting, patients
from service.storage.database import Database

KINDS = tuple(exporting.COLUMNS)
FORMATS = {"ndjson": exported.ndjson, "csv": exported.csv_rows}


def lines(
    database: Database,
    kind: str,
    form: str,
    *,
    identifier: str | None = None,
    authority: str | None = None,
    met: Callable[[str], None] = lambda _: None,
) -> Iterator[bytes]:
    """Every flag, result or episode, of all patients or of one. ``met`` hears which one, by our own name.

    Raises ``NotFound``, ``Ambiguous`` and ``Unavailable``.
    """
    with database.reading() as connection:
        who = None if identifier is None else patients.named(connection, identifier, authority).id
        if who is not None:
            met(who)
        with closing(exporting.rows(connection, kind, patient=who)) as rows:
            yield from FORMATS[form](exporting.COLUMNS[kind], rows)
