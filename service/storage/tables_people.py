"""The tables of people, their sessions and their attempts to sign in.

Law: a password and a session are kept as what checks them, never as themselves.
"""

from service.storage.tables import metadata

__all__ = ["metadata"]
