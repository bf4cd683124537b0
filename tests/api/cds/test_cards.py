"""Cards: from what is held, from what the client looked up, from both as one; and what could not be judged."""

import csv
import re
from itertools import groupby
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from sqlalchemy import select

from service.storage.tables_cds import cds_cards
from tests.api.cds.speak import INSTANCE, SERVER, asked, cards, hold, labs, look, post, refused, result, told
from tests.flows.build import NOW, calcium, hemoglobin, kept, platelets
from tests.flows.build import result as held_result
from tests.formats.fhir.build import concept, observation, patient, quantity

FAILED = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "exception"}]}
CALCIUM = result("calcium", 11.4, "mg/dL", referenceRange=[{"high": quantity(10.3)}])


# ------------------------------------------------------------------------------------------------- the table of cards
def parts(cell):
    """``calcium 11.9 mg/dL @1 preliminary``: analyte, value, unit, day, and a status where there is one."""
    for one in filter(None, (part.strip() for part in cell.split(";"))):
        analyte, value, unit, on, *status = one.split()
        yield analyte, value, unit, float(on.removeprefix("@")), status[0] if status else "final"


def in_store(cell):
    found = sorted(parts(cell), key=lambda part: part[3])
    for on, group in groupby(found, key=lambda part: part[3]):
        yield on, [held_result(analyte, value, unit, status=status) for analyte, value, unit, _, status in group]


def looked_up(cell):
    if cell in {"absent", "failed", "null"}:
        return {"absent": ..., "failed": FAILED, "null": None}[cell]
    found = (
        result(analyte, float(value), unit, on=on, status=status) for analyte, value, unit, on, status in parts(cell)
    )
    return labs(*found)


def table():
    with (Path(__file__).parent / "cards.csv").open(encoding="utf-8", newline="") as file:
        for number, line in enumerate(csv.DictReader(file, strict=True), start=2):
            yield pytest.param(line, id=f"{number} {line['because']}")


@pytest.mark.parametrize("line", [*table()])
def test_what_is_held_and_what_was_looked_up_make_these_cards(line, means, bedside):
    for on, results in in_store(line["held"]):
        hold(means, *results, on=on)

    answer = post(bedside, asked(prefetch={"labs": looked_up(line["looked_up"])}))

    if line["cards"] == "412":
        assert refused(answer, 412)[0][1] == "prefetch.labs"
        return
    expected = [tuple(one.strip().split(" ", 1)) for one in line["cards"].split(";") if one.strip()]
    assert told(cards(answer)) == expected


# --------------------------------------------------------------------------------------------------------- one card
def test_a_card_says_what_why_and_where_to_read_on(means, bedside):
    flag = hold(means, calcium("11.4", reference_range={"high": "10.3"})).flags[0].flag.id

    (card,) = look(bedside)

    assert card["summary"] == "Possible hypercalcemia: calcium 11.4 mg/dL (limit 10.3), 1 Nov 2026"
    assert card["indicator"] == "warning"
    assert card["detail"].split("\n\n")[:3] == [
        "**Why:** 11.4 mg/dL is above 10.3 mg/dL, the laboratory's upper limit.",
        "**Severity:** mild (CTCAE v5.0 grade 1).",
        "**Not considered:** albumin, of which this collection has no result that could be used.",
    ]
    assert card["detail"].endswith(means.catalogue.intended_use)
    assert card["source"] == {
        "label": "Lab alert rules",
        "url": "https://alerts.example/v1/rulesets/blood-findings-1",
        "topic": {"system": "urn:lab-alerts:finding", "code": "hypercalcemia", "display": "Possible hypercalcemia"},
    }
    assert card["links"] == [
        {"label": "The flag, explained", "url": f"https://alerts.example/flags/{flag}", "type": "absolute"}
    ]
    system = "http://terminology.hl7.org/CodeSystem/non-adherence-reason-codes"
    assert {"system": system, "code": "action-completed", "display": "Already dealt with"} in card["overrideReasons"]


def test_the_page_that_a_card_links_to_is_there(means, bedside, client):
    hold(means, calcium("11.4"))

    url = look(bedside)[0]["links"][0]["url"]

    assert client.get(url.removeprefix("https://alerts.example").replace("/flags", "/v1/flags")).status_code == 200


