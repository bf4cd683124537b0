"""Frozen dataclasses, made often.

Law: what comes out is what the constructor of the class would have made, to the last field; only sooner.

A frozen dataclass writes each of its fields through ``object.__setattr__``, which takes two thirds of the time of
judging a panel that is like others. A draft has the same slots and may be written; once written it becomes one of the
class, and is as frozen as any.
"""

from dataclasses import MISSING, Field, field, fields, make_dataclass
from typing import Any, TypeVar, cast

T = TypeVar("T")


def drafted(cls: type[T]) -> type[T]:
    """Another constructor of a frozen, slotted dataclass that does not check itself: called alike, it answers alike."""
    if hasattr(cls, "__post_init__"):
        raise TypeError(f"{cls.__name__} checks itself, which a draft would leave out")

    def finish(self: Any) -> None:
        self.__class__ = cls

    shape = [(one.name, one.type, _like(one)) for one in fields(cast(Any, cls))]
    draft = make_dataclass(cls.__name__, shape, namespace={"__post_init__": finish}, kw_only=True, slots=True)
    return cast(type[T], draft)


def _like(one: Field[Any]) -> Any:
    if one.default_factory is not MISSING:
        return field(init=one.init, default_factory=one.default_factory)
    return field(init=one.init) if one.default is MISSING else field(init=one.init, default=one.default)
