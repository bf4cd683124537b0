"""An id is of one result: what comes under it later corrects that one, or is refused."""

import pytest

from service.domain.errors import BadInput
from tests.flows.build import Sender, calcium, day, flag_states, hemoglobin, panel


@pytest.fixture
def sender(means):
    return Sender(means)


def test_an_id_that_is_used_again_for_another_analyte_is_refused(sender, database):
    sender.send(panel(calcium("13.9", id="I1")))

    with pytest.raises(BadInput) as refused:
        sender.send(panel(hemoglobin("13.0", id="I1"), on=1))

    assert [(one.pointer, one.code) for one in refused.value.faults] == [("/results/0", "id-of-another-analyte")]
    assert flag_states(database) == [("hypercalcemia", "critical", "open")]


def test_a_correction_may_say_that_it_was_another_analyte(sender, database):
    sender.send(panel(calcium("13.9", id="I1")))

    sender.send(panel(hemoglobin("9.1", id="I1", status="corrected"), issued_at=day(1).isoformat()))

    assert ("anemia", "moderate", "open") in flag_states(database)
    assert ("hypercalcemia", "critical", "superseded") in flag_states(database)
