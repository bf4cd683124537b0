"""What became of the cards of CDS Hooks, by rule.

Law: it counts. Comments, which are free text of clinicians, are told by their number only.
"""

from typing import Any

from flask import Response, jsonify

from service.api.answers import present
from service.api.description import Door, refuses
from service.api.guard import means, scope
from service.api.reading import Moment, Query
from service.api.shapes_cds import CardReportShape
from service.flows import cds_feedback
from service.flows.cds_feedback import OfRule
from service.storage.feedback import Period

door = Door("cds_feedback", __name__, url_prefix="/v1", description="What became of the cards of CDS Hooks")


class CardQuery(Query):
    """Parameters of asking for what became of cards."""

    shown_from = Moment(metadata={"description": "Only cards shown at this time or later."})
    shown_to = Moment(metadata={"description": "Only cards shown before this time."})


@door.route("/cds-feedback")
@scope("flags:read")
@door.arguments(CardQuery(), location="query")
@refuses(400, 401, 403, 503)
@door.response(200, CardReportShape)
def show(query: dict[str, Any]) -> Response:
    """Feedback on cards

    How many cards each rule has shown, and what became of them by the last answer to each: accepted, overridden and
    why, or unanswered.
    """
    found = cds_feedback.report(means(), Period(since=query.get("shown_from"), until=query.get("shown_to")))
    return jsonify({"items": [_of_rule(one) for one in found.rules], "orphans": found.orphans})


def _of_rule(one: OfRule) -> dict[str, Any]:
    finding, ruleset, rule = one.about
    reasons = [
        present(system=why.system, code=why.code) | {"listed": why.listed, "count": why.count} for why in one.reasons
    ]
    counts = {name: getattr(one, name) for name in ("shown", "accepted", "overridden", "unanswered", "comments")}
    return present(finding=finding, ruleset=ruleset, rule=rule) | counts | {"reasons": reasons}
