"""Names for what is kept: a prefix that says what it is, and a ULID that sorts by time.

Law: a name says nothing about a patient.
"""

from ulid import ULID


def new_id(prefix: str) -> str:
    """A new name, for example ``flg_01JD…``."""
    return f"{prefix}_{ULID()}"
