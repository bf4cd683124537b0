"""Every door of the running service is either public on purpose or asks for a scope."""

from service.api import cds_hooks, guard
from service.api.problems import PROBLEMS
from service.storage.keys import SCOPES
from tests.house.source import service


def endpoints(app):
    return {rule.endpoint for rule in app.url_map.iter_rules()}


def test_every_route_declares_its_scope_or_stands_on_the_public_list(one_app):
    undeclared = {
        endpoint
        for endpoint in endpoints(one_app)
        if endpoint not in guard.PUBLIC | guard.WITH_TOKENS and guard.scope_of(one_app, endpoint) not in SCOPES
    }

    assert undeclared == set()


def test_no_public_route_asks_for_a_scope(one_app):
    without = guard.PUBLIC | guard.WITH_TOKENS
    assert {one for one in without & endpoints(one_app) if guard.scope_of(one_app, one)} == set()


def test_tokens_are_asked_for_by_the_door_that_looks_at_them(one_app):
    of_the_door = {endpoint for endpoint in endpoints(one_app) if endpoint.startswith(f"{cds_hooks.door.name}.")}

    assert of_the_door == guard.WITH_TOKENS
    assert one_app.before_request_funcs[cds_hooks.door.name]


def test_the_public_list_and_the_pages_name_only_routes_that_there_are(one_app):
    assert endpoints(one_app) >= guard.PUBLIC | guard.PAGES | guard.ENDURING


def test_nothing_under_v1_is_public(one_app):
    assert not {rule.endpoint for rule in one_app.url_map.iter_rules() if rule.rule.startswith("/v1")} & guard.PUBLIC


def test_every_kind_of_problem_is_used_and_says_what_to_do():
    source = "\n".join(module.text for module in service())

    for slug, problem in PROBLEMS.items():
        assert source.count(f'"{slug}"') > 1, slug
        assert problem.remedy.endswith(".")
        assert not problem.title.endswith(".")
