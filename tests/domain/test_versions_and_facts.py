"""Which version counts, who a result is the same as, and what is known of a patient: whatever the order of arrival."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from service.domain.facts import Known, learn
from service.domain.identity import fingerprint, identity
from service.domain.panels import Panel, Patient, Result, SentRange, Status, stricter
from service.domain.people import Age, Sex
from service.domain.rules import Finding
from service.domain.timeline import Facts, Version, by_key, current
from tests.domain.build import NOON, held, judged, result, verdict_on


def version(number: int, status: Status, hour: int | None = None) -> Version:
    return Version(number=number, status=status, issued_at=None if hour is None else NOON + timedelta(hours=hour))


def test_the_version_issued_last_counts_whenever_it_came() -> None:
    first, last = version(2, Status.CORRECTED, 1), version(1, Status.FINAL, 2)

    assert current([first, last]) is current([last, first]) is last


def test_without_times_the_status_decides() -> None:
    in_order = [
        version(6, Status.REGISTERED),
        version(5, Status.PRELIMINARY),
        version(4, Status.FINAL),
        version(3, Status.CORRECTED),
        version(2, Status.CANCELLED),
        version(1, Status.ENTERED_IN_ERROR),
    ]
    for place in range(1, len(in_order) + 1):
        assert current(in_order[:place]) is in_order[place - 1]


def test_one_version_without_a_time_leaves_it_to_the_status() -> None:
    corrected, final = version(1, Status.CORRECTED, 1), version(2, Status.FINAL)

    assert current([corrected, final, version(3, Status.FINAL, 9)]) is corrected


def test_among_equals_the_one_received_last_counts() -> None:
    assert current([version(1, Status.FINAL, 1), version(2, Status.FINAL, 1)]).number == 2


def test_of_the_status_of_panel_and_result_the_stricter_counts() -> None:
    assert stricter(Status.FINAL, Status.PRELIMINARY) is Status.PRELIMINARY
    assert stricter(Status.ENTERED_IN_ERROR, Status.FINAL) is Status.ENTERED_IN_ERROR
    assert stricter(Status.CORRECTED, Status.FINAL) is Status.CORRECTED


def test_what_a_status_says() -> None:
    assert [one for one in Status if one.withdraws] == [Status.CANCELLED, Status.ENTERED_IN_ERROR]
    assert Status.AMENDED.corrects
    assert not Status.FINAL.corrects


PANEL = Panel(patient=Patient(identifier="p"), collected_at=NOON, results=())


@pytest.mark.parametrize(
    ("panel", "one", "same"),
    [
        (PANEL, replace(result("9", "g/dL"), sender_id="7"), True),
        (replace(PANEL, accession="a"), result("9", "g/dL"), False),
        (PANEL, result("9", "g/dL"), False),
    ],
    ids=["its own id", "accession", "collection"],
)
def test_a_result_is_the_same_whatever_its_value(panel: Panel, one: Result, same: bool) -> None:
    later = replace(panel, collected_at=NOON + timedelta(hours=1))

    name = identity("lab", panel, one, analyte="hemoglobin")

    assert identity("lab", panel, replace(one, text="10", number=Decimal(10)), analyte="hemoglobin") == name
    assert identity("another lab", panel, one, analyte="hemoglobin") != name
    assert (identity("lab", later, one, analyte="hemoglobin") == name) is same


def test_results_of_one_collection_differ_by_what_they_are_of() -> None:
    coded = replace(result("9", "g/dL"), analyte="zinc")

    assert identity("lab", PANEL, coded, analyte=None) != identity("lab", PANEL, coded, analyte="hemoglobin")


def test_a_fingerprint_changes_with_anything_that_may_be_judged() -> None:
    one = replace(result("9.0", "g/dL"), range=SentRange(low=Decimal(0), high=Decimal(16)))
    others = [
        (PANEL, replace(one, text="9.00")),
        (PANEL, replace(one, unit="g/L")),
        (PANEL, replace(one, status=Status.CORRECTED)),
        (PANEL, replace(one, comparator="<")),
        (PANEL, replace(one, range=None)),
        (replace(PANEL, pregnant=True), one),
        (PANEL, replace(one, range=SentRange(high=Decimal(16)))),
        (replace(PANEL, age_years=3), one),
    ]

    prints = {fingerprint(panel, other) for panel, other in [(PANEL, one), *others]}

    assert len(prints) == 1 + len(others)
    assert fingerprint(PANEL, one) == fingerprint(PANEL, replace(one, pointer="/results/9"))


def said(day: int, sex: Sex = Sex.UNKNOWN, born: date | None = None) -> Panel:
    return replace(PANEL, patient=Patient(identifier="p", sex=sex, born=born), collected_at=NOON + timedelta(days=day))


def test_the_newest_statement_counts_and_silence_unsays_nothing() -> None:
    statements = [said(0, Sex.MALE, date(1990, 1, 1)), said(2, Sex.FEMALE), said(1, born=date(1991, 1, 1)), said(3)]

    for order in (statements, statements[::-1]):
        known = Known()
        for panel in order:
            known = learn(known, panel)

        assert known.facts == Facts(sex=Sex.FEMALE, born=date(1991, 1, 1))


def test_a_birthday_is_reached_on_its_day() -> None:
    assert Age.between(date(2000, 2, 29), date(2018, 2, 28)).months == 18 * 12 - 1
    assert Age.between(date(2000, 2, 29), date(2018, 3, 1)).months == 18 * 12
    assert Age.between(date(2026, 1, 2), date(2026, 1, 1)) == Age(days=0, months=0)


def test_the_day_of_a_collection_is_that_of_utc() -> None:
    """Eighteen on March 15 by UTC; the clock on the wall still says March 14."""
    facts = Facts(born=date(2008, 3, 15))
    wall = timezone(-timedelta(hours=10))
    for at in (datetime(2026, 3, 15, 2, tzinfo=UTC), datetime(2026, 3, 14, 16, tzinfo=wall)):
        assert verdict_on(held("calcium", "10.5", "mg/dL", collected_at=at), facts).outcome == "flagged"


def test_the_same_moment_is_one_collection_in_whatever_time_zone() -> None:
    wall = timezone(timedelta(hours=2))
    calcium = held("calcium", "11", "mg/dL", age_years=40)
    low = held("hemoglobin", "9", "g/dL", age_years=40, collected_at=NOON.astimezone(wall))

    (pattern,) = [flag for flag in judged(calcium, low).flags.values() if flag.finding is Finding.PATTERN]

    assert pattern.subject == "collection:2026-03-15T12:00:00+00:00"


def test_results_by_their_key() -> None:
    one = held("calcium", "11", "mg/dL", key="k")

    assert by_key([one]) == {"k": one}
