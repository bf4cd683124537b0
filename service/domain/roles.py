"""Roles: what people who are signed in may do, in the scopes that keys have, too.

Law: a role is a list of scopes and nothing else; no route asks for a role.
"""

from collections.abc import Mapping
from enum import StrEnum


class Role(StrEnum):
    """What somebody is here."""

    VIEWER = "viewer"
    CLINICIAN = "clinician"
    RULE_OWNER = "rule_owner"
    ADMINISTRATOR = "administrator"


_READING = ("flags:read", "rules:read")

SCOPES_OF: Mapping[Role, tuple[str, ...]] = {
    Role.VIEWER: _READING,
    Role.CLINICIAN: (*_READING, "episodes:write"),
    Role.RULE_OWNER: (*_READING, "rules:write"),
    Role.ADMINISTRATOR: ("admin",),
}
