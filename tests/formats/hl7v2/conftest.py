"""What the tests of HL7 v2 share."""

import pytest

from service.domain.errors import BadInput
from tests.formats.hl7v2.build import read


@pytest.fixture
def faults_of():
    """Call it with a message that is refused: place and code of each fault."""

    def refused(sent, **options):
        with pytest.raises(BadInput) as found:
            read(sent, **options)
        return [(fault.pointer, fault.code) for fault in found.value.faults]

    return refused