def test_without_a_public_address_links_lead_to_the_address_that_was_called(means, policy, doors):
    policy()
    hold(means, calcium("11.4"))

    (card,) = look(doors.without_key())

    assert card["links"][0]["url"].startswith("http://localhost/flags/flg_")


def test_a_finding_that_only_the_client_knows_has_a_card_without_a_flag(bedside):
    (card,) = look(bedside, labs=labs(CALCIUM))

    assert card["summary"] == "Possible hypercalcemia: calcium 11.4 mg/dL (limit 10.3), 1 Nov 2026"
    assert "links" not in card


def test_the_corrected_calcium_is_shown_beside_the_total_one(means, bedside):
    hold(means, calcium("11.4"), held_result("albumin", "30", "g/L"))

    (card,) = look(bedside)

    assert "calcium corrected for albumin would be 12.20 mg/dL (albumin 30 g/L)" in card["detail"].replace("\\", "")
    assert "Not considered" not in card["detail"]


def test_a_card_says_since_when_a_finding_stands_and_how_bad_it_was(means, bedside):
    hold(means, hemoglobin("6.5"), on=1)
    hold(means, hemoglobin("9.5", status="preliminary"), on=3)

    (card,) = look(bedside)

    assert "**Stands since:** 2 Nov 2026; the worst since then was critical." in card["detail"]
    assert "**Preliminary:**" in card["detail"]
    assert card["summary"].endswith("4 Nov 2026")


def test_a_severity_that_may_be_worse_says_at_least(bedside):
    less = quantity(75, "10*9/L", comparator="<")

    (card,) = look(bedside, labs=labs(result("platelets", 1, "10*9/L", valueQuantity=less)))

    assert "platelets <75 10*9/L" in card["summary"]
    assert "**Severity:** at least moderate" in card["detail"]


def test_a_newer_result_that_clears_a_flag_of_ours_is_told_on_its_card(means, bedside):
    hold(means, hemoglobin("6.5"), on=1)

    (card,) = look(bedside, labs=labs(result("hemoglobin", 13.0, "g/dL", on=4)))

    assert card["indicator"] == "info"
    assert "**Newer:** a result of 5 Nov 2026 that came with this call no longer shows it." in card["detail"]


def test_one_finding_that_both_show_is_told_by_the_newer_result_and_linked_to_our_flag(means, bedside):
    flag = hold(means, hemoglobin("9.5"), on=1).flags[0].flag.id

    (card,) = look(bedside, labs=labs(result("hemoglobin", 6.5, "g/dL", on=4)))

    assert card["summary"].startswith("Possible anemia: hemoglobin 6.5 g/dL")
    assert card["indicator"] == "critical"
    assert card["links"][0]["url"].endswith(flag)
    assert "**Stands since:** 2 Nov 2026." in card["detail"]


def test_every_hook_has_the_same_cards(means, bedside):
    hold(means, calcium("11.4"))

    for service in ("lab-flags", "lab-flags-order-select", "lab-flags-order-sign", "lab-flags-encounter-start"):
        assert told(look(bedside, service=service)) == [("warning", "hypercalcemia")]


# ------------------------------------------------------------------------------------------------------ what is kept
def test_nothing_that_was_looked_up_is_kept_but_which_cards_were_shown(means, bedside, database):
    before = kept(database)

    (card,) = look(bedside, labs=labs(CALCIUM))

    after = kept(database)
    assert {name for name in after if after[name] != before[name]} == {"cds_cards"}
    with database.reading() as connection:
        (row,) = connection.execute(select(cds_cards))
    assert (row.id, row.service, row.instance, row.indicator) == (card["uuid"], "lab-flags", INSTANCE, "warning")
    assert (row.finding, row.severity, row.ruleset, row.rule) == (
        "hypercalcemia", "mild", "blood-findings-1", "hypercalcemia-total",
    )  # fmt: skip
    assert row.flag_id is None


def test_a_card_of_a_flag_is_linked_to_it(means, bedside, database):
    flag = hold(means, calcium("11.4")).flags[0].flag.id

    look(bedside)

    with database.reading() as connection:
        assert connection.execute(select(cds_cards.c.flag_id)).scalars().all() == [flag]


