"""How analytes are called at the bedside.

Law: a word for people that follows from the catalogue's own.
"""

from service.domain.analytes import Analytes


def analyte_words(key: str | None, analytes: Analytes) -> str | None:
    """``Calcium, ionized`` is ionized calcium, and ``Calcium, total`` calcium."""
    analyte = None if key is None else analytes.get(key)
    if analyte is None:
        return key
    thing, _, kind = analyte.name.lower().partition(", ")
    return f"{kind} {thing}" if kind and kind != "total" else thing
