"""The life of a result: first, repeated, corrected, withdrawn, late; told and kept as one."""

import pytest

from service.flows.means import Means
from tests.flows.build import (
    NOW,
    WOMAN,
    Sender,
    alp,
    calcium,
    day,
    episode_rows,
    events,
    flag_states,
    hemoglobin,
    kept,
    outcomes,
    panel,
    platelets,
    result,
    row_counts,
    told,
)


@pytest.fixture
def sender(means):
    return Sender(means)


def test_a_first_panel_is_judged_kept_and_told(sender, database):
    receipt = sender.send(panel(calcium("11.9"), hemoglobin("13.5"), result("calcium", "9", "furlong", id="R-1")))

    assert outcomes(receipt) == [("flagged", None), ("clear", None), ("not_judged", "unit_unknown")]
    assert told(receipt) == [("raised", "hypercalcemia")]
    assert flag_states(database) == [("hypercalcemia", "moderate", "open")]
    assert episode_rows(database) == {("hypercalcemia", "open", "moderate", "moderate", day(0), day(0), None)}
    counts = row_counts(database)
    assert (counts["inbox"], counts["patients"], counts["panels"], counts["results"], counts["verdicts"]) == (
        1,
        1,
        1,
        3,
        3,
    )


def test_the_bytes_are_kept_as_they_came(sender, database):
    sender.send(panel(calcium("11.90")))

    (message,) = kept(database)["inbox"]
    assert any(isinstance(cell, bytes) and b'"11.90"' in cell for cell in message)


def test_a_duplicate_changes_nothing_and_is_answered_like_the_first(sender, database):
    sent = panel(calcium("11.9"), hemoglobin("9.1"))
    first = sender.send(sent)
    before = kept(database)

    second = sender.send(sent)

    assert kept(database) == before
    assert (second.id, second.duplicate, second.told) == (first.id, True, ())
    assert outcomes(second) == outcomes(first)
    assert {one.flag.id for one in second.flags} == {one.flag.id for one in first.flags}


def test_a_corrected_result_supersedes_its_flag(sender, database):
    first = sender.send(panel(calcium("11.9")))

    second = sender.send(panel(calcium("13.2"), status="corrected"))

    assert flag_states(database) == [("hypercalcemia", "moderate", "superseded"), ("hypercalcemia", "critical", "open")]
    assert told(second) == [("superseded", "hypercalcemia"), ("escalated", "hypercalcemia")]
    assert (second.told[0].flag, second.told[0].by) == (first.flags[0].flag.id, second.flags[0].flag.id)
    assert episode_rows(database) == {("hypercalcemia", "open", "critical", "critical", day(0), day(0), None)}


def test_a_correction_to_a_clear_value_supersedes_the_flag_and_ends_its_episode(sender, database):
    sender.send(panel(calcium("11.9")))

    second = sender.send(panel(calcium("9.9"), status="corrected"))

    assert flag_states(database) == [("hypercalcemia", "moderate", "superseded")]
    assert told(second) == [("superseded", "hypercalcemia")]
    assert [row[1] for row in episode_rows(database, ["open", "resolved", "withdrawn", "merged"])] == ["withdrawn"]


@pytest.mark.parametrize("status", ["entered-in-error", "cancelled"])
def test_a_result_that_is_taken_back_withdraws_its_flag(sender, database, status):
    first = sender.send(panel(calcium("11.9")))

    second = sender.send(panel(calcium("11.9"), status=status))

    assert flag_states(database) == [("hypercalcemia", "moderate", "withdrawn")]
    assert told(second) == [("withdrawn", "hypercalcemia")]
    assert second.told[0].flag == first.flags[0].flag.id
    assert outcomes(second) == [("not_judged", status.replace("-", "_"))]
    assert episode_rows(database) == set()


