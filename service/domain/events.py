"""Events: what there is to tell the world, one by one.

Law: an event is thin: ids and words of ours, no identity and no value.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something to tell. ``type`` is its name on the wire (``lab.flag.raised``), ``id`` the same for whoever is told.

    ``patient``, ``episode`` and ``flag`` are our names for what it is about, where it is about one. ``only_for``: the
    one subscription that it is meant for.
    """

    id: str
    type: str
    at: datetime
    patient: str | None = None
    episode: str | None = None
    flag: str | None = None
    only_for: str | None = None
    data: Mapping[str, Any]

    @property
    def quiet(self) -> bool:
        """Is nobody to be told of it? So it is with what came as a test, and with history that was imported quietly."""
        return bool(self.data.get("test") or self.data.get("quiet"))

    @property
    def lane(self) -> str:
        """Events of one lane are told in the order in which they came about."""
        return self.episode or self.patient or str(self.data.get("source") or self.type)
