"""The table of who read and wrote what, and the head of its chain.

Law: rows are only added, each with a hash over itself and the one before; they go only from the oldest end.
"""

from service.storage.tables import metadata

__all__ = ["metadata"]
