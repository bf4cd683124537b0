"""What every flow works with.

Law: nothing is looked up from a flow; what it needs is handed to it.
"""

from dataclasses import dataclass

from service.catalogue.load import Catalogue
from service.storage.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """The database, the catalogue, and what the operator has chosen about them."""

    database: Database
    catalogue: Catalogue
    keep_names: bool = False
