"""Many panels in one request: every line is answered, and what is answered is kept."""

import io
import json

import pytest

from service.domain.errors import Unavailable
from service.flows import bulk
from service.storage import outbox as outbox_rows
from tests.api.described import as_problem
from tests.flows.build import calcium, encoded, flag_states, hemoglobin, panel, row_counts

NDJSON, CSV = "application/x-ndjson", "text/csv"
HEADER = "patient_id,sex,birth_date,accession,collected_at,analyte,value,unit,result_id"


def lines_of(answer):
    assert answer.status_code == 200
    assert answer.mimetype == NDJSON
    return [json.loads(line) for line in answer.data.splitlines()]


def ndjson(*panels):
    return b"\n".join(one if isinstance(one, bytes) else encoded(one) for one in panels)


def test_every_line_is_answered_with_its_number_and_the_last_adds_up(client, database):
    sent = ndjson(panel(calcium("11.9")), b"{bad", panel(calcium("9.9"), hemoglobin("13"), on=1))

    first, refused, second, last = lines_of(client.post("/v1/panels", data=sent, content_type=NDJSON))

    assert (first["line"], first["status"], first["counts"]["flagged"]) == (1, 201, 1)
    assert (refused["line"], refused["status"], refused["outcome"]) == (2, 400, "rejected")
    assert (second["line"], second["status"], second["counts"]["clear"]) == (3, 201, 2)
    assert last["summary"] == {
        "counts": {"received": 4, "flagged": 1, "clear": 2, "not_judged": 0, "rejected": 1},
        "not_judged": {},
        "complete": True,
    }
    assert row_counts(database)["panels"] == 2


def test_notes_are_answered_by_name_only(client):
    (first, _) = lines_of(client.post("/v1/panels", data=ndjson(panel(calcium("11.9"))), content_type=NDJSON))

    assert set(first["flags"][0]["note"]) == {"id"}


def test_every_row_of_a_csv_is_answered_with_its_number(client, database):
    rows = [
        HEADER,
        "p1,female,1968-03-14,A1,2026-11-01T08:00:00Z,calcium,11.9,mg/dL,",
        "p1,female,1968-03-14,A1,2026-11-01T08:00:00Z,platelets,212,furlong,",
        "p1,female,1968-03-14,A1,2026-11-01T08:00:00Z,hemoglobin,UNABLE TO REPORT,g/dL,",
    ]

    *answered, last = lines_of(client.post("/v1/panels", data="\n".join(rows), content_type=CSV))

    by_line = {one["line"]: one for one in answered}
    assert [by_line[line]["outcome"] for line in (2, 3, 4)] == ["flagged", "not_judged", "rejected"]
    assert by_line[4]["errors"][0]["pointer"] == "value"
    assert last["summary"]["not_judged"] == {"unit_unknown": 1}
    assert row_counts(database)["panels"] == 1


def test_a_refused_panel_of_a_csv_names_the_row_of_each_fault(client):
    rows = [
        HEADER,
        "p1,,,A1,2026-11-01T08:00:00Z,calcium,11.9,mg/dL,R-1",
        "p1,,,A1,2026-11-01T08:00:00Z,platelets,212,10*9/L,R-1",
    ]

    first, second, _ = lines_of(client.post("/v1/panels", data="\n".join(rows), content_type=CSV))

    assert (first["line"], first["errors"]) == (2, [])
    assert (second["line"], second["errors"][0]["code"]) == (3, "result-repeated")


def test_a_header_that_cannot_be_used_is_a_problem(client):
    as_problem(client.post("/v1/panels", data="a,b\n1,2\n", content_type=CSV), "invalid-csv")


def test_a_header_that_is_not_utf_8_is_a_problem_that_names_it(client):
    problem = as_problem(client.post("/v1/panels", data=b"patient_id,\xff\n1,2\n", content_type=CSV), "invalid-csv")

    assert ("\N{REPLACEMENT CHARACTER}", "unknown-field") in {
        (one["pointer"], one["code"]) for one in problem["errors"]
    }


def test_a_dry_run_of_many_keeps_nothing(client, database):
    first, _ = lines_of(
        client.post("/v1/panels?dry_run=true", data=ndjson(panel(calcium("11.9"))), content_type=NDJSON)
    )

    assert (first["id"], first["status"]) == (None, 200)
    assert row_counts(database)["panels"] == 0


