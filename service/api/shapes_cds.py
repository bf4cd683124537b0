"""The shape of every answer about cards, for the OpenAPI document.

Law: as for all shapes: these describe and do not convert.
"""

from marshmallow import Schema, fields

from service.api.shapes import text, word
from service.domain.rules import Finding


class OverrideReasonShape(Schema):
    system = text("The code system; absent where the client named none.")
    code = text("Absent where no code was given.")
    listed = fields.Boolean(required=True, metadata={"description": "Is it one of the reasons that the card offered?"})
    count = fields.Integer(required=True)


class OfRuleShape(Schema):
    finding = word(Finding)
    ruleset = fields.String()
    rule = text("Absent, as the finding is, for cards that said what could not be judged.")
    shown = fields.Integer(required=True)
    accepted = fields.Integer(required=True)
    overridden = fields.Integer(required=True)
    unanswered = fields.Integer(required=True)
    comments = fields.Integer(required=True, metadata={"description": "How many were overridden with a comment."})
    reasons = fields.List(fields.Nested(OverrideReasonShape), required=True)


class CardReportShape(Schema):
    items = fields.List(fields.Nested(OfRuleShape), required=True)
    orphans = fields.Integer(required=True, metadata={"description": "Cards that were answered and that nobody knows."})