def test_a_worse_result_escalates_the_same_episode(sender, database):
    sender.send(panel(calcium("11.0")))

    second = sender.send(panel(calcium("12.9"), on=1))

    assert told(second) == [("escalated", "hypercalcemia")]
    assert episode_rows(database) == {("hypercalcemia", "open", "severe", "severe", day(0), day(1), None)}


def test_a_repeat_at_the_same_level_adds_to_the_episode(sender, database):
    sender.send(panel(calcium("11.0")))

    second = sender.send(panel(calcium("11.1"), on=1))

    assert told(second) == [("repeated", "hypercalcemia")]
    assert row_counts(database)["episodes"] == 1


def test_a_clear_result_resolves_the_episode_and_its_flags(sender, database):
    sender.send(panel(calcium("11.9")))

    second = sender.send(panel(calcium("9.9"), on=2))

    assert told(second) == [("resolved", "hypercalcemia")]
    assert flag_states(database) == [("hypercalcemia", "moderate", "resolved")]
    assert episode_rows(database) == {("hypercalcemia", "resolved", "moderate", "moderate", day(0), day(0), day(2))}


def test_a_result_that_cannot_be_judged_resolves_nothing(sender, database):
    sender.send(panel(calcium("11.9")))

    second = sender.send(panel(calcium("99"), on=2))

    assert outcomes(second) == [("not_judged", "implausible")]
    assert flag_states(database) == [("hypercalcemia", "moderate", "open")]


def test_a_late_result_lands_in_its_place(sender, database):
    sender.send(panel(calcium("11.0"), on=0))
    sender.send(panel(calcium("9.9"), on=4))

    late = sender.send(panel(calcium("12.9"), on=2))

    assert told(late) == [("escalated", "hypercalcemia")]
    assert episode_rows(database) == {("hypercalcemia", "resolved", "severe", "severe", day(0), day(2), day(4))}
    assert {state for _, _, state in flag_states(database)} == {"resolved"}


def test_a_flag_older_than_the_newest_of_its_episode_is_told_as_late(sender):
    sender.send(panel(calcium("11.0"), on=0))
    sender.send(panel(calcium("11.9"), on=4))

    late = sender.send(panel(calcium("11.2"), on=2))

    assert told(late) == [("repeated", "hypercalcemia")]
    assert late.told[0].late


def test_a_late_clear_result_parts_one_episode_into_two(sender, database):
    sender.send(panel(calcium("11.0"), on=0))
    sender.send(panel(calcium("11.9"), on=4))

    sender.send(panel(calcium("9.9"), on=2))

    assert episode_rows(database) == {
        ("hypercalcemia", "resolved", "mild", "mild", day(0), day(0), day(2)),
        ("hypercalcemia", "open", "moderate", "moderate", day(4), day(4), None),
    }
    assert flag_states(database) == [("hypercalcemia", "mild", "resolved"), ("hypercalcemia", "moderate", "open")]


def test_a_correction_between_two_episodes_joins_them_into_one(sender, database):
    sender.send(panel(calcium("11.0"), on=0))
    sender.send(panel(calcium("9.9"), on=2))
    sender.send(panel(calcium("11.9"), on=4))

    sender.send(panel(calcium("11.2"), on=2, status="corrected"))

    assert episode_rows(database) == {("hypercalcemia", "open", "moderate", "moderate", day(0), day(4), None)}
    assert [row[1] for row in episode_rows(database, ["merged"])] == ["merged"]
    assert {state for _, _, state in flag_states(database)} == {"open"}


def test_taking_back_a_clear_result_opens_the_episode_again(sender, database):
    sender.send(panel(calcium("11.0"), on=0))
    sender.send(panel(calcium("9.9"), on=2))

    back = sender.send(panel(calcium("9.9"), on=2, status="entered-in-error"))

    assert told(back) == [("reopened", "hypercalcemia")]
    assert flag_states(database) == [("hypercalcemia", "mild", "open")]