def test_strict_handling_refuses_line_by_line(client, database):
    odd = panel({"analyte": "calcium", "value": "9", "unit": "furlong"})
    sent = ndjson(odd, panel(calcium("11.9"), on=1))

    refused, taken, _ = lines_of(
        client.post("/v1/panels", data=sent, content_type=NDJSON, headers={"Prefer": "handling=strict"})
    )

    assert (refused["status"], refused["errors"][0]["code"]) == (422, "unit-unknown")
    assert taken["status"] == 201
    assert flag_states(database) == [("hypercalcemia", "moderate", "open")]


def test_a_message_may_be_longer_than_the_limit_of_a_single_panel(client, database):
    sent = ndjson(*(panel(calcium("11.9"), on=number / 10, note="n" * 900) for number in range(120)))

    *answered, _ = lines_of(client.post("/v1/panels", data=sent, content_type=NDJSON))

    assert [one["status"] for one in answered] == [201] * 120
    assert row_counts(database)["panels"] == 120


def test_when_nothing_more_can_be_kept_the_answer_stops_and_says_so(client, database, monkeypatch):
    taken = []

    def failing(*arguments, **options):
        if taken:
            raise Unavailable("the database cannot be reached")
        taken.append(True)
        return whole(*arguments, **options)

    whole = bulk.take_in_together
    monkeypatch.setattr(bulk, "take_in_together", failing)
    monkeypatch.setattr(bulk, "BATCH_PANELS", 1)
    sent = ndjson(*(panel(calcium("11.9"), on=number) for number in range(3)))

    first, halted, last = lines_of(client.post("/v1/panels", data=sent, content_type=NDJSON))

    assert first["status"] == 201
    assert halted == {"line": 2, "status": 503, "detail": "the database cannot be reached"}
    assert last["summary"]["complete"] is False
    assert row_counts(database)["panels"] == 1


SHORT = b"patient_id,collected_at,analyte,unit,value\n"
ROW = b"p-%d,2026-11-19T07:30:00Z,platelets,10*9/L,250\n"


@pytest.mark.parametrize("missing", [1, 2, len(ROW % 1) + 2])
def test_a_row_that_was_cut_off_is_not_taken_for_a_whole_one(client, database, missing):
    whole = SHORT + b"".join(ROW % number for number in range(3))
    cut = io.BytesIO(whole[:-missing])

    *answered, last = lines_of(
        client.post(
            "/v1/panels",
            input_stream=cut,
            content_type=CSV,
            environ_overrides={"wsgi.input_terminated": True, "CONTENT_LENGTH": str(len(whole))},
        )
    )

    assert last["summary"]["complete"] is False
    assert [one["outcome"] for one in answered] == ["clear"] * row_counts(database)["panels"]
    assert row_counts(database)["panels"] <= 2


def test_a_panel_on_which_the_service_fails_is_answered_and_the_others_are_taken(client, database, monkeypatch):
    real = outbox_rows.keep

    def refuses(writes, events):
        if any(event.data["finding"] == "anemia" for event in events):
            raise ValueError("ours")
        real(writes, events)

    monkeypatch.setattr(outbox_rows, "keep", refuses)
    sent = ndjson(panel(calcium("11.9")), panel(hemoglobin("9.1"), on=1), panel(calcium("9.9"), on=2))

    first, failed, third, last = lines_of(client.post("/v1/panels", data=sent, content_type=NDJSON))

    assert [first["status"], failed["status"], third["status"]] == [201, 500, 201]
    assert failed["type"] == "/problems/internal-error"
    assert [error["code"] for error in failed["errors"]] == ["internal-error"]
    assert last["summary"]["complete"] is True
    assert last["summary"]["counts"] == {"received": 3, "flagged": 1, "clear": 1, "not_judged": 0, "rejected": 1}
    assert row_counts(database)["panels"] == 2


def test_strict_handling_of_many_is_said_to_be_applied(client):
    answer = client.post(
        "/v1/panels",
        data=ndjson(panel(calcium("11.9"))),
        content_type=NDJSON,
        headers={"Prefer": "handling=strict"},
    )

    assert answer.headers["Preference-Applied"] == "handling=strict"


@pytest.mark.parametrize("media_type", [NDJSON, CSV])
def test_many_panels_need_the_same_scope_as_one(doors, media_type):
    as_problem(doors.with_scopes("flags:read").post("/v1/panels", data="", content_type=media_type), "forbidden")
