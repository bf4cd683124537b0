"""A flag judged again from what is stored comes out the same, or it is said what differs.

Law: what is changed here is what the service itself never changes: the files it judges by, and rows behind its back.
"""

import shutil
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update

from service.catalogue.load import HOME, load
from service.domain.errors import NotFound
from service.domain.rules import Finding, Severity
from service.flows.bulk import take_in_all
from service.flows.means import Means
from service.flows.replay import replay, replay_all
from service.formats import csv_rows, ndjson
from service.storage.panels import Message
from service.storage.tables import flags, inbox
from service.storage.tables import panels as panel_rows
from tests.flows.build import NOW, WOMAN, Sender, alp, calcium, day, encoded, hemoglobin, panel, result


@pytest.fixture
def sender(means):
    return Sender(means)


def all_flags(database):
    with database.reading() as connection:
        return list(connection.execute(select(flags.c.id, flags.c.severity, flags.c.state).order_by(flags.c.id)))


def places(found):
    return [one.pointer for one in found.differences]


def changed_file(means, folder):
    """The same rules from a file with one more line in it."""
    copied = Path(shutil.copytree(str(HOME), folder / "catalogue"))
    file = copied / "rulesets" / f"{means.catalogue.rulebook.current}.toml"
    file.write_text(f"{file.read_text(encoding='utf-8')}\n# another line\n", encoding="utf-8")
    return replace(means, catalogue=load(means.catalogue.rulebook.current, copied))


STORIES = {
    "one panel": [panel(calcium("11.9"), alp("250"))],
    "corrected": [panel(calcium("11.9")), panel(calcium("12.9"), status="corrected")],
    "withdrawn": [panel(calcium("11.9")), panel(calcium("11.9"), status="entered-in-error")],
    "another analyte decides later": [
        panel(calcium("11.9")),
        panel(result("calcium_ionized", "1.45", "mmol/L")),
    ],
    "another result of the collection corrected": [
        panel(calcium("11.9"), hemoglobin("9.1")),
        panel(hemoglobin("13.1"), status="corrected"),
    ],
    "corrected and moved to another day": [
        panel(calcium("11.9", id="R-1"), hemoglobin("9.1", id="R-2")),
        panel(calcium("11.9", id="R-1"), on=3, status="corrected"),
    ],
    "an older version comes last": [
        panel(calcium("12.9"), issued_at=day(3).isoformat(), status="corrected"),
        panel(calcium("11.9"), issued_at=day(1).isoformat()),
    ],
    "sex learned later": [
        panel(hemoglobin("11.5"), patient={"id": "1", "authority": "a", "birth_date": "1968-03-14"}),
        panel(alp("90"), on=1, patient={"id": "1", "authority": "a", "sex": "male"}),
        panel(alp("90"), on=2, patient={"id": "1", "authority": "a", "sex": "female"}),
    ],
    "born later than was said": [
        panel(alp("250"), patient={**WOMAN, "birth_date": "1968-03-14"}),
        panel(alp("250"), on=1, patient={**WOMAN, "birth_date": "2015-03-14"}),
    ],
}


@pytest.mark.parametrize("story", STORIES)
def test_every_flag_comes_out_the_same_whatever_happened_since(sender, means, database, story):
    for sent in STORIES[story]:
        sender.send(sent)

    found = list(replay_all(means))

    assert {one.flag: places(one) for one in found} == {flag.id: [] for flag in all_flags(database)}
    assert all(one.equal and one.facts_then for one in found)
    assert found


def test_a_flag_that_rests_on_facts_known_then_says_that_they_have_changed(sender, means, database):
    for sent in STORIES["sex learned later"]:
        sender.send(sent)

    changed = {one.flag: one.facts_changed for one in replay_all(means)}

    states = {row.id: row.state for row in all_flags(database)}
    assert {states[name] for name, others in changed.items() if others} == {"superseded"}
    assert [others for name, others in changed.items() if states[name] == "open"] == [False]


def test_the_order_in_which_things_were_kept_counts_and_not_the_clock_of_their_messages(sender, means, database):
    sender.send(panel(calcium("11.9")), at=NOW)
    sender.send(panel(calcium("12.9"), status="corrected"), at=NOW.replace(hour=11))

    assert [(one.results[0].version, one.equal) for one in replay_all(means)] == [(1, True), (2, True)]


ROWS = b"""patient_id,sex,birth_date,collected_at,analyte,value,unit
p-7,male,1950-02-01,2026-11-01T08:00:00Z,hemoglobin,9.1,g/dL
p-7,male,1950-02-01,2026-11-01T08:00:00Z,alkaline_phosphatase,250,U/L
p-7,male,1950-02-01,2026-11-02T08:00:00Z,hemoglobin,9.1,g/dL
"""


