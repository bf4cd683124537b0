"""What comes in is read by the map of its source, and what nobody knows is listed.

Law: a table says what was sent, what is mapped, and how it ends; nothing here computes an expectation.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from service.domain.errors import BadInput, NotFound, Stale, Unavailable
from service.domain.source_maps import NAME, MappedCode, MappedUnit, SourceMap
from service.flows import source_maps
from service.flows.bulk import take_in_all
from service.flows.incoming import order
from service.flows.means import Means
from service.flows.replay import replay_all
from service.flows.source_maps import set_map, zone_of
from service.formats import native, ndjson
from service.storage.panels import Message
from service.storage.tables import results, verdicts
from service.storage.tables import source_maps as source_map_rows
from tests.flows.build import (
    NOW,
    Sender,
    calcium,
    encoded,
    flag_states,
    hemoglobin,
    kept,
    outcomes,
    panel,
    result,
)

LOCAL = "urn:hl7v2:L"
HGB = MappedCode(system=LOCAL, code="HGB", analyte="hemoglobin")
NAMED = MappedCode(system=NAME, code="HGB-X", analyte="hemoglobin")
SPELLED = MappedUnit(analyte="hemoglobin", spelling="gr/dl", unit="g/dL")
A_MAP = SourceMap(name="lab-1", codes=(HGB, NAMED), units=(SPELLED,))


def coded(value, unit, *, code="HGB", system=LOCAL, **more):
    return {"code": {"system": system, "code": code}, "value": value, "unit": unit, **more}


@pytest.fixture
def sender(means):
    return Sender(means)


@pytest.fixture
def put(means):
    """Call it with the parts of a map: it is that of the source now."""

    def done(*parts, name="lab-1", **more):
        codes = tuple(one for one in parts if isinstance(one, MappedCode))
        units = tuple(one for one in parts if isinstance(one, MappedUnit))
        wanted = SourceMap(name=name, codes=codes, units=units, **more)
        return set_map(wanted, means, now=NOW)

    return done


# What a woman's laboratory sends (anemia below 12 g/dL: moderate from 8 to 10), what is mapped, and how it ends.
TABLE = [
    (coded("9.1", "g/dL"), (), "not_judged", "code_unmapped"),
    (coded("9.1", "g/dL"), (HGB,), "flagged", None),
    (coded("13.1", "g/dL"), (HGB,), "clear", None),
    (coded("9.1", "gr/dl"), (HGB,), "not_judged", "unit_unknown"),
    (coded("9.1", "gr/dl"), (HGB, SPELLED), "flagged", None),
    (coded("9.1", " gr / dl "), (HGB, SPELLED), "flagged", None),
    (coded("9.1", "GR/DL"), (HGB, SPELLED), "not_judged", "unit_unknown"),  # case matters
    (coded("9.1", ""), (HGB, SPELLED), "not_judged", "unit_unknown"),  # a missing unit is not guessed
    (coded("9.1", "g/dL", code="hgb"), (HGB,), "not_judged", "code_unmapped"),
    (coded("9.1", "g/dL", code=" HGB "), (HGB,), "flagged", None),
    (coded("9.1", "g/dL", system="urn:other"), (HGB,), "not_judged", "code_unmapped"),
    (result("HGB-X", "9.1", "g/dL"), (), "not_judged", "code_unmapped"),
    (result("HGB-X", "9.1", "g/dL"), (NAMED,), "flagged", None),
    (result(" hgb-x", "9.1", "g/dL"), (NAMED,), "flagged", None),  # names know no case, as those of the catalogue
    (result("HGB-X", "9.1", "gr/dl"), (NAMED, SPELLED), "flagged", None),
    ({"analyte": "Hb?", **coded("9.1", "g/dL")}, (HGB,), "flagged", None),
    (hemoglobin("9.1") | {"unit": "gr/dl"}, (), "not_judged", "unit_unknown"),
    (hemoglobin("9.1") | {"unit": "gr/dl"}, (SPELLED,), "flagged", None),
    (hemoglobin("9.1", reference_range={"low": "8", "unit": "gr/dl"}), (), "not_judged", "reference_range_unusable"),
    (hemoglobin("12.2", reference_range={"low": "12.5", "unit": "gr/dl"}), (SPELLED,), "flagged", None),
    (coded("9.1", "g/dL", system="LN", code="99999-9"), (), "not_judged", "code_unmapped"),
    (
        coded("9.1", "g/dL", system="http://loinc.org", code="99999-9"),
        (MappedCode(system="LOINC", code="99999-9", analyte="hemoglobin"),),
        "flagged",
        None,
    ),
]


@pytest.mark.parametrize(("sent", "mapped", "outcome", "reason"), TABLE)
def test_what_is_sent_ends_as_the_map_of_its_source_has_it(sender, put, *, sent, mapped, outcome, reason):
    put(*mapped)

    receipt = sender.send(panel(sent))

    assert outcomes(receipt) == [(outcome, reason)]


def test_a_map_is_that_of_one_source_alone(means, put):
    put(HGB)

    receipt = Sender(means, source="lab-2").send(panel(coded("9.1", "g/dL")))

    assert outcomes(receipt) == [("not_judged", "code_unmapped")]


def test_the_explanation_has_the_value_as_sent_and_names_the_map(sender, put, database):
    put(HGB)
    put(HGB, SPELLED)

    (item,) = sender.send(panel(coded("9.1", "gr/dl"))).items

    why = "9.1 g/dL is below 10 g/dL; sent in 'gr/dl' and read as hemoglobin in g/dL by the map lab-1 version 2"
    assert item[1].why == why
    value = item[1].explanation["value"]
    told = {name: value[name] for name in ("sent", "unit", "read_as", "mapped_by")}
    assert told == {"sent": "9.1", "unit": "gr/dl", "read_as": "g/dL", "mapped_by": "lab-1 version 2"}
    with database.reading() as connection:
        row = connection.execute(select(results)).one()
        said = connection.execute(select(verdicts.c.why)).scalar_one()
    assert (row.analyte, row.unit, row.code, said) == ("hemoglobin", "gr/dl", "HGB", why)


def test_what_is_not_mapped_is_explained_as_ever_beside_what_is(sender, put):
    put(HGB, SPELLED)
    sender.send(panel(coded("9.1", "gr/dl"), on=1))

    (item,) = sender.send(panel(hemoglobin("9.1"))).items

    assert item[1].why == "9.1 g/dL is below 10 g/dL"
    assert "mapped_by" not in item[1].explanation["value"]


def test_every_flag_of_a_mapped_result_comes_out_the_same_again(sender, put, means):
    put(HGB, NAMED, SPELLED)
    sender.send(panel(coded("9.1", "gr/dl", reference_range={"low": "12", "unit": "gr/dl"}), calcium("11.9")))
    sender.send(panel(result("HGB-X", "7.1", "g/dL"), on=1))
    put()

    found = list(replay_all(means))

    assert len(found) == 4
    assert [one.differences for one in found] == [()] * 4


# ------------------------------------------------------------------------------------------- mapping, and sending again
def test_mapping_a_code_and_sending_the_message_again_makes_a_version_that_is_judged(sender, put, database):
    sent = panel(coded("9.1", "g/dL"))
    first = sender.send(sent)
    put(HGB)

    again = sender.send(sent)

    (arrival, verdict) = again.items[0]
    assert (first.items[0][0].held.key, arrival.held.version) == (arrival.held.key, 2)
    assert verdict.outcome == "flagged"
    assert arrival.notice == "it was held already, and the map of its source makes something else of it now"
    assert flag_states(database) == [("anemia", "moderate", "open")]


def test_the_same_again_under_a_newer_map_that_reads_it_the_same_is_a_duplicate(sender, put, database):
    sent = panel(coded("9.1", "g/dL"))
    put(HGB)
    sender.send(sent)
    put(HGB, SPELLED, MappedCode(system=LOCAL, code="CA", analyte="calcium"))

    again = sender.send(sent)

    assert again.duplicate


def test_a_wrong_map_can_be_taken_back_and_put_right_any_number_of_times(sender, put, database):
    sent = panel(coded("9.1", "g/dL"))
    # Albumin of 9.1 g/dL is read as another thing altogether: no anemia.
    other = replace(HGB, analyte="albumin")
    ended = []
    for parts in ((HGB,), (), (HGB,), (other,), (HGB,), ()):
        put(*parts)
        sender.send(sent)
        ended.append([state for finding, _, state in flag_states(database) if finding == "anemia" and state == "open"])

    assert ended == [["open"], [], ["open"], [], ["open"], []]
    with database.reading() as connection:
        assert len(connection.execute(select(results.c.version)).all()) == 6


def test_a_correction_sent_by_another_name_than_the_mapped_code_is_another_result(sender, put, database):
    put(HGB)
    sender.send(panel(coded("9.1", "g/dL")))

    sender.send(panel(hemoglobin("13.1")))

    assert flag_states(database) == [("anemia", "moderate", "open")]


def test_a_correction_under_the_senders_own_id_finds_its_result_whatever_is_mapped(sender, put, database):
    sender.send(panel(coded("9.1", "g/dL", id="R-1")))
    put(HGB)
    sender.send(panel(coded("9.2", "g/dL", id="R-1"), status="corrected"))

    sender.send(panel(hemoglobin("13.1", id="R-1"), status="corrected", issued_at=NOW.isoformat()))

    with database.reading() as connection:
        assert len(set(connection.execute(select(results.c.id)).scalars())) == 1


def test_a_name_that_the_map_has_and_a_code_of_another_analyte_contradict_each_other(sender, put):
    put(NAMED)

    with pytest.raises(BadInput) as refused:
        sender.send(panel(result("HGB-X", "9.1", "g/dL", code="17861-6")))

    assert [fault.code for fault in refused.value.faults] == ["analyte-contradicts-code"]


# ------------------------------------------------------------------------------------------------------ setting a map
def test_every_change_is_a_version_and_every_version_stays(put, means):
    put(HGB)
    put(HGB, SPELLED)
    same = put(SPELLED, replace(HGB, code=" HGB "))

    assert (same.new, same.kept.map.version) == (False, 2)
    assert [source_maps.shown("lab-1", means, version=number).map.units for number in (0, 1, 2)] == [(), (), (SPELLED,)]
    with pytest.raises(NotFound):
        source_maps.shown("lab-1", means, version=3)


def test_a_map_that_contradicts_the_catalogue_is_refused_and_nothing_of_it_kept(put, means):
    put(HGB)

    with pytest.raises(BadInput) as refused:
        put(HGB, MappedCode(system="LN", code="17861-6", analyte="hemoglobin"))

    assert [fault.code for fault in refused.value.faults] == ["contradicts-catalogue"]
    assert source_maps.shown("lab-1", means).map.version == 1


def test_whoever_wishes_to_replace_another_version_is_told_which_is_the_newest(means, put):
    put(HGB)
    wanted = SourceMap(name="lab-1", codes=(NAMED,))

    with pytest.raises(Stale) as refused:
        set_map(wanted, means, now=NOW, wish=lambda version: version == 0)

    assert refused.value.version == 1
    assert source_maps.shown("lab-1", means).map.codes == (HGB,)


def test_all_who_set_it_at_once_are_kept_one_after_the_other(means):
    wanted = [SourceMap(name="lab-1", codes=(replace(HGB, code=f"H{number}"),)) for number in range(4)]

    with ThreadPoolExecutor(4) as threads:
        done = list(threads.map(lambda one: set_map(one, means, now=NOW), wanted))

    assert sorted(one.kept.map.version for one in done) == [1, 2, 3, 4]


def test_a_map_of_another_catalogue_is_used_as_far_as_this_one_allows(sender, means, put, database):
    put(HGB, SPELLED)
    body = {
        "zone": None,
        "codes": [
            {"system": LOCAL, "code": "HGB", "analyte": "hemoglobin"},
            {"system": LOCAL, "code": "X", "analyte": "gone"},
            {"system": "LN", "code": "17861-6", "analyte": "hemoglobin"},
        ],
        "units": [{"analyte": "gone", "spelling": "x", "unit": "y"}],
    }
    with database.transaction() as connection:
        connection.execute(update(source_map_rows).values(body=body))

    receipt = sender.send(panel(coded("9.1", "g/dL"), coded("9.1", "g/dL", code="X"), calcium("11.9", code="17861-6")))

    assert outcomes(receipt) == [("flagged", None), ("not_judged", "code_unmapped"), ("flagged", None)]


def test_the_zone_of_a_source_is_that_of_its_map(put, means):
    assert zone_of("lab-1", means) is None

    put(zone="Europe/Vienna")

    assert str(zone_of("lab-1", means)) == "Europe/Vienna"


# --------------------------------------------------------------------------------------------------- only where needed
def test_where_the_catalogue_knows_everything_no_map_is_looked_at(sender, put, means, monkeypatch):
    put(HGB)
    asked = []
    monkeypatch.setattr(source_maps, "in_force", lambda *given: asked.append(given))

    sender.send(panel(calcium("11.9"), hemoglobin("9.1", reference_range={"low": "12"})))

    assert asked == []


def test_the_map_of_a_source_is_read_once_for_many_panels(sender, put, means, monkeypatch):
    put(HGB)
    asked, find = [], source_maps.source_maps.find
    monkeypatch.setattr(source_maps, "time", _Clock(at := [100.0]))
    monkeypatch.setattr(
        source_maps.source_maps, "find", lambda *given: asked.append(at[0]) or find(*given)
    )  # fmt: skip

    for number, moment in enumerate((100.0, 100.5, 100.9, 101.1)):
        at[0] = moment
        sender.send(panel(coded("9.1", "g/dL"), on=number))

    assert asked == [100.0, 101.1]


class _Clock:
    def __init__(self, at):
        self._at = at

    def monotonic(self):
        return self._at[0]


def test_when_the_map_cannot_be_read_nothing_is_taken_in_without_it(sender, means, database, monkeypatch):
    def away(*_):
        raise Unavailable("the database cannot be reached")

    monkeypatch.setattr(source_maps.source_maps, "find", away)
    lines = b"\n".join(
        [
            encoded(panel(calcium("11.9"))),
            encoded(panel(coded("9.1", "g/dL"), on=1)),
            encoded(panel(calcium("9"), on=2)),
        ]
    )
    message = Message(body=b"", content_type="x", source="lab-1", received_at=NOW)

    with pytest.raises(Unavailable):
        sender.send(panel(coded("9.1", "g/dL")))
    answered = [
        one
        for some in take_in_all(ndjson.read(BytesIO(lines), now=NOW), message, means, clock=lambda: NOW)
        for one in some
    ]

    assert [one.receipt is not None for one in answered] == [True, False]
    assert answered[1].halted is not None
    assert len(kept(database)["panels"]) == 1


@settings(max_examples=30)
@given(
    st.lists(
        st.one_of(
            st.builds(coded, st.sampled_from(["9.1", "13.1", "x"]), st.sampled_from(["g/dL", "gr/dl", ""])),
            st.builds(calcium, st.sampled_from(["9.1", "11.9"])),
            st.builds(result, st.just("HGB-X"), st.just("7"), st.just("g/L")),
        ),
        min_size=1,
        max_size=4,
        unique_by=lambda one: one.get("analyte", "code"),
    )
)
def test_with_a_map_that_says_nothing_everything_is_as_without_one(catalogue, brought):
    message = Message(body=b"", content_type="x", source="lab-1", received_at=NOW)
    means = Means(database=None, catalogue=catalogue, maps={"lab-1": (float("inf"), SourceMap(name="lab-1"))})
    sent = {**panel(), "results": [one if one["value"] != "x" else one | {"value": "1"} for one in brought]}
    read = native.read(encoded(sent), now=NOW)

    found = order(read, message, means)

    assert found.panel is read
