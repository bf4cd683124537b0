"""Who does something: a system with a key, a person who is signed in, or an operator at the command line.

Law: what is remembered of a deed names who did it by an id that stays theirs.
"""

from dataclasses import dataclass
from enum import StrEnum


class ActorKind(StrEnum):
    KEY = "key"
    PERSON = "person"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who does something. ``id`` is that of the key or of the person; ``name`` is what it is called now."""

    kind: ActorKind
    id: str
    name: str


# Whoever may run commands on the machine; who that is, the machine knows.
OPERATOR = Actor(kind=ActorKind.OPERATOR, id="operator", name="operator")
# What the service does by itself, such as escalating.
SERVICE = Actor(kind=ActorKind.OPERATOR, id="service", name="lab-alerts")
