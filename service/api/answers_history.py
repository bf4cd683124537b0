"""Answers about a patient's history in depth: the timeline, the episodes, and a flag judged again.

Law: as everywhere, nothing is decided here. A value is converted by the very function by which it is judged, and left
out where that one cannot read it.
"""

from datetime import datetime
from typing import Any

from service.api.answers import Data, episode, instant, mapped, present, sent, verdict_data
from service.domain.appraise import Read, read_value
from service.domain.quantities import plain
from service.domain.rulesets import Rulebook
from service.flows.as_known import Certainty
from service.flows.replay import Difference, Replay
from service.storage.results import held
from service.storage.timeline import Entry, KeptEpisode


def entry(found: Entry, rulebook: Rulebook) -> Data:
    """One current result of a timeline."""
    row = found.result
    head = {
        "result": row.id,
        "version": row.version,
        "versions": found.versions,
        "collected_at": instant(row.collected_at),
        "received_at": instant(row.received_at),
        "panel": row.panel_id,
        "ruleset": row.ruleset,
        "status": row.status,
        "sent": sent(row),
    }
    told = present(mapped=mapped(row), converted=_converted(found, rulebook), flag=_flag(found))
    return head | told | verdict_data(found.verdict)


def _converted(found: Entry, rulebook: Rulebook) -> Data | None:
    read = read_value(held(found.result), rulebook)
    if not isinstance(read, Read):
        return None
    number = {"value": plain(read.measured.number), "unit": read.analyte.canonical_unit}
    return number | present(comparator=found.result.comparator or None)


def _flag(found: Entry) -> Data | None:
    flag = found.flag
    if flag is None:
        return None
    return {"id": flag.id, "state": flag.state, "episode": flag.episode, "href": f"/v1/flags/{flag.id}"}


def kept_episode(found: KeptEpisode) -> Data:
    """An episode with every flag ever raised in it."""
    merged_into = present(merged_into=found.episode.merged_into)
    more = {
        "version": found.episode.version,
        "flags": [member(row) for row in found.flags],
        "href": f"/v1/episodes/{found.episode.id}",
    }
    return episode(found.episode, found.acknowledged) | merged_into | more


def member(row: Any) -> Data:
    """A flag in the list of those of an episode."""
    return {
        "id": row.id,
        "severity": row.severity,
        "state": row.state,
        "collected_at": instant(row.collected_at),
        "href": f"/v1/flags/{row.id}",
    }


def as_known(moment: datetime | None, certainty: Certainty) -> Data:
    """What a page says of the moment of which it is; nothing where it is of the present."""
    if moment is None:
        return {}
    return {"as_known_at": instant(moment), "exact": certainty.exact} | present(notice=certainty.notice)


def replay(found: Replay, intended_use: str) -> Data:
    """What came of judging a flag again."""
    return {
        "flag": found.flag,
        "equal": found.equal,
        "ruleset": found.ruleset,
        "results": [{"result": one.key, "version": one.version} for one in found.results],
        "facts": {"as_of": "raised" if found.facts_then else "now", "changed_since": found.facts_changed},
        "differences": [_difference(one) for one in found.differences],
        "intended_use": intended_use,
    }


def _difference(found: Difference) -> Data:
    return {"pointer": found.pointer, "was": found.was, "now": found.now}
