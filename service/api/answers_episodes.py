"""Answers about one episode: how it stands, what people did about it, who was called.

Law: as everywhere, nothing is decided here. An act is shown for ever, also one that was undone.
"""

from typing import Any

from service.api.answers import Data, acknowledgement, actor, episode, instant, present
from service.api.answers_history import member
from service.domain.acts import Act, Attention, Called
from service.flows.callbacks import Timeliness
from service.storage.acts import Listed
from service.storage.episodes import EpisodeView

# How many flags that still wait a report lists for each source.
LISTED = 100


def episode_view(found: EpisodeView, intended_use: str) -> Data:
    """An episode with everything about it."""
    row, holds = found.episode.row, found.episode.holds
    return {
        **episode(row, holds.acknowledged),
        **_holding(holds),
        **present(merged_into=row.merged_into),
        "patient": {"id": found.patient.identifier, "authority": found.patient.authority},
        "version": row.version,
        "flags": [member(one) for one in found.flags],
        "acts": [act(one, found.acts, of=row.id) for one in found.acts.acts],
        "callbacks": [callback(one) for one in found.calls],
        "href": (here := f"/v1/episodes/{row.id}"),
        **present(
            all_acts=f"{here}/acts" if found.acts.more else None,
            all_callbacks=f"{here}/callbacks" if found.more_calls else None,
        ),
        "intended_use": intended_use,
    }


def _holding(holds: Attention) -> Data:
    snoozed, assigned = holds.snoozed, holds.assigned
    return present(
        snoozed=snoozed
        and {
            "act": snoozed.id,
            "until": snoozed.until_kind,
            "ends_at": instant(snoozed.until),
            "by": actor(snoozed.actor),
        },
        assigned=assigned and {"act": assigned.id, "to": assigned.assignee, "at": instant(assigned.at)},
    )


def act(one: Act, among: Listed, *, of: str) -> Data:
    """Something that somebody did about an episode, or about one that was merged into it."""
    head = {"id": one.id, "kind": one.kind, "at": instant(one.at), "by": actor(one.actor)}
    told = present(
        reason=one.reason,
        note=one.note,
        assignee=one.assignee,
        until=one.until_kind,
        ends_at=instant(one.until),
        undoes=one.undoes,
        undone_by=among.undone_by.get(one.id),
        episode=one.episode if one.episode != of else None,
    )
    return head | told | {"severity": one.severity, "flag": one.flag}


def callback(one: Called) -> Data:
    """A call about a flag."""
    return {
        "id": one.id,
        "flag": one.flag,
        "value": one.value,
        "result_version": one.result_version,
        "by": actor(one.told_by),
        "told_to": one.told_to,
        "at": instant(one.at),
        "recorded_at": instant(one.recorded_at),
        "how": one.how,
        "outcome": one.outcome,
        "read_back": one.read_back,
    } | present(no_read_back=one.no_read_back, note=one.note)


def bulk_item(name: str, status: int, holds: Attention) -> Data:
    """One of several episodes that were to be acknowledged, and is."""
    held: Any = holds.acknowledged
    return {"episode": name, "status": status, "acknowledged": acknowledgement(held)}


def timeliness(one: Timeliness) -> Data:
    """How it went with the critical flags of a source."""
    return {
        "source": one.source,
        "raised": one.raised,
        "told": one.told,
        "taken_back": one.taken_back,
        "still_open": len(one.waiting),
        "minutes": {"median": one.median, "percentile_90": one.ninetieth},
        "oldest_open": [
            {
                "flag": waiting.flag,
                "raised_at": instant(waiting.raised_at),
                "minutes": waiting.minutes,
                "href": f"/v1/flags/{waiting.flag}",
            }
            for waiting in one.waiting[:LISTED]
        ],
    }
