"""The tables of what people do about episodes: acknowledgements, comments, assignments, snoozes, call-backs.

Law: what somebody did is added and never changed or deleted; it is undone by another entry.
"""

from service.storage.tables import metadata

__all__ = ["metadata"]
