"""What results are judged by: analytes, rule sets and notes.

Law: what is shown here is the very catalogue that judges.
"""

from flask import Response, jsonify

from service.api import answers
from service.api.description import Door, refuses
from service.api.guard import means, scope
from service.api.shapes import AnalytesShape, NotesShape, RuleSetShape, RuleSetsShape
from service.domain.errors import NotFound

door = Door("knowledge", __name__, url_prefix="/v1", description="Analytes, rule sets and notes")


@door.route("/analytes")
@scope("rules:read")
@refuses(400, 401, 403, 503)
@door.response(200, AnalytesShape)
def analytes() -> Response:
    """Analytes

    Every analyte with its names, LOINC codes, accepted units and reference intervals, each with its source.
    """
    catalogue = means().catalogue
    items = [answers.analyte(one) for one in catalogue.rulebook.analytes.all]
    return jsonify({"items": items, "loinc_notice": catalogue.loinc_notice})


@door.route("/rulesets")
@scope("rules:read")
@refuses(400, 401, 403, 503)
@door.response(200, RuleSetsShape)
def rulesets() -> Response:
    """Rule sets

    Every rule set; the current one judges what comes in now.
    """
    rulebook = means().catalogue.rulebook
    items = [answers.ruleset_brief(one, current=rulebook.current) for one in rulebook.rulesets.values()]
    return jsonify({"items": items})


@door.route("/rulesets/<string:version>")
@scope("rules:read")
@refuses(400, 401, 403, 404, 503)
@door.response(200, RuleSetShape)
def ruleset(version: str) -> Response:
    """One rule set

    Every rule with every row of its table and the sources of its numbers.
    """
    rulebook = means().catalogue.rulebook
    if version not in rulebook.rulesets:
        raise NotFound("rule set")
    return jsonify(answers.ruleset(rulebook.rulesets[version], rulebook.analytes, current=rulebook.current))


@door.route("/notes")
@scope("rules:read")
@refuses(400, 401, 403, 503)
@door.response(200, NotesShape)
def notes() -> Response:
    """Notes

    The educational note for each finding and severity, with its numbered sources.
    """
    catalogue = means().catalogue
    items = [note.as_data() for note in catalogue.notes.values()]
    return jsonify({"items": items, "intended_use": catalogue.intended_use})
