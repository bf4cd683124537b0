"""Feedback: kept once, whatever is said of whatever card; and counted by rule."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from service.storage.tables_cds import cds_cards, cds_feedback
from tests.api.cds.speak import hold, labs, look, post, refused, result
from tests.api.described import as_described, as_problem
from tests.flows.build import NOW, calcium, flag_states, hemoglobin, kept, platelets
from tests.formats.cds_hooks.test_feedback import CARD, SYSTEM, accepted, overridden

PATH = "/v1/cds-feedback"


def say(client, *entries, service="lab-flags"):
    return post(client, {"feedback": entries}, service, "/feedback")


def at(minute):
    return (NOW - timedelta(hours=1) + timedelta(minutes=minute)).isoformat()


def rows(database):
    with database.reading() as connection:
        return list(connection.execute(select(cds_feedback).order_by(cds_feedback.c.outcome_at)))


@pytest.fixture
def card(means, bedside):
    hold(means, calcium("13.2"))
    return look(bedside)[0]["uuid"]


def report(client, document, **query):
    body = as_described(document, PATH, client.get(PATH, query_string=query))
    return {one.get("finding"): one for one in body["items"]}, body["orphans"]


def counts(item):
    return [item[name] for name in ("shown", "accepted", "overridden", "unanswered")]


def test_feedback_on_a_card_is_kept_and_changes_no_flag(card, bedside, database):
    before = kept(database)

    answer = say(bedside, overridden(card=card))

    assert (answer.status_code, answer.get_json()) == (200, {})
    (row,) = rows(database)
    assert (row.card, row.outcome, row.suggestion, row.orphan) == (card, "overridden", "", False)
    assert (row.reason_system, row.reason_code, row.listed) == (SYSTEM, "action-completed", True)
    assert (row.comment, row.service) == ("seen on ward", "lab-flags")
    after = kept(database)
    assert {name for name in after if after[name] != before[name]} == {"cds_feedback"}
    assert flag_states(database) == [("hypercalcemia", "critical", "open")]


def test_a_card_and_its_feedback_lead_to_the_flag(card, bedside, database):
    say(bedside, overridden(card=card))

    with database.reading() as connection:
        joined = select(cds_cards.c.flag_id).join(cds_feedback, cds_feedback.c.card == cds_cards.c.id)
        assert connection.execute(joined).scalar_one().startswith("flg_")


def test_the_same_statement_again_is_one_and_another_one_is_added(card, bedside, database):
    say(bedside, overridden(card=card), overridden(card=card.upper()))
    say(bedside, overridden(card=card))
    say(bedside, overridden(card=card, outcomeTimestamp=at(1)), accepted("a", "b", card=card, outcomeTimestamp=at(2)))

    found = [(row.outcome, row.suggestion) for row in rows(database)]

    assert found[:2] == [("overridden", ""), ("overridden", "")]
    assert sorted(found[2:]) == [("accepted", "a"), ("accepted", "b")]


def test_the_same_moment_in_another_zone_is_the_same_statement(card, bedside, database):
    say(bedside, overridden(card=card, outcomeTimestamp="2026-03-02T10:05:31Z"))
    say(bedside, overridden(card=card, outcomeTimestamp="2026-03-02T11:05:31.000+01:00"))

    assert len(rows(database)) == 1


def test_feedback_on_a_card_that_nobody_knows_is_kept_and_told(card, bedside, database):
    answer = say(bedside, overridden(card=card), overridden())

    assert refused(answer, 200) == [("not-found", "feedback[1].card")]
    assert answer.get_json()["issue"][0]["severity"] == "warning"
    assert {row.card: row.orphan for row in rows(database)} == {card: False, CARD: True}


def test_of_a_request_with_a_malformed_entry_nothing_is_kept(card, bedside, database):
    answer = say(bedside, overridden(card=card), overridden(card=card, outcome="x"), overridden(card="y"))

    assert refused(answer, 400) == [("value", "feedback[1].outcome"), ("value", "feedback[2].card")]
    assert rows(database) == []


def test_feedback_may_be_given_to_another_service_than_the_one_that_showed_the_card(card, bedside, database):
    assert say(bedside, overridden(card=card), service="lab-flags-order-sign").get_json() == {}

    assert rows(database)[0].service == "lab-flags-order-sign"


def test_no_feedback_at_all_is_nothing(bedside, database):
    assert say(bedside).get_json() == {}

    assert rows(database) == []


# ------------------------------------------------------------------------------------------------------- the report
def test_the_report_counts_each_card_once_by_the_last_answer(means, bedside, client, document):
    hold(means, calcium("13.2"))
    first, second, third, _ = (look(bedside)[0]["uuid"] for _ in range(4))
    say(bedside, overridden(card=first, outcomeTimestamp=at(1)), accepted("s", "t", card=first, outcomeTimestamp=at(2)))
    say(bedside, accepted("s", card=second, outcomeTimestamp=at(2)), overridden(card=second, outcomeTimestamp=at(3)))
    own = {"reason": {"code": "mine"}}
    say(bedside, overridden(card=third, overrideReason=own))

    found, orphans = report(client, document)

    item = found["hypercalcemia"]
    assert counts(item) == [4, 1, 2, 1]
    assert (item["ruleset"], item["rule"], item["comments"], orphans) == (
        "blood-findings-1",
        "hypercalcemia-total",
        1,
        0,
    )
    assert item["reasons"] == [
        {"system": SYSTEM, "code": "action-completed", "listed": True, "count": 1},
        {"code": "mine", "listed": False, "count": 1},
    ]


def test_each_rule_is_counted_by_itself_and_what_could_not_be_judged_too(means, bedside, client, document):
    hold(means, calcium("13.2"), hemoglobin("9.1"), platelets("60"))
    shown = look(bedside, labs=labs(result("alkaline_phosphatase", 5, "furlongs")))
    say(bedside, *(overridden(card=one["uuid"], overrideReason=None) for one in shown))

    found, _ = report(client, document)

    assert list(found) == ["anemia", "hypercalcemia", "pattern", "thrombocytopenia", None]
    assert {tuple(counts(one)) for one in found.values()} == {(1, 0, 1, 0)}
    assert [one["reasons"] for one in found.values()] == [[{"listed": False, "count": 1}]] * 5
    assert {one.get("rule") for one in found.values()} == {
        "anemia", "hypercalcemia-total", "blood-pattern", "thrombocytopenia", None,
    }  # fmt: skip


def test_the_report_is_of_the_cards_of_a_period(means, bedside, client, document, database):
    hold(means, calcium("13.2"))
    look(bedside)
    old = look(bedside)[0]["uuid"]
    say(bedside, overridden(card=old), overridden())
    with database.transaction() as connection:
        connection.execute(cds_cards.update().where(cds_cards.c.id == old).values(shown_at=NOW - timedelta(days=9)))

    whole, _ = report(client, document)
    late, orphans = report(client, document, shown_from=(NOW - timedelta(days=1)).isoformat())
    early, none = report(client, document, shown_to=(NOW - timedelta(days=1)).isoformat())

    found = [counts(one["hypercalcemia"]) for one in (whole, late, early)]
    assert found == [[2, 0, 1, 1], [1, 0, 0, 1], [1, 0, 1, 0]]
    assert (orphans, none) == (1, 0)


def test_an_empty_report_says_so(client, document):
    assert report(client, document) == ({}, 0)


def test_the_report_needs_a_key_that_may_read_flags_and_a_period_that_is_one(doors, client):
    as_problem(doors.without_key().get(PATH), "unauthenticated")
    as_problem(doors.with_scopes("panels:write").get(PATH), "forbidden")
    as_problem(client.get(f"{PATH}?shown_from=today"), "invalid-query")


def test_no_comment_is_in_the_report_or_the_log(card, bedside, client, capsys):
    say(bedside, overridden(card=card))

    told = client.get(PATH).text + capsys.readouterr().out

    assert "seen on ward" not in told
