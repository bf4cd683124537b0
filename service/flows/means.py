"""What every flow works with.

Law: nothing is looked up from a flow; what it needs is handed to it.
"""

from dataclasses import dataclass, field
from typing import Any

from service.catalogue.load import Catalogue
from service.domain.source_maps import SourceMap
from service.flows.group_commit import GroupCommit
from service.storage.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """The database, the catalogue, and what the operator has chosen about them.

    ``company``: where the threads of this process meet that have something to write. ``kept_notes``: those that this
    process has kept already. ``maps``: the maps of sources that it has read lately, and when (``source_maps``).
    """

    database: Database
    catalogue: Catalogue
    keep_names: bool = False
    company: GroupCommit[Any, Any] = field(default_factory=GroupCommit, repr=False, compare=False)
    kept_notes: set[str] = field(default_factory=set, repr=False, compare=False)
    maps: dict[str, tuple[float, SourceMap]] = field(default_factory=dict, repr=False, compare=False)