def test_the_same_call_again_shows_cards_of_their_own(means, bedside):
    hold(means, calcium("11.4"))

    assert look(bedside)[0]["uuid"] != look(bedside)[0]["uuid"]


# ------------------------------------------------------------------------------------------------------- who it is
@pytest.mark.parametrize(
    ("authority", "identifier"), [("urn:oid:1.2.3", "88204113"), ("urn:oid:9", "S-1"), (SERVER, "p-1")]
)
def test_a_patient_is_found_by_each_identifier_and_by_the_id_on_the_clients_server(
    authority, identifier, means, bedside
):
    hold(means, calcium("11.4"), patient={"id": identifier, "authority": authority})
    names = [{"system": "urn:oid:1.2.3", "value": "88204113"}, {"system": "urn:oid:9", "value": "S-1"}]

    found = look(bedside, patient=patient(identifier=names))

    assert told(found) == [("warning", "hypercalcemia")]


def test_an_identifier_without_a_system_is_one_of_the_callers_source(means, bedside):
    hold(means, calcium("11.4"), patient={"id": "77", "authority": "cds-hooks"})

    found = look(bedside, patient=patient(identifier=[{"value": "77"}]))

    assert told(found) == [("warning", "hypercalcemia")]


def test_what_is_held_under_two_names_of_one_patient_is_one_picture(means, bedside):
    hold(means, calcium("11.4"), on=1, patient={"id": "p-1", "authority": SERVER})
    hold(means, calcium("12.0"), platelets("60"), on=2)

    found = look(bedside)

    assert told(found) == [
        ("warning", "hypercalcemia"), ("warning", "thrombocytopenia"), ("info", "pattern"),
    ]  # fmt: skip
    assert "**Stands since:** 2 Nov 2026" in found[0]["detail"]


def test_somebody_else_with_the_same_identifier_of_another_authority_is_not_shown(means, bedside):
    hold(means, calcium("11.4"), patient={"id": "88204113", "authority": "another-hospital"})

    assert look(bedside) == []


def test_a_result_of_somebody_else_among_those_looked_up_is_not_judged_and_told(bedside):
    other = result("hemoglobin", 6.5, "g/dL", subject={"reference": "Patient/p-2"})

    found = look(bedside, labs=labs(CALCIUM, other))

    assert told(found) == [("warning", "hypercalcemia"), ("info", "not judged")]
    assert "- `prefetch.labs.entry[1].resource.subject`: is not the patient" in found[1]["detail"]
    assert "6.5" not in str(found)


def test_facts_of_the_patient_choose_the_limits(bedside):
    low = result("hemoglobin", 12.5, "g/dL")

    as_man = look(bedside, patient=patient(gender="male"), labs=labs(low))
    as_woman = look(bedside, patient=patient(gender="female"), labs=labs(low))

    assert (told(as_man), told(as_woman)) == ([("warning", "anemia")], [])


# ------------------------------------------------------------------------------------------------- what is lacking
@pytest.mark.parametrize(
    ("prefetch", "places"),
    [
        ({"labs": ...}, [("required", "prefetch.labs")]),
        ({"labs": FAILED}, [("not-found", "prefetch.labs")]),
        ({"labs": {**labs(), "type": "odd"}}, [("not-supported", "prefetch.labs.type")]),
        ({"labs": "Observation"}, [("structure", "prefetch.labs")]),
        ({"labs": labs(observation(status="nonsense"))}, [("code-invalid", "prefetch.labs.entry[0].resource.status")]),
        ({"patient": ...}, [("required", "prefetch.patient")]),
        ({"patient": None}, [("required", "prefetch.patient")]),
        ({"patient": FAILED}, [("not-found", "prefetch.patient")]),
        ({"patient": patient(id="p-2")}, [("conflict", "prefetch.patient")]),
        ({"patient": patient(gender="w")}, [("code-invalid", "prefetch.patient.gender")]),
        ({"patient": ..., "labs": ...}, [("required", "prefetch.patient"), ("required", "prefetch.labs")]),
    ],
)
def test_what_is_needed_and_is_neither_there_nor_held_is_named(prefetch, places, bedside):
    sent = asked(prefetch={"labs": labs(CALCIUM), **prefetch})

    answer = post(bedside, sent)

    # Without the patient the others' subjects are still those of the context.
    assert refused(answer, 412) == places


