"""Requests that are odd but not impossible: each is understood in one way, or refused."""

import io

import pytest
import structlog
from gunicorn.http.errors import InvalidChunkSize

from tests.api.described import as_described, as_problem
from tests.flows.build import WOMAN, calcium, encoded, panel, row_counts

JSON = "application/json"


@pytest.mark.parametrize("identifier", ["a/b", "12/34/5", "50%", "x?y", "Ünïcode id", "#1"])
def test_the_history_of_any_identifier_can_be_read_at_its_door(client, identifier):
    client.post("/v1/panels", json=panel(calcium("11.9"), patient={**WOMAN, "id": identifier}))

    answer = client.get(f"/v1/patients/{percent(identifier)}/flags")

    assert [one["patient"]["id"] for one in answer.get_json()["items"]] == [identifier]


def percent(text):
    return "".join(f"%{byte:02X}" for byte in text.encode())


@pytest.mark.parametrize(
    ("field", "limit"), [("id", 255), ("authority", 255)]
)  # fmt: skip
def test_names_of_patients_are_bounded_alike_on_both_databases(client, field, limit):
    longest = panel(calcium("11.9"), patient={**WOMAN, field: "\N{GRINNING FACE}" * limit})
    longer = panel(calcium("11.9"), patient={**WOMAN, field: "x" * (limit + 1)})

    assert client.post("/v1/panels", json=longest).status_code == 201
    as_problem(client.post("/v1/panels", json=longer), "invalid-panel")


def test_an_empty_unit_is_taken_and_the_document_says_so(client, document):
    described = document["components"]["schemas"]["ResultShape"]["properties"]["unit"]

    answer = client.post("/v1/panels", json=panel({"analyte": "calcium", "value": "9", "unit": ""}))

    assert answer.get_json()["verdicts"][0]["reason"] == "unit_unknown"
    assert "minLength" not in described


@pytest.mark.parametrize("field", ["id", "analyte", "note"])
def test_the_longest_texts_of_a_result_are_kept_on_both_databases(client, field):
    sent = panel(calcium("11.9") | {field: "\N{GRINNING FACE}" * 1000}, accession="\N{GRINNING FACE}" * 1000)

    assert client.post("/v1/panels", json=sent).status_code == 201


def test_a_body_that_is_badly_framed_is_refused(client, database):
    class Torn(io.BytesIO):
        def read(self, *_):
            raise InvalidChunkSize(b"zz")

        readline = readinto = read

    framing = {"headers": {"Transfer-Encoding": "chunked"}, "environ_overrides": {"wsgi.input_terminated": True}}

    as_problem(client.post("/v1/panels", input_stream=Torn(), content_type=JSON, **framing), "bad-request")
    many = client.post("/v1/panels", input_stream=Torn(), content_type="application/x-ndjson", **framing)

    assert b'"complete":false' in many.data
    assert row_counts(database)["panels"] == 0


class Stalled(io.BytesIO):
    """A body of which the beginning comes and nothing after it."""

    def read(self, size=-1):
        if size is None or size < 0 or size > len(self.getvalue()) - self.tell():
            raise TimeoutError
        return super().read(size)

    def readinto(self, *_):
        raise TimeoutError

    readline = read


def test_a_body_that_does_not_come_in_time_is_told_so(client, database, document):
    one = {"content_type": JSON, "headers": {"Content-Length": "100"}}
    chunked = {"headers": {"Transfer-Encoding": "chunked"}, "environ_overrides": {"wsgi.input_terminated": True}}

    short = client.post("/v1/panels", input_stream=Stalled(b'{"patient"'), **one)
    long = client.post("/v1/panels", input_stream=Stalled(b" " * 65_536), content_type=JSON, **chunked)
    many = client.post("/v1/panels", input_stream=Stalled(), content_type="application/x-ndjson", **chunked)

    as_problem(short, "request-timeout")
    as_described(document, "/v1/panels", short)
    assert short.headers["Connection"] == "close"
    as_problem(long, "request-timeout")
    assert b'"complete":false' in many.data
    assert row_counts(database)["panels"] == 0


@pytest.mark.parametrize(
    "query", ["?dry_run=false&dry_run=true", "?dry_run=true&dry_run=true"]
)  # fmt: skip
def test_a_parameter_that_stands_twice_is_refused(client, database, query):
    answer = client.post(f"/v1/panels{query}", data=encoded(panel(calcium("11.9"))), content_type=JSON)

    assert as_problem(answer, "invalid-query")["errors"][0]["pointer"] == "dry_run"
    assert row_counts(database)["panels"] == 0


@pytest.mark.parametrize(
    "path", ["/v1/analytes?x=1", "/v1/notes?finding=anemia", "/v1/rulesets?x", "/v1/flags?authority=a"]
)
def test_a_parameter_that_means_nothing_here_is_refused(client, path):
    as_problem(client.get(path), "invalid-query")


@pytest.mark.parametrize("host", ["a b", "[::1", "x:abc"])
def test_a_host_that_is_none_is_refused(client, host):
    as_problem(client.get("/v1/flags", headers={"Host": host}), "bad-request")


def test_nothing_of_a_request_is_remembered_after_it(client):
    client.get("/v1/flags")

    assert structlog.contextvars.get_contextvars() == {}
