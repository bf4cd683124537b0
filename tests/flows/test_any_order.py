"""The same messages in any order, repeated at will, end in the same flags and episodes: those of the judgement itself.

Through the real flow and a real database, beside the properties of the judgement alone in ``tests/domain``.
"""

import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from service.domain.facts import Known, learn
from service.domain.identity import fingerprint, identity
from service.domain.judge import Judgement, judge
from service.domain.panels import Panel
from service.domain.timeline import Held, Timeline, Version, current
from service.flows.arrivals import analyte_of
from service.flows.means import Means
from service.flows.replay import replay_all
from service.formats import native
from service.storage.database import Database
from service.storage.tables import flags
from tests.flows.build import (
    NOW,
    WOMAN,
    Sender,
    alp,
    calcium,
    day,
    encoded,
    episode_rows,
    hemoglobin,
    panel,
    platelets,
    result,
    standing,
    verdicts_kept,
)

KINDS = {
    "calcium": (calcium, ("9.9", "11.0", "11.9", "13.6", "99")),
    "hemoglobin": (hemoglobin, ("13.1", "12.5", "9.1", "6.5")),
    "alp": (alp, ("90", "250", "1500")),
    "platelets": (platelets, ("200", "70", "20")),
    "ionized": (lambda value, **more: result("calcium_ionized", value, "mmol/L", **more), ("1.20", "1.45", "1.70")),
}
STATUSES = ("preliminary", "final", "corrected", "cancelled", "entered-in-error")


@st.composite
def one_result(draw):
    make, values = KINDS[draw(st.sampled_from(sorted(KINDS)))]
    return make(draw(st.sampled_from(values)), status=draw(st.sampled_from(STATUSES)))


@st.composite
def messages(draw):
    """Panels of one patient on a few days, each issued at a time of its own, which tells their versions apart."""
    sent = []
    for issue in range(draw(st.integers(1, 6))):
        brought = draw(st.lists(one_result(), min_size=1, max_size=3, unique_by=lambda one: one["analyte"]))
        patient = {**WOMAN, "sex": draw(st.sampled_from(["female", "male", "unknown"]))}
        on = draw(st.integers(0, 3))
        sent.append(panel(*brought, on=on, patient=patient, issued_at=day(4 + issue / 10).isoformat()))
    return sent


@pytest.fixture
def fresh(migrated_file, catalogue):
    """Make a service with an empty SQLite database, as often as asked."""

    def make(home: str) -> Means:
        path = Path(home) / "lab-alerts.db"
        shutil.copy(migrated_file, path)
        return Means(database=Database.open(f"sqlite:///{path}"), catalogue=catalogue)

    return make


@settings(max_examples=25)
@given(sent=messages(), data=st.data())
def test_any_order_and_repetition_ends_in_the_judgement_of_the_whole(fresh, sent, data):
    repeated = sent + data.draw(st.lists(st.sampled_from(sent), max_size=3))
    order = data.draw(st.permutations(repeated))

    with tempfile.TemporaryDirectory() as home:
        means = fresh(home)
        for one in order:
            accounts_for_everything(Sender(means).send(one), one)
        found = _said(standing(means.database)), episode_rows(means.database), verdicts_kept(means.database)
        means.database.close()

    flags, *rest = expected(sent, means)
    assert found == (_said(flags), *rest)


def _said(flags):
    """What flags say, whichever version of their result raised them: one that says the same leaves them as they are."""
    return {one[:-1] for one in flags}


@settings(max_examples=25)
@given(sent=messages(), data=st.data())
def test_every_flag_ever_raised_can_be_had_again_whatever_came_after_it(fresh, sent, data):
    with tempfile.TemporaryDirectory() as home:
        means = fresh(home)
        for one in data.draw(st.permutations(sent)):
            Sender(means).send(one)
        found = {one.flag: (one.facts_then, one.differences) for one in replay_all(means)}
        with means.database.reading() as connection:
            raised = list(connection.execute(select(flags.c.id)).scalars())
        means.database.close()

    assert found == dict.fromkeys(raised, (True, ()))


def accounts_for_everything(receipt, sent):
    assert [arrival.held.result.pointer for arrival, _ in receipt.items] == [
        f"/results/{place}" for place in range(len(sent["results"]))
    ]
    shown = {key for one in receipt.flags for key in one.flag.basis}
    assert all(arrival.held.key in shown for arrival, verdict in receipt.items if verdict.outcome == "flagged")


def expected(sent, means):
    """What stands after all messages, from the judgement alone."""
    book = means.catalogue.rulebook
    panels = [native.read(encoded(one), now=NOW) for one in sent]
    versions: dict[str, dict[Version, tuple[Panel, Held]]] = {}
    known = Known()
    for number, one in enumerate(panels, start=1):
        known = learn(known, one)
        for brought in one.results:
            analyte = analyte_of(brought, book.analytes)
            name = identity("lab-1", one, brought, analyte=analyte)
            version = Version(number=number, status=brought.status, issued_at=one.issued_at)
            held = Held(
                key=name, version=number, result=brought, analyte=analyte, status=brought.status,
                collected_at=one.collected_at, ruleset=book.current,
            )  # fmt: skip
            versions.setdefault(name, {})[version] = one, held
    counted = {name: found[current(found)] for name, found in versions.items()}
    timeline = Timeline(facts=known.facts, results=tuple(held for _, held in counted.values()))
    prints = {name: fingerprint(one, held.result) for name, (one, held) in counted.items()}
    return shape(judge(timeline, book), prints)


def shape(judged: Judgement, prints):
    flags = {
        (one.subject, one.finding.value, one.severity.value, one.why, one.provisional, prints.get(one.subject))
        for one in judged.flags.values()
    }
    episodes = {
        (
            one.finding.value,
            one.state.value,
            one.level.value,
            one.peak.value,
            one.opened_at,
            one.last_at,
            one.resolved_at,
        )
        for one in judged.episodes
    }
    verdicts = {
        (key, one.outcome.value, one.reason and one.reason.value, one.why, one.provisional)
        for key, one in judged.verdicts.items()
    }
    return flags, episodes, verdicts


@settings(max_examples=15)
@given(data=st.data())
def test_without_times_of_issue_the_status_tells_versions_apart_in_any_order(fresh, data):
    statuses = data.draw(st.lists(st.sampled_from(STATUSES), min_size=2, max_size=5, unique=True))
    sent: Sequence[dict] = [
        panel(calcium(value), status=status)
        for value, status in zip(("11.0", "12.9", "9.9", "13.6", "11.9"), statuses, strict=False)
    ]
    sent = [*sent, panel(calcium("11.9"), on=-1), panel(calcium("11.9"), on=1)]
    order = data.draw(st.permutations([*sent, *sent[:2]]))

    with tempfile.TemporaryDirectory() as home:
        means = fresh(home)
        for one in order:
            Sender(means).send(json.loads(json.dumps(one)))
        found = standing(means.database), episode_rows(means.database), verdicts_kept(means.database)
        means.database.close()

    assert found == expected(sent, means)