def test_what_did_not_come_is_not_needed_of_somebody_who_is_held(means, bedside):
    hold(means, calcium("11.4"), patient={"id": "p-1", "authority": SERVER})

    assert told(look(bedside, patient=..., labs=...)) == [("warning", "hypercalcemia")]


def test_what_came_and_cannot_be_read_is_told_even_of_somebody_who_is_held(means, bedside):
    hold(means, calcium("11.4"), patient={"id": "p-1", "authority": SERVER})

    found = look(bedside, patient=FAILED, labs=FAILED)

    assert told(found) == [("warning", "hypercalcemia"), ("info", "not judged")]
    assert "- `prefetch.patient`: could not be looked up by the client" in found[1]["detail"]
    assert "- `prefetch.labs`: could not be looked up by the client" in found[1]["detail"]


def test_a_result_that_could_not_be_judged_is_said_with_the_reason(bedside):
    odd = result("hemoglobin", 9.1, "g/dL", valueQuantity={"value": 9.1, "unit": "furlongs"})

    (card,) = look(bedside, labs=labs(odd))

    assert (card["indicator"], card["summary"]) == ("info", "Could not be judged: hemoglobin")
    assert card["detail"].startswith("**Could not be judged:**\n\n- hemoglobin, 1 Nov 2026: ")
    assert "furlongs" in card["detail"]


def test_results_of_which_none_can_be_judged_here_are_not_met_with_silence(bedside):
    local = observation(concept("HGB", "urn:local"), category=None)

    (card,) = look(bedside, labs=labs(local))

    assert "none of the results that came with this call names an analyte that is judged here" in card["detail"]


def test_what_nobody_judges_beside_what_was_judged_is_not_told(bedside):
    sodium = observation("2951-2", id="na", valueQuantity=quantity(140, "mmol/L"))

    assert look(bedside, labs=labs(sodium, result("calcium", 9.5, "mg/dL"))) == []


def test_local_codes_are_read_by_the_map_of_the_callers_source(means, bedside, doors):
    code = {"system": "urn:local", "code": "HGB", "analyte": "hemoglobin"}
    setter = doors.with_scopes("sources:write")
    assert setter.put("/v1/sources/cds-hooks", json={"codes": [code]}).status_code == 201
    local = observation(concept("HGB", "urn:local"), valueQuantity=quantity(6.5, "g/dL"))

    assert told(look(bedside, labs=labs(local))) == [("critical", "anemia")]


def test_a_page_without_results_that_goes_on_is_not_taken_for_none(bedside):
    more = [{"relation": "next", "url": f"{SERVER}?page=2"}]

    assert look(bedside, labs=labs()) == []
    assert told(look(bedside, labs=labs(link=more))) == [("info", "not judged")]


def test_of_several_versions_of_a_result_the_one_that_counts_is_judged(bedside):
    wrong = result("calcium", 13.6, "mg/dL", id="same", issued="2026-11-01T10:00:00Z")
    mended = result("calcium", 9.6, "mg/dL", id="same", issued="2026-11-01T11:00:00Z", status="corrected")

    assert look(bedside, labs=[wrong, mended]) == []
    assert look(bedside, labs=[mended, wrong]) == []


# --------------------------------------------------------------------------------------------------------- hostile
HOSTILE = (
    "</p><script>alert(1)</script> [x](http://evil.example) `c` **b** \u202e![i](//e.example/p.png)\nwww.evil.example"
)


def test_nothing_from_outside_becomes_markup_or_a_link(bedside):
    odd = result("hemoglobin", 9.1, "g/dL", valueQuantity={"value": 9.1, "unit": HOSTILE})

    (card,) = look(bedside, labs=labs(odd))

    page = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(card["detail"])
    assert "alert" in page
    assert set(re.findall(r"</?(\w+)", page)) == {"p", "strong", "ul", "li"}
    assert not re.search(r"\w:/|www\.\w|\.example|\u202e", page)


def test_a_cards_clock_is_that_of_the_service(means, bedside, database):
    hold(means, calcium("11.4"))

    look(bedside)

    with database.reading() as connection:
        shown = connection.execute(select(cds_cards.c.shown_at)).scalar_one()
    assert shown.replace(second=0, microsecond=0) == NOW
