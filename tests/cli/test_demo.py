"""What somebody who looks at the demo is promised: the same for a seed and a day, nothing twice, and every story shown.

Law: every promise is held for more than one seed, and read from what intake kept.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import time_machine
from click.testing import CliRunner, Result
from sqlalchemy import select

from service.catalogue.load import Catalogue
from service.cli import main
from service.flows.demo.load import Loaded, load
from service.flows.demo.pen import LAST, name_of
from service.flows.demo.stories import STORIES, sendings
from service.flows.means import Means
from service.storage.database import Database
from service.storage.overview import Overview
from service.storage.tables import episodes, flags, patients, results, verdicts
from tests.flows.build import NOW, Sender, calcium, kept, panel

YESTERDAY = datetime(2026, 11, 19, 8, tzinfo=UTC)
OSTEOLYTIC, OSTEOBLASTIC, CHEMOTHERAPY, CHILD, PREGNANCY, CORRECTED, IN_ERROR, UNIT_SLIP, PRELIMINARY = range(1, 10)
SEX_LATE, IONIZED, WELL = range(10, 13)


@dataclass(frozen=True)
class Demo:
    """A demo that was loaded, and ways to look at one patient of it."""

    database: Database
    loaded: Loaded

    def line(self, number: int) -> Overview:
        return self.loaded.lines[number - 1].held

    def flags(self, number: int, finding: str) -> list[Any]:
        return self._rows(flags, number, flags.c.finding == finding, order=flags.c.collected_at)

    def episodes(self, number: int, finding: str) -> list[Any]:
        return self._rows(episodes, number, episodes.c.finding == finding, order=episodes.c.opened_at)

    def verdicts(self, number: int, analyte: str) -> list[Any]:
        """The verdict in force on every version of a result, by time of collection."""
        same = (verdicts.c.result_id == results.c.id) & (verdicts.c.result_version == results.c.version)
        joined = verdicts.join(results, same & (verdicts.c.patient_id == results.c.patient_id))
        told = (verdicts.c.current, results.c.collected_at, verdicts.c.outcome, verdicts.c.reason, verdicts.c.why)
        wanted = select(*told).select_from(joined.join(patients, patients.c.id == results.c.patient_id))
        wanted = wanted.where(patients.c.identifier == name_of(number), results.c.analyte == analyte)
        with self.database.reading() as connection:
            return list(connection.execute(wanted.order_by(results.c.collected_at, verdicts.c.judged_at)))

    def outcomes(self, number: int, analyte: str) -> list[tuple[str, str | None]]:
        return [(row.outcome, row.reason) for row in self.verdicts(number, analyte) if row.current]

    def _rows(self, table: Any, number: int, *wanted: Any, order: Any) -> list[Any]:
        joined = table.join(patients, patients.c.id == table.c.patient_id)
        statement = select(table).select_from(joined).where(patients.c.identifier == name_of(number), *wanted)
        with self.database.reading() as connection:
            return list(connection.execute(statement.order_by(order)))


@pytest.fixture(scope="module", params=[1, 261_120])
def demo(
    request: pytest.FixtureRequest, migrated_file: Path, catalogue: Catalogue, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Demo]:
    path = tmp_path_factory.mktemp("demo") / "demo.db"
    shutil.copy(migrated_file, path)
    database = Database.open(f"sqlite:///{path}")
    loaded = load(Means(database=database, catalogue=catalogue), seed=request.param, patients=13, now=NOW)
    yield Demo(database=database, loaded=loaded)
    database.close()


def test_the_same_seed_and_day_give_the_same_panels_and_another_seed_others():
    first, again, other = (sendings(seed, 12, YESTERDAY) for seed in (1, 1, 2))

    assert again == first
    assert [one.panel for one in other] != [one.panel for one in first]


def test_a_patient_is_the_same_however_many_there_are():
    few, many = (sendings(1, number, YESTERDAY) for number in (3, 12))

    assert [one for one in many if one.panel["patient"]["id"] <= "demo-03"] == few


def test_nobody_in_it_could_be_taken_for_somebody():
    for one in sendings(7, 20, YESTERDAY):
        assert one.panel["patient"]["authority"] == "demo"
        assert one.panel["patient"]["id"].startswith("demo-")
        assert "name" not in one.panel["patient"]
        assert one.panel["accession"].startswith("DEMO-7-")
        assert one.panel["note"].startswith("synthetic")


def test_it_spans_two_years_up_to_yesterday(demo):
    collected = [datetime.fromisoformat(one.panel["collected_at"]) for one in sendings(1, 12, YESTERDAY)]

    assert (min(collected), max(collected)) == (YESTERDAY - timedelta(days=LAST), YESTERDAY)
    assert demo.loaded.last == YESTERDAY
    assert all(one.received_at < NOW for one in sendings(1, 12, YESTERDAY))


def test_every_story_is_told_and_beyond_them_everybody_is_well(demo):
    assert [line.title for line in demo.loaded.lines] == [*(story.title for story in STORIES), STORIES[-1].title]
    assert [line.held.patient for line in demo.loaded.lines] == [name_of(number) for number in range(1, 14)]
    assert sum(line.held.panels for line in demo.loaded.lines) == demo.loaded.new
    assert demo.loaded.known == 0


def test_a_second_time_adds_nothing(means, database):
    first = load(means, seed=1, patients=7, now=NOW)
    before = kept(database)

    second = load(means, seed=1, patients=7, now=NOW + timedelta(hours=3))

    assert kept(database) == before
    assert (second.new, second.known) == (0, first.new)
    assert second.lines == first.lines


@pytest.mark.parametrize("kind", ["sqlite"])
def test_on_another_day_the_one_that_is_held_is_completed(means, database):
    first = load(means, seed=1, patients=1, now=NOW)

    later = load(means, seed=1, patients=2, now=NOW + timedelta(days=40))

    assert (later.last, later.known) == (first.last, first.new)
    assert [line.held.panels for line in later.lines] == [first.new, later.new]


@pytest.mark.parametrize("kind", ["sqlite"])
def test_patients_of_others_are_left_alone(means, database):
    Sender(means).send(panel(calcium("11.9")))

    loaded = load(means, seed=1, patients=1, now=NOW)

    assert [line.held.patient for line in loaded.lines] == ["demo-01"]


def test_osteolytic_calcium_rises_late_and_ends_in_an_open_critical_hypercalcemia(demo):
    raised = demo.flags(OSTEOLYTIC, "hypercalcemia")
    (episode,) = (one for one in demo.episodes(OSTEOLYTIC, "hypercalcemia") if one.state == "open")

    assert all(flag.collected_at > YESTERDAY - timedelta(days=182) for flag in raised)
    assert (episode.level, episode.last_at) == ("critical", YESTERDAY)
    assert {"anemia", "hypercalcemia", "raised_alp"} < set(demo.line(OSTEOLYTIC).open_findings)


def test_osteoblastic_alp_rises_flares_after_the_treatment_and_falls(demo):
    raised = demo.flags(OSTEOBLASTIC, "raised_alp")
    begun = YESTERDAY - timedelta(days=LAST - 392)
    level = {flag.collected_at: Decimal(flag.why.split(" ")[0]) for flag in raised}

    assert level[begun + timedelta(days=28)] >= level[begun] * 12 / 10
    assert level[YESTERDAY] < level[begun]
    assert raised[-1].severity == "mild"
    assert any(flag.severity == "moderate" for flag in raised)
    assert demo.flags(OSTEOBLASTIC, "hypercalcemia") == []


def test_chemotherapy_has_a_nadir_every_three_weeks_and_each_recovers(demo):
    for finding in ("thrombocytopenia", "anemia"):
        found = demo.episodes(CHEMOTHERAPY, finding)

        assert [one.state for one in found] == ["resolved"] * len(found)
        nadirs = [flag.collected_at for flag in demo.flags(CHEMOTHERAPY, finding)]
        apart = {later - earlier for earlier, later in pairwise(nadirs)}
        assert (len(nadirs), apart) == (6, {timedelta(days=21)})


def test_the_alp_of_a_child_is_clear_by_limits_of_its_own(demo):
    found = demo.verdicts(CHILD, "alkaline_phosphatase")

    assert {row.outcome for row in found} == {"clear"}
    assert any("the upper limit for children 1 to 9 years" in row.why for row in found)
    assert demo.line(CHILD).flags == {}


def test_a_pregnancy_is_clear_by_its_trimesters_and_its_alp_is_not_judged(demo):
    hemoglobin, alp = (demo.verdicts(PREGNANCY, analyte) for analyte in ("hemoglobin", "alkaline_phosphatase"))

    assert demo.line(PREGNANCY).flags == {}
    assert {row.outcome for row in hemoglobin} == {"clear"}
    for trimester in ("first", "second", "third"):
        assert any(f"pregnancy, {trimester} trimester" in row.why for row in hemoglobin)
    assert [row.reason for row in alp] == [None] * 3 + ["no_reference_interval"] * 6 + [None]


def test_a_corrected_result_superseded_its_flag(demo):
    (flag,) = demo.flags(CORRECTED, "thrombocytopenia")

    assert (flag.severity, flag.state) == ("severe", "superseded")
    assert demo.line(CORRECTED).taken_back == 1
    assert demo.line(CORRECTED).open_findings == ()


def test_what_was_entered_in_error_is_withdrawn(demo):
    taken_back = [*demo.flags(IN_ERROR, "hypercalcemia"), *demo.flags(IN_ERROR, "anemia")]

    assert [(flag.severity, flag.state) for flag in taken_back] == [("critical", "withdrawn"), ("severe", "withdrawn")]
    assert demo.line(IN_ERROR).flags == {}
    assert demo.line(IN_ERROR).open_findings == ()


def test_a_slip_of_the_unit_is_held_and_flags_nothing(demo):
    hemoglobin = demo.verdicts(UNIT_SLIP, "hemoglobin")

    assert [row.reason for row in hemoglobin].count("implausible") == 2
    assert ("not_judged", "implausible") in demo.outcomes(UNIT_SLIP, "hemoglobin")
    assert ("not_judged", "unit_unknown") in demo.outcomes(UNIT_SLIP, "platelets")
    assert (demo.line(UNIT_SLIP).flags, demo.line(UNIT_SLIP).taken_back) == ({}, 0)


def test_a_comparator_is_judged_where_all_of_it_agrees_and_a_preliminary_result_becomes_final(demo):
    *_, provisional, final = demo.flags(PRELIMINARY, "thrombocytopenia")

    assert demo.outcomes(PRELIMINARY, "platelets")[-2:] == [("not_judged", "comparator_indefinite"), ("flagged", None)]
    assert {(flag.state, flag.provisional) for flag in (provisional, final)} == {("superseded", True), ("open", False)}
    assert {flag.severity for flag in (provisional, final)} == {"critical"}


def test_a_sex_that_becomes_known_late_judges_all_of_it_again(demo):
    hemoglobin = demo.verdicts(SEX_LATE, "hemoglobin")

    assert [row.reason for row in hemoglobin if not row.current] == ["between_limits"] * 8
    assert {row.outcome for row in hemoglobin if row.current} == {"flagged"}
    assert set(demo.outcomes(SEX_LATE, "alkaline_phosphatase")) == {("clear", None)}
    assert demo.line(SEX_LATE).open_findings == ("anemia",)


def test_an_ionized_calcium_decides_over_the_total(demo):
    (episode,) = demo.episodes(IONIZED, "hypercalcemia")

    assert episode.state == "resolved"
    assert set(demo.outcomes(IONIZED, "calcium")[-3:]) == {("not_judged", "precedence")}
    assert set(demo.outcomes(IONIZED, "calcium_ionized")) == {("clear", None)}


@pytest.mark.parametrize("number", [WELL, WELL + 1])
def test_a_well_patient_is_clear_throughout(demo, number):
    for analyte in ("hemoglobin", "platelets", "calcium", "alkaline_phosphatase"):
        assert demo.outcomes(number, analyte) == [("clear", None)] * 9


def run(*arguments: str) -> Result:
    with time_machine.travel(NOW):
        return CliRunner().invoke(main, ["demo", *arguments])


@pytest.fixture
def at_hand(address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("LAB_ALERTS_DATABASE_URL", address.replace("postgresql+psycopg", "postgresql"))
    return address


@pytest.mark.parametrize("kind", ["sqlite"])
def test_the_command_prints_each_patient_and_a_request_to_look_at_one(at_hand):
    first, second = run("--patients", "1"), run("--patients", "1")

    assert first.exit_code == 0, first.output
    assert "demo-01" in first.output
    assert "1 critical" in first.output
    assert "27 panels loaded. The last collection is of 2026-11-19." in first.output
    assert "0 panels loaded; 27 were held already." in second.output
    assert "curl -sS http://127.0.0.1:8000/v1/patients/demo-01/flags" in first.output


@pytest.mark.parametrize("kind", ["sqlite"])
def test_a_demo_of_another_seed_is_refused_with_the_one_that_is_held(at_hand):
    run("--patients", "1", "--seed", "5")

    refused = run("--patients", "1")

    assert refused.exit_code == 1
    assert "the demo of another seed is held (use --seed 5, or another database)" in refused.output


@pytest.mark.parametrize("kind", ["sqlite"])
def test_the_command_needs_tables_and_says_how_to_get_them(bare_address, monkeypatch):
    monkeypatch.setenv("LAB_ALERTS_DATABASE_URL", bare_address)

    assert "run lab-alerts migrate first" in run().output
