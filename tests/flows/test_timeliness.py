"""The report on calls: each piece of critical news counts once, in the period in which it came."""

from dataclasses import replace
from datetime import timedelta

import pytest

from service.domain.acts import How, Reached
from service.flows import callbacks
from service.formats.act_asked import AskedCall
from tests.flows.acting import DAY, HOUR, MINUTE, PATEL, Ward
from tests.flows.build import NOW, calcium, panel

CALLED = AskedCall(
    told_to="Dr X", how=How.PHONE, outcome=Reached.REACHED, read_back=True, no_read_back=None, note=None, at=None,
    flag=None,
)  # fmt: skip
BOUNDARY = NOW + 6 * HOUR


def report(means, since, until):
    """Raised, told, taken back and still waiting, of one source or none."""
    found = callbacks.timeliness(means, since=since, until=until, now=NOW + 2 * DAY)
    return [(one.raised, one.told, one.taken_back, len(one.waiting)) for one in found]


@pytest.mark.parametrize(
    ("called", "corrected", "before", "after"),
    [
        (True, "13.7", [(1, 1, 0, 0)], []),
        (False, "13.7", [(1, 0, 0, 1)], []),
        (True, "9.8", [(1, 1, 0, 0)], []),
        (False, "9.8", [(1, 0, 1, 0)], []),
    ],
)
def test_a_correction_in_the_next_period_stays_with_the_news_that_it_corrects(means, called, corrected, before, after):
    ward = Ward(means)
    ward.sender.send(panel(calcium("13.5", id="C1"), on=1), at=NOW)
    if called:
        callbacks.record(ward.episode().id, CALLED, means, by=PATEL, now=NOW + 4 * MINUTE)

    ward.sender.send(panel(calcium(corrected, id="C1", status="corrected"), on=1), at=NOW + 12 * HOUR)

    assert report(means, NOW - DAY, BOUNDARY) == before
    assert report(means, BOUNDARY, NOW + DAY) == after


def test_new_news_of_the_same_patient_counts_in_its_own_period(means):
    ward = Ward(means)
    ward.sender.send(panel(calcium("13.5", id="C1"), on=1), at=NOW)
    ward.sender.send(panel(calcium("13.9", id="C2"), on=2), at=NOW + timedelta(hours=12))

    assert report(means, NOW - DAY, BOUNDARY) == [(1, 0, 0, 1)]
    assert report(means, BOUNDARY, NOW + DAY) == [(1, 0, 0, 1)]


@pytest.mark.parametrize(("called_after", "told", "taken_back"), [(4, 1, 0), (30, 0, 1)], ids=["in time", "too late"])
def test_what_is_said_after_everything_was_taken_back_tells_nobody_of_it(means, called_after, told, taken_back):
    ward = Ward(means)
    ward.sender.send(panel(calcium("13.5", id="C1"), on=1), at=NOW)
    name = ward.episode().id
    ward.sender.send(panel(calcium("9.8", id="C1", status="corrected"), on=1), at=NOW + 10 * MINUTE)

    call = replace(CALLED, at=NOW + called_after * MINUTE)
    callbacks.record(name, call, means, by=PATEL, now=NOW + HOUR)

    assert report(means, NOW - DAY, BOUNDARY) == [(1, told, taken_back, 0)]