def test_a_changed_birth_date_judges_everything_again(sender, database):
    child = {**WOMAN, "birth_date": "2015-03-14"}
    sender.send(panel(alp("250"), on=0, patient=child))

    changed = sender.send(panel(hemoglobin("13.5"), on=3))

    assert told(changed) == [("raised", "raised_alp")]
    assert flag_states(database) == [("raised_alp", "mild", "open")]


def test_a_changed_sex_judges_everything_again(sender, database):
    man = {**WOMAN, "sex": "male"}
    sender.send(panel(hemoglobin("12.5"), on=0, patient=man))

    changed = sender.send(panel(platelets("200"), on=3))

    assert told(changed) == [("superseded", "anemia")]
    assert flag_states(database) == [("anemia", "mild", "superseded")]


def test_an_older_statement_about_the_patient_does_not_undo_a_newer_one(sender, database):
    sender.send(panel(hemoglobin("12.5"), on=5))

    sender.send(panel(platelets("200"), on=3, patient={**WOMAN, "sex": "male"}))

    assert flag_states(database) == []


def test_a_preliminary_result_is_flagged_as_provisional_until_it_is_final(sender, database):
    first = sender.send(panel(calcium("11.9"), status="preliminary"))

    second = sender.send(panel(calcium("11.9"), status="final"))

    assert [one.flag.provisional for one in first.flags] == [True]
    assert [one.flag.provisional for one in second.flags] == [False]
    assert flag_states(database) == [
        ("hypercalcemia", "moderate", "superseded"),
        ("hypercalcemia", "moderate", "open"),
    ]


def test_another_value_without_a_word_of_correction_is_taken_and_said(sender):
    sender.send(panel(calcium("11.9")))

    second = sender.send(panel(calcium("11.0")))

    ((arrival, _),) = second.items
    assert arrival.notice is not None
    assert "does not announce a correction" in arrival.notice


def test_an_announced_correction_needs_no_notice(sender):
    sender.send(panel(calcium("11.9")))

    second = sender.send(panel(calcium("11.0"), status="corrected"))

    assert [arrival.notice for arrival, _ in second.items] == [None]


def test_an_older_version_that_arrives_late_is_kept_but_does_not_count(sender, database):
    sender.send(panel(calcium("9.9"), issued_at=day(2).isoformat()))

    late = sender.send(panel(calcium("13.9"), issued_at=day(1).isoformat()))

    ((arrival, _),) = late.items
    assert (arrival.current, outcomes(late)) == (False, [("not_judged", "replaced_by_newer_version")])
    assert "does not count" in (arrival.notice or "")
    assert flag_states(database) == []
    assert row_counts(database)["results"] == 2


def test_a_correction_that_is_corrected_back_counts_again(sender, database):
    for issue, value in enumerate(["11.9", "9.9", "11.9"], start=1):
        sender.send(panel(calcium(value), status="corrected", issued_at=day(issue).isoformat()))

    assert flag_states(database)[-1] == ("hypercalcemia", "moderate", "open")


def test_a_result_that_is_issued_again_unchanged_is_kept_and_nobody_is_told(sender, database):
    sender.send(panel(calcium("11.9"), issued_at=day(1).isoformat()))

    again = sender.send(panel(calcium("11.9"), issued_at=day(2).isoformat()))

    assert (again.duplicate, told(again)) == (False, [])
    assert [one.state for one in again.flags] == ["open"]
    assert flag_states(database) == [("hypercalcemia", "moderate", "open")]
    assert row_counts(database)["results"] == 2


def test_of_a_panel_that_is_partly_held_only_the_rest_is_new(sender, database):
    sender.send(panel(calcium("11.9")))

    second = sender.send(panel(calcium("11.9"), hemoglobin("9.1")))

    assert [arrival.duplicate for arrival, _ in second.items] == [True, False]
    assert outcomes(second) == [("flagged", None), ("flagged", None)]
    assert sorted(told(second)) == [("raised", "anemia"), ("raised", "pattern")]
    assert not second.duplicate
    assert row_counts(database)["results"] == 2


