"""What the tests of the doors share."""

from typing import Any

import pytest
from flask import Flask

from tests.api.exposed import read
from tests.flows.build import Data


@pytest.fixture(scope="session")
def document(one_app: Flask) -> Data:
    """The service's own description of itself."""
    found: Any = one_app.test_client().get("/openapi.json").get_json()
    return dict(found)


@pytest.fixture
def scrape(doors):
    """Call it for every sample there is: by its name and its labels."""
    prometheus = doors.with_scopes("metrics:read", name="prometheus")

    def samples():
        answer = prometheus.get("/metrics")
        assert answer.status_code == 200
        return read(answer.text)

    return samples


@pytest.fixture
def counted(scrape):
    """Call it with what is to be done: what was counted meanwhile, of one metric, by its labels."""

    def during(done, name):
        before = scrape()
        done()
        return {
            labels: value - before.get((found, labels), 0)
            for (found, labels), value in scrape().items()
            if found == name and value != before.get((found, labels), 0)
        }

    return during
