"""What a source has sent that nobody knows is listed, so that an integrator sees what to map."""

from dataclasses import replace
from datetime import timedelta

import pytest

from service.domain.errors import NotFound
from service.domain.source_maps import NAME, MappedCode, MappedUnit, SourceMap
from service.flows import unmapped
from service.flows.source_maps import listed, set_map
from tests.flows.build import NOW, Sender, calcium, hemoglobin, panel, result
from tests.flows.test_source_maps import HGB, LOCAL, coded


@pytest.fixture
def sender(means):
    return Sender(means)


@pytest.fixture
def lack(means):
    def found(**options):
        return unmapped.lack("lab-1", means, now=NOW + timedelta(hours=1), **options)

    return found


def said(found):
    """What each is called, the units and how often."""
    return [((one.analyte or (one.system, one.code)), dict(one.units), one.count) for one in found.items]


def test_codes_names_and_units_that_nobody_knows_are_counted_the_most_frequent_first(sender, lack):
    sender.send(panel(coded("9.1", "g/dL"), result("K", "4.1", "mmol/l"), calcium("9.1")))
    sender.send(panel(coded("9.1", "g/L"), hemoglobin("9.1") | {"unit": "gr/dl"}, on=1))
    sender.send(panel(coded("9.1", "g/dL", code=" HGB"), hemoglobin("9.1"), on=2))

    found = lack()

    assert said(found) == [
        ((LOCAL, "HGB"), {"g/dL": 2, "g/L": 1}, 3),
        ("hemoglobin", {"gr/dl": 1}, 1),
        ((NAME, "K"), {"mmol/l": 1}, 1),
    ]
    assert (found.window.panels, found.more) == (3, 0)


def test_an_example_leads_to_the_newest_panel_and_the_place_in_it(sender, lack):
    sender.send(panel(coded("9.1", "g/dL")))
    newest = sender.send(panel(calcium("9.1"), coded("9.1", "g/dL"), on=1), at=NOW + timedelta(minutes=5))

    (one,) = lack().items

    assert (one.panel, one.pointer) == (newest.id, "/results/1")
    assert (one.first_seen_at, one.last_seen_at) == (NOW, NOW + timedelta(minutes=5))


def test_what_is_mapped_goes_from_the_list_even_before_it_is_sent_again(sender, lack, means):
    name = MappedCode(system=NAME, code="k", analyte="calcium")
    unit = MappedUnit(analyte="hemoglobin", spelling="gr/dl", unit="g/dL")
    sender.send(panel(coded("9.1", "g/dL"), result("K", "4.1", "mmol/l"), hemoglobin("9.1") | {"unit": "gr/dl"}))

    set_map(SourceMap(name="lab-1", codes=(HGB, name), units=(unit,)), means, now=NOW)

    assert (said(lack()), lack().version) == ([], 1)


def test_a_unit_that_a_mapped_analyte_lacks_comes_up_in_its_turn(sender, lack, means):
    set_map(SourceMap(name="lab-1", codes=(HGB,)), means, now=NOW)

    sender.send(panel(coded("9.1", "gr/dl")))

    assert said(lack()) == [("hemoglobin", {"gr/dl": 1}, 1)]


def test_a_missing_unit_and_a_version_that_counts_no_more_are_not_listed(sender, lack):
    sender.send(panel(calcium("9.1") | {"unit": ""}, coded("9.1", "g/dL", id="R-1")))
    sender.send(panel(hemoglobin("9.1", id="R-1"), status="corrected"))

    assert said(lack()) == []


def test_only_so_many_days_and_so_many_things_are_listed(sender, lack):
    for number in range(3):
        sent = panel(coded("9.1", "g/dL", code=f"C{number}"), on=-40 + number)
        sender.send(sent, at=NOW - timedelta(days=number))

    assert [one.code for one in lack(days=2).items] == ["C0", "C1"]
    assert [(len(found.items), found.more) for found in (lack(limit=1), lack())] == [(1, 2), (3, 0)]


def test_only_the_newest_panels_are_looked_through(sender, lack, monkeypatch):
    monkeypatch.setattr(unmapped, "MOST_PANELS", 2)
    for number in range(3):
        sent = panel(coded("9.1", "g/dL", code=f"C{number}"), on=number)
        sender.send(sent, at=NOW - timedelta(minutes=number))

    found = lack()

    assert ([one.code for one in found.items], found.window.panels) == (["C0", "C1"], 2)
    assert found.window.since == NOW - timedelta(minutes=1)


def test_what_other_sources_send_is_not_listed(means, lack, sender):
    Sender(means, source="lab-2").send(panel(coded("9.1", "g/dL")))
    sender.send(panel(calcium("9.1")))

    assert said(lack()) == []


def test_a_source_that_nobody_knows_has_no_list(means):
    with pytest.raises(NotFound):
        unmapped.lack("lab-9", means, now=NOW)


def test_every_source_is_listed_with_when_it_was_seen_and_its_map(means, sender, doors):
    sender.send(panel(calcium("9.1")), at=NOW - timedelta(days=2))
    sender.send(panel(calcium("9.2"), on=1))
    doors.key("panels:write", source="by-key")
    set_map(SourceMap(name="by-map", codes=(HGB,)), means, now=NOW)
    set_map(SourceMap(name="by-map", codes=(replace(HGB, code="H"),)), means, now=NOW)

    found = [(one.name, one.last_seen_at, one.panels, one.version) for one in listed(means, now=NOW)]

    assert found == [("by-key", None, 0, 0), ("by-map", None, 0, 2), ("lab-1", NOW, 1, 0)]
