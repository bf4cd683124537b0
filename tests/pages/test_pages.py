"""What a person is promised of the pages.

Law: the pages are read as served, and held against the same service that answers machines.
"""

import base64
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from service.api.problems import PROBLEMS
from tests.conftest import Doors

TEMPLATES = Path(str(files("service.pages"))) / "templates"

PANEL = {
    "patient": {"id": "p<b>1", "sex": "female", "birth_date": "1968-03-14"},
    "collected_at": "2026-11-20T08:12:00+01:00",
    "results": [
        {"analyte": "calcium", "value": "11.9", "unit": "mg/dL", "note": "<script>alert(1)</script>"},
        {"analyte": "albumin", "value": "31", "unit": "g/L"},
        {"analyte": "platelets", "value": "40", "unit": "10*9/L"},
    ],
}


class Links(HTMLParser):
    """The ids and the links within a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.wanted: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.ids.add(value)
            if name == "href" and value and value.startswith("#"):
                self.wanted.add(value[1:])


def flags_of(doors: Doors) -> Iterator[dict[str, Any]]:
    answer = doors.with_scopes("panels:write").post("/v1/panels", json=PANEL)
    assert answer.status_code == 201
    yield from answer.get_json()["flags"]


def basic(doors: Doors) -> dict[str, str]:
    secret = doors.key("flags:read")
    return {"Authorization": "Basic " + base64.b64encode(f"anyone:{secret}".encode()).decode()}


def test_the_reference_shows_every_operation_of_the_document(client: FlaskClient) -> None:
    document = client.get("/openapi.json").get_json()

    page = client.get("/docs").text

    for path, methods in document["paths"].items():
        for method in set(methods) - {"parameters"}:
            assert f"{method.upper()} {path}" in page
    assert "dry_run" in page
    assert "handling=strict" in page


def test_whoever_comes_without_a_path_is_led_to_the_reference(client: FlaskClient) -> None:
    assert client.get("/").headers["Location"] == "/docs"


def test_every_link_within_the_reference_has_its_place(client: FlaskClient) -> None:
    links = Links(client.get("/docs").text)

    assert links.wanted <= links.ids


@pytest.mark.parametrize("slug", sorted(PROBLEMS))
def test_every_kind_of_problem_has_the_page_its_type_names(client: FlaskClient, slug: str) -> None:
    page = client.get(PROBLEMS[slug].type)

    assert page.status_code == 200
    assert PROBLEMS[slug].remedy.split(".")[0] in page.text.replace("&#39;", "'")


def test_the_page_of_a_flag_shows_why_and_the_note(doors: Doors) -> None:
    flag = next(flags_of(doors))

    page = doors.without_key().get(flag["html"], headers=basic(doors))

    assert page.status_code == 200
    assert "Possible hypercalcemia" in page.text
    assert flag["why"] in page.text
    assert "What would change it" in page.text
    assert "Albumin-corrected calcium 12.62 mg/dL" in page.text


def test_the_page_of_the_pattern_shows_its_findings(doors: Doors) -> None:
    flag = next(flag for flag in flags_of(doors) if flag["finding"] == "pattern")

    page = doors.without_key().get(flag["html"], headers=basic(doors)).text

    assert "hypercalcemia, thrombocytopenia" in page


def test_what_a_sender_wrote_is_escaped(doors: Doors) -> None:
    flag = next(flags_of(doors))

    page = doors.without_key().get(flag["html"], headers=basic(doors)).text

    assert "p&lt;b&gt;1" in page
    assert "<script" not in page


def test_a_browser_without_a_key_is_asked_for_one(doors: Doors) -> None:
    flag = next(flags_of(doors))

    refused = doors.without_key().get(flag["html"])

    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"].startswith("Basic ")


def test_no_template_carries_style_or_script_that_the_policy_would_refuse() -> None:
    for template in TEMPLATES.glob("*.html"):
        assert not re.search(r"\sstyle=|\son\w+=|<script|<style", template.read_text()), template.name


def test_the_style_sheet_is_served_and_may_be_kept(client: FlaskClient) -> None:
    sheet = client.get("/assets/site.css")

    assert sheet.mimetype == "text/css"
    assert sheet.headers["Cache-Control"] == "public, max-age=3600"
    sheet.close()


@pytest.mark.parametrize("path", ["/assets/../app.py", "/assets/%2e%2e/app.py", "/assets/nothing.css"])
def test_nothing_but_the_assets_is_served_from_their_folder(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 404
