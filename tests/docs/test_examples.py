"""The examples on the page /docs are what the service answers."""

import json

import pytest
from flask.testing import FlaskClient

from tests.docs.pages import ROOT, blocks, misfits, page

EXAMPLES = ROOT / "service" / "pages" / "examples"


def _example(name: str) -> str:
    return (EXAMPLES / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", ["sqlite"])
def test_the_answer_shown_is_that_to_the_panel_shown(client: FlaskClient) -> None:
    response = client.post("/v1/panels", data=_example("panel.json"), content_type="application/json")

    assert response.status_code == 201
    assert list(misfits(json.loads(_example("answer.json")), response.json)) == []


@pytest.mark.parametrize("kind", ["sqlite"])
def test_the_refusal_shown_is_that_to_the_faulty_panel_of_the_readme(client: FlaskClient) -> None:
    faulty = next(block.text for block in blocks(page("README.md")) if "sexx" in block.text)

    response = client.post("/v1/panels", data=faulty.split("'")[-2], content_type="application/json")

    assert response.status_code == 422
    assert list(misfits(json.loads(_example("refusal.json")), response.json)) == []


def test_the_first_panel_of_the_readme_is_the_panel_shown() -> None:
    first = next(block.text for block in blocks(page("README.md")) if "/v1/panels" in block.text)

    assert json.loads(first.split("'")[-2]) == json.loads(_example("panel.json"))
