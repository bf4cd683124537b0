"""Whatever results and acts come in whatever order: the rows agree with each other, and with what was told.

Through the real flow and a real database, beside the properties of the judgement alone in ``tests/domain``.
"""

from datetime import timedelta
from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from service.domain.errors import BadInput, Conflict
from service.flows import acknowledge
from service.storage.tables import STANDING_FLAG_STATES, episodes, flags, outbox
from service.storage.tables_acts import acts
from tests.api.test_as_known import one_panel
from tests.flows.acting import DO, PATEL
from tests.flows.build import NOW, Sender

numbers = count(1)
one_act = st.tuples(st.sampled_from(["acknowledge", "acknowledge", *DO]), st.integers(0, 5))


@settings(max_examples=20)
@given(steps=st.lists(one_panel() | one_act, min_size=1, max_size=12))
def test_flags_episodes_acts_and_events_agree_after_every_step(means, steps):
    sender, patient, versions = Sender(means), f"p-{next(numbers)}", {}

    for place, one in enumerate(steps):
        at = NOW - timedelta(days=1, minutes=-place)
        if isinstance(one, tuple):
            act(means, one, at=at)
        else:
            sender.send({**one, "patient": {**one["patient"], "id": patient}}, at=at)

        with means.database.reading() as connection:
            agrees(connection)
            now = dict(connection.execute(select(episodes.c.id, episodes.c.version)).all())
        assert all(now[name] >= version for name, version in versions.items())
        versions = now


def act(means, one, *, at):
    """Do something about one of the episodes, if there is any and it can be done."""
    with means.database.reading() as connection:
        found = list(connection.execute(select(episodes.c.id).order_by(episodes.c.id)).scalars())
    try:
        if found:
            acknowledge.do(found[-1 - one[1] % len(found)], DO[one[0]], means, by=PATEL, now=at)
    except (BadInput, Conflict):
        pass


def agrees(connection):
    kept = {row.id: row for row in connection.execute(select(episodes))}
    for row in connection.execute(select(flags).where(flags.c.state.in_(STANDING_FLAG_STATES))):
        home = kept[row.episode_id]
        assert row.state == ("acknowledged" if home.acknowledged_by else home.state)
    for name, home in kept.items():
        said = list(connection.execute(select(outbox.c.type).where(outbox.c.episode_id == name).order_by(outbox.c.seq)))
        assert (home.acknowledged_by is not None) == (home.state == "open" and last_said(said))
        done = list(connection.execute(select(acts).where(acts.c.episode_id == name).order_by(acts.c.id)))
        assert [one.version for one in done] == sorted({one.version for one in done})
        assert home.acknowledged_by in {None, *(one.id for one in done if one.kind == "acknowledge")}


TELLING = {f"lab.flag.{kind}" for kind in ("acknowledged", "unacknowledged", "escalated", "resolved", "reopened")}


def last_said(said):
    """Does the last event that says whether an episode is acknowledged say so?"""
    found = [row.type for row in said if row.type in TELLING]
    return found[-1:] == ["lab.flag.acknowledged"]
