"""The alert rules and the dashboard ask for what the service really tells, in PromQL that can be read."""

import json
import re
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import promql_parser
import pytest
import yaml
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from service.domain.verdicts import Reason
from service.flows.means import Means
from service.storage.database import Database
from tests.docs.pages import page, table, words
from tests.flows.build import calcium, panel
from tests.flows.telling import fan_all_out, subscribe

RULES = yaml.safe_load(page("deploy/prometheus/alerts.yml"))
DASHBOARD = json.loads(page("deploy/grafana/lab-alerts.json"))
README = page("README.md")

# What Prometheus itself adds to every sample, or tells of each target.
FROM_PROMETHEUS = {"job", "instance"}
UP = {"up": FROM_PROMETHEUS}


def rules() -> list[dict[str, Any]]:
    return [rule for group in RULES["groups"] for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def shown() -> list[dict[str, Any]]:
    """The panels that show something."""
    return [one for one in DASHBOARD["panels"] if one["type"] != "row"]


def expressions() -> list[str]:
    asked = [target["expr"] for one in shown() for target in one["targets"]]
    return [rule["expr"] for rule in rules()] + [filled(expression) for expression in asked]


def filled(expression: str) -> str:
    """An expression of the dashboard with its variables in place, as Grafana fills them in."""
    return re.sub(r"\$\w+", ".*", expression.replace("$__rate_interval", "5m"))


def selectors(node: Any) -> Iterator[Any]:
    """Everything that an expression selects."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    elif isinstance(node, promql_parser.MatrixSelector):
        yield node.vector_selector
    else:
        below = [getattr(node, name, None) for name in ("lhs", "rhs", "expr")]
        for one in (*below, *getattr(node, "args", ())):
            if one is not None:
                yield from selectors(one)


def groupings(node: Any) -> Iterator[set[str]]:
    """The labels that are grouped by, each with what may be selected below."""
    for by in re.findall(r"\bby ?\(([^)]*)\)", str(node)):
        yield {label.strip() for label in by.split(",")}


@pytest.fixture
def exported(client: FlaskClient, database: Database, means: Means) -> dict[str, set[str]]:
    """The labels of everything that the service tells, by name."""
    subscribe(database, "ward")
    for _ in range(2):
        client.post("/v1/panels", json=panel(calcium("11.9")))
    fan_all_out(means)
    client.put("/v1/sources/lab-1/feed", json={"expected_minutes": 60})
    told = client.get("/metrics").text
    return {
        sample.name: set(sample.labels) for family in text_string_to_metric_families(told) for sample in family.samples
    }


def recorded() -> dict[str, set[str]]:
    return {rule["record"]: {"source"} for rule in rules() if "record" in rule}


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_only_what_the_service_tells_is_asked_for(exported: dict[str, set[str]]) -> None:
    known = exported | recorded() | UP
    asked = [one for expression in expressions() for one in selectors(promql_parser.parse(expression))]

    assert len(asked) > 30
    for one in asked:
        assert one.name in known, one.name
        wanted = {matcher.name for matcher in one.matchers.matchers}
        assert wanted <= known[one.name] | FROM_PROMETHEUS, one.name


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_it_is_grouped_by_labels_that_there_are(exported: dict[str, set[str]]) -> None:
    known = exported | recorded() | UP
    for expression in expressions():
        parsed = promql_parser.parse(expression)
        there = set().union(*(known[one.name] for one in selectors(parsed))) | FROM_PROMETHEUS

        assert all(by <= there for by in groupings(parsed)), expression


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_everything_told_is_in_the_table_of_the_readme_with_its_labels(exported: dict[str, set[str]]) -> None:
    told: dict[str, set[str]] = {}
    for name, labels in exported.items():
        told[re.sub(r"_(bucket|sum|count)$", "", name)] = labels - {"le"}

    assert {words(name)[0]: set(words(labels)) for name, labels, *_ in table(README, "Metric")} == told


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_everything_told_is_shown_on_the_dashboard(exported: dict[str, set[str]]) -> None:
    text = page("deploy/grafana/lab-alerts.json")

    assert [name for name in exported if re.sub(r"_(bucket|sum|count)$", "", name) not in text] == []


def test_the_reasons_that_count_as_mendable_are_those_of_the_code() -> None:
    named = {
        frozenset(found.split("|"))
        for expression in expressions()
        for found in re.findall(r'reason=~"([^"]+)"', expression)
    }

    assert named == {frozenset(reason.value for reason in Reason if reason.mendable)}


def test_every_alert_says_what_is_wrong_what_it_means_and_what_to_do() -> None:
    assert len(alerts()) >= 7
    for alert in alerts():
        assert alert["labels"]["severity"] in {"critical", "warning"}, alert["alert"]
        assert alert["annotations"].keys() == {"summary", "description", "action"}, alert["alert"]
        assert alert["annotations"]["description"].endswith("."), alert["alert"]


def test_alerts_have_names_of_their_own_and_those_that_are_named_exist() -> None:
    names = [alert["alert"] for alert in alerts()]

    assert len(set(names)) == len(names)
    assert set(re.findall(r"\bLabAlerts\w+", page("deploy/prometheus/alerts.yml"))) == set(names)


def test_every_panel_says_what_it_shows_in_a_place_of_its_own() -> None:
    assert len({one["id"] for one in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert all(one["title"] and one["description"].endswith(".") for one in shown())
    assert all({target["datasource"]["uid"] for target in one["targets"]} == {"${datasource}"} for one in shown())
    assert [
        (one["title"], other["title"]) for one, other in combinations(DASHBOARD["panels"], 2) if overlap(one, other)
    ] == []


def overlap(one: dict[str, Any], other: dict[str, Any]) -> bool:
    a, b = one["gridPos"], other["gridPos"]
    beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
    return not beside and not (a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"])


def test_every_variable_of_the_dashboard_is_defined() -> None:
    defined = {one["name"] for one in DASHBOARD["templating"]["list"]}

    assert (
        set(re.findall(r"\$\{?(\w+)", page("deploy/grafana/lab-alerts.json"))) - {"__rate_interval", "__all"} == defined
    )
