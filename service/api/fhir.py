"""FHIR R4 as one door: what comes in, what goes out, and how it is refused.

Law: everything below /fhir/R4 is registered here, and told by the CapabilityStatement.
"""

from flask import Flask

from service.api import fhir_in, fhir_out, problems
from service.api.fhir_door import ROOT, door, say

PARTS = (fhir_in, fhir_out)


def register(app: Flask) -> None:
    """Open the door. Its errors, also of paths that there are not, are told in its own words."""
    problems.in_own_words(ROOT, say)
    app.register_blueprint(door)
