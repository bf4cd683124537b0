"""What the tests of the doors share."""

from typing import Any

import pytest
from flask import Flask

from tests.flows.build import Data


@pytest.fixture(scope="session")
def document(one_app: Flask) -> Data:
    """The service's own description of itself."""
    found: Any = one_app.test_client().get("/openapi.json").get_json()
    return dict(found)
