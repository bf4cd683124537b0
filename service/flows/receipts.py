"""What became of a panel, as the doors answer it.

Law: made from the judgement itself, before anything is written, so that the answer to what is kept is never in doubt.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from service.domain.episodes import Flag, FlagKey
from service.domain.verdicts import Verdict
from service.flows import keeping
from service.flows.arrivals import Arrival
from service.flows.keeping import Named, Told
from service.storage.idempotency import Answer

Verdicts = Mapping[str, Verdict]
Items = tuple[tuple[Arrival, Verdict], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownFlag:
    """A flag as the answer shows it: with its state and its episode."""

    flag: Flag
    state: str
    episode: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of a panel: every place with its verdict, the flags that stand on it, and what changed.

    ``id`` is None when nothing was kept; ``patient`` is our own name for the patient, where there is one.
    ``answer`` is there when the answer is remembered; when it is ``recalled``,
    there is nothing beside it.
    """

    id: str | None
    duplicate: bool
    ruleset: str
    items: Items
    flags: tuple[ShownFlag, ...] = field(repr=False)
    told: tuple[Told, ...] = ()
    answer: Answer | None = None
    recalled: bool = False
    patient: str | None = None


def receipt(
    panel_id: str | None,
    items: Items,
    named: Named,
    *,
    flags: Mapping[FlagKey, Flag],
    ruleset: str,
    patient: str | None,
) -> Receipt:
    """The receipt of a panel; ``flags`` are all that stand of its patient, or those that it raised."""
    keys = {one.held.key for one, _ in items}
    kept = panel_id is not None
    shown = (flag for flag in flags.values() if not keys.isdisjoint(flag.basis))
    return Receipt(
        id=panel_id,
        duplicate=False,
        ruleset=ruleset,
        items=items,
        flags=tuple(_shown(flag, named, kept=kept) for flag in shown),
        told=_told(named, kept=kept),
        patient=patient,
    )


def _told(named: Named, *, kept: bool) -> tuple[Told, ...]:
    """The changes; where nothing was kept, without the names of flags and episodes that there are not."""
    told = keeping.told(named)
    if kept:
        return told
    fresh = {flag.id for flag in named.born} | named.new_episodes
    return tuple(
        replace(
            one,
            flag=None if one.flag in fresh else one.flag,
            by=None if one.by in fresh else one.by,
            episode=None if one.episode in fresh else one.episode,
        )
        for one in told
    )


def _shown(flag: Flag, named: Named, *, kept: bool) -> ShownFlag:
    episode = named.episode_of(flag.key)
    born = next((one for one in named.born if one.key == flag.key), None)
    if born is not None and not kept:
        return ShownFlag(flag=flag, state=episode.flag_state, episode=None)
    known = born or replace(flag, id=named.flag_ids[flag.key])
    return ShownFlag(flag=known, state=episode.flag_state, episode=episode.id)
