"""Every trial of ``make stress`` in its short form."""

from collections.abc import Iterator

import pytest

from stress.common import Place, Size, place
from stress.trials import TRIALS


@pytest.fixture(scope="module")
def here() -> Iterator[Place]:
    with place() as made:
        yield made


@pytest.mark.parametrize("name", TRIALS)
def test_what_is_promised_holds_under_stress(here: Place, name: str) -> None:
    found = TRIALS[name](here, Size.SHORT)

    assert found.faults == ()
    assert found.did