def test_ionized_calcium_in_another_message_decides_over_total(sender, database):
    sender.send(panel(calcium("11.9")))

    second = sender.send(panel(result("calcium_ionized", "1.20", "mmol/L")))

    assert outcomes(second) == [("clear", None)]
    assert flag_states(database) == [("hypercalcemia", "moderate", "superseded")]


def test_an_older_version_that_comes_with_something_decisive_leaves_no_stale_verdict(sender):
    sent = panel(calcium("11.0"), issued_at=day(5).isoformat())
    sender.send(sent)
    sender.send(panel(calcium("9.9"), result("calcium_ionized", "1.20", "mmol/L"), issued_at=day(4).isoformat()))

    again = sender.send(sent)

    assert (outcomes(again), again.flags) == ([("not_judged", "precedence")], ())


def test_albumin_of_the_same_collection_is_shown_beside_calcium_and_decides_nothing(sender, database):
    sender.send(panel(calcium("9.9")))
    assert flag_states(database) == []

    second = sender.send(panel(result("albumin", "2.0", "g/dL"), calcium("9.9")))

    assert flag_states(database) == []
    assert [verdict.context is not None for _, verdict in second.items] == [False, True]


def test_two_findings_in_one_collection_raise_the_pattern(sender, database):
    receipt = sender.send(panel(calcium("11.9"), hemoglobin("9.1")))

    assert ("raised", "pattern") in told(receipt)
    assert ("pattern", "info", "open") in flag_states(database)


def test_the_pattern_goes_when_one_of_its_findings_goes(sender, database):
    sender.send(panel(calcium("11.9"), hemoglobin("9.1")))

    sender.send(panel(hemoglobin("13.1"), status="corrected"))

    assert sorted(flag_states(database)) == [
        ("anemia", "moderate", "superseded"),
        ("hypercalcemia", "moderate", "open"),
        ("pattern", "info", "superseded"),
    ]


def test_the_same_identifier_of_two_authorities_is_two_patients(sender, database):
    sender.send(panel(calcium("11.9")))

    sender.send(panel(calcium("9.9"), on=1, patient={**WOMAN, "authority": "hospital-b"}))

    assert row_counts(database)["patients"] == 2
    assert flag_states(database) == [("hypercalcemia", "moderate", "open")]


def test_without_an_authority_a_patient_counts_beside_the_source_only(means, database):
    nobody = {name: value for name, value in WOMAN.items() if name != "authority"}

    for source in ("lab-1", "lab-2"):
        Sender(means, source).send(panel(calcium("11.9"), patient=nobody))

    assert row_counts(database)["patients"] == 2


def test_the_outbox_holds_exactly_what_was_answered(sender, database):
    walk = [
        panel(calcium("11.0"), hemoglobin("9.1")),
        panel(calcium("12.9"), on=2),
        panel(calcium("11.9"), status="corrected"),
        panel(calcium("9.9"), on=4),
        panel(calcium("12.9"), on=2, status="entered-in-error"),
        panel(hemoglobin("9.1"), status="cancelled"),
    ]

    answered = [(one.type, one.flag) for sent in walk for one in sender.send(sent).told]

    assert answered
    assert events(database) == answered


@pytest.mark.parametrize(("keep_names", "name"), [(True, "Ada Example"), (False, None)])
def test_a_name_is_kept_only_where_the_operator_chose_so(database, catalogue, keep_names, name):

    sender = Sender(Means(database=database, catalogue=catalogue, keep_names=keep_names))

    sender.send(panel(calcium("11.9"), patient={**WOMAN, "name": "Ada Example"}))

    assert any("Ada Example" in row for row in kept(database)["patients"]) == (name is not None)


def test_what_is_received_at_a_time_is_kept_with_that_time(sender, database):
    sender.send(panel(calcium("11.9")), at=NOW)

    assert any(NOW in row for row in kept(database)["flags"])