@pytest.mark.parametrize(
    ("read", "sent"),
    [
        (ndjson, b"\n".join(encoded(one) for one in (panel(calcium("11.9")), panel(hemoglobin("9.1"), on=1)))),
        (csv_rows, ROWS),
    ],
)
def test_flags_of_many_panels_at_once_can_be_had_again(means, read, sent):
    message = Message(body=b"", content_type=read.MEDIA_TYPE, source="lab-1", received_at=NOW)
    list(take_in_all(read.read(BytesIO(sent), now=NOW), message, means, clock=lambda: NOW))

    found = list(replay_all(means))

    assert len(found) >= 2
    assert all(one.equal and one.facts_then for one in found)


def test_a_rule_set_file_that_was_changed_is_told_by_its_checksum(sender, means, tmp_path):
    flag = sender.send(panel(calcium("11.9"))).flags[0].flag.id
    changed = changed_file(means, tmp_path)

    found = replay(flag, changed)

    (difference,) = found.differences
    before, after = (one.catalogue.rulebook.rulesets[found.ruleset].checksum for one in (means, changed))
    assert (difference.pointer, difference.was, difference.now) == ("/explanation/rule/checksum", before, after)
    assert before != after


def test_a_rule_set_that_is_gone_is_named(sender, means):
    flag = sender.send(panel(calcium("11.9"))).flags[0].flag.id
    book = means.catalogue.rulebook
    other = replace(book, rulesets={"other-1": next(iter(book.rulesets.values()))}, current="other-1")

    found = replay(flag, replace(means, catalogue=replace(means.catalogue, rulebook=other)))

    assert [(one.pointer, one.was, one.now) for one in found.differences] == [("/ruleset", book.current, None)]


def test_a_note_that_was_changed_is_told(sender, means):
    flag = sender.send(panel(calcium("11.9"))).flags[0].flag.id
    key = (Finding.HYPERCALCEMIA, Severity.MODERATE)
    note = replace(means.catalogue.notes[key], title="Another title")
    catalogue = replace(means.catalogue, notes={**means.catalogue.notes, key: note})

    found = replay(flag, replace(means, catalogue=catalogue))

    assert [(one.pointer, one.now) for one in found.differences] == [("/note/id", note.id)]


def test_a_flag_that_was_altered_behind_the_back_of_the_service_is_found(sender, means, database):
    flag = sender.send(panel(calcium("11.9"))).flags[0].flag.id
    with database.transaction() as connection:
        connection.execute(update(flags).where(flags.c.id == flag).values(severity="mild"))

    found = replay(flag, means)

    assert [(one.pointer, one.was, one.now) for one in found.differences] == [("/severity", "mild", "moderate")]


def test_a_flag_that_would_not_be_raised_again_says_how_its_result_ends(sender, means, database):
    flag = sender.send(panel(calcium("11.9"))).flags[0].flag.id
    with database.transaction() as connection:
        connection.execute(update(flags).where(flags.c.id == flag).values(finding="anemia"))

    assert [(one.pointer, one.now) for one in replay(flag, means).differences] == [("", "flagged")]


# As panels were kept before it was noted what each tells of the person.
OLDER = update(panel_rows).values(told_sex=None)


def test_without_the_messages_the_facts_known_now_are_used_and_it_is_said(sender, means, database):
    flag = sender.send(panel(hemoglobin("9.1"))).flags[0].flag.id
    with database.transaction() as connection:
        connection.execute(delete(inbox))
        connection.execute(OLDER)

    found = replay(flag, means)

    assert (found.equal, found.facts_then, found.facts_changed) == (True, False, False)


def test_a_message_that_cannot_be_read_any_more_is_as_one_that_is_gone(sender, means, database):
    flag = sender.send(panel(hemoglobin("9.1"))).flags[0].flag.id
    with database.transaction() as connection:
        connection.execute(update(inbox).values(body=b"{}"))
        connection.execute(OLDER)

    assert not replay(flag, means).facts_then


def test_a_flag_that_there_is_not_cannot_be_judged_again(means: Means):
    with pytest.raises(NotFound):
        replay("flg_0", means)


def test_many_patients_are_all_judged_again(sender, means, monkeypatch):
    monkeypatch.setattr("service.storage.past.CHUNK", 2)
    for number in range(5):
        sender.send(panel(calcium("11.9"), patient={**WOMAN, "id": f"patient-{number}"}))

    assert len({one.flag for one in replay_all(means)}) == 5
