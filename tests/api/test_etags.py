"""What a caller has already is not sent again."""

import pytest

from tests.flows.build import calcium, panel

READS = [
    "/v1/flags",
    "/v1/patients/88204113/flags",
    "/v1/patients/88204113/timeline",
    "/v1/patients/88204113/episodes",
    "/v1/analytes",
    "/v1/notes",
    "/v1/rulesets",
]


@pytest.fixture
def kept(client):
    client.post("/v1/panels", json=panel(calcium("11.9")))
    return client


@pytest.mark.parametrize("path", READS)
def test_a_read_that_would_answer_the_same_again_is_answered_with_304(kept, path):
    first = kept.get(path)

    again = kept.get(path, headers={"If-None-Match": first.headers["ETag"]})

    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert "Content-Type" not in again.headers


@pytest.mark.parametrize("path", ["/v1/flags", "/v1/patients/88204113/timeline", "/v1/patients/88204113/episodes"])
def test_once_something_has_changed_the_whole_answer_comes_again(kept, path):
    tag = kept.get(path).headers["ETag"]
    kept.post("/v1/panels", json=panel(calcium("12.9"), on=1))

    again = kept.get(path, headers={"If-None-Match": tag})

    assert again.status_code == 200
    assert again.headers["ETag"] != tag


@pytest.mark.parametrize("sent", ["*", "W/{tag}", '"other", {tag}'])
def test_every_way_to_name_a_tag_is_understood(kept, sent):
    tag = kept.get("/v1/flags").headers["ETag"]

    assert kept.get("/v1/flags", headers={"If-None-Match": sent.format(tag=tag)}).status_code == 304


@pytest.mark.parametrize("sent", ['"other"', "nonsense", "", '"'])
def test_a_tag_of_something_else_changes_nothing(kept, sent):
    assert kept.get("/v1/flags", headers={"If-None-Match": sent}).status_code == 200


def test_head_has_the_tag_of_get(kept):
    assert kept.head("/v1/flags").headers["ETag"] == kept.get("/v1/flags").headers["ETag"]


def test_a_refusal_and_a_panel_carry_no_tag(kept):
    sent = kept.post("/v1/panels", json=panel(calcium("11.9")), headers={"If-None-Match": "*"})
    refused = kept.get("/v1/flags?nonsense=1", headers={"If-None-Match": "*"})

    assert (sent.status_code, refused.status_code) == (200, 400)
    assert "ETag" not in sent.headers
    assert "ETag" not in refused.headers


def test_a_tag_lets_nobody_in(kept, doors):
    tag = kept.get("/v1/flags").headers["ETag"]

    assert doors.without_key().get("/v1/flags", headers={"If-None-Match": tag}).status_code == 401
