"""The shape of every answer about escalation and feeds, for the OpenAPI document.

Law: as for all shapes: these describe and do not convert.
"""

from marshmallow import Schema, fields

from service.api.shapes import moment, text, word
from service.domain.subscriptions import SubscriptionState
from service.formats.watch_asked import PolicyShape


class NamedSubscriptionShape(Schema):
    id = fields.String(required=True)
    name = text("Not there when it was deleted.")
    state = word(SubscriptionState, required=True)
    href = fields.String(required=True)


class EscalationShape(Schema):
    version = fields.Integer(required=True, metadata={"description": "0: nobody has set a policy."})
    set_at = moment(nullable=True)
    set_by = text("The key or the person that set it.")
    policy = fields.Nested(PolicyShape, required=True)
    subscriptions = fields.List(
        fields.Nested(NamedSubscriptionShape),
        required=True,
        metadata={"description": "Those that the steps name. All but active ones are passed over."},
    )


class FeedShape(Schema):
    source = fields.String(required=True)
    expected_minutes = fields.Integer(required=True)
    changed_at = moment()
    changed_by = text("The key or the person that set it.", required=True)
    last_result_at = fields.AwareDateTime(
        required=True, allow_none=True, metadata={"description": "When its newest panel was received; null: never."}
    )
    silent_since = fields.AwareDateTime(
        required=True,
        allow_none=True,
        metadata={"description": "Its last sign of life, while it is silent and that was told."},
    )
    told_at = fields.AwareDateTime(required=True, allow_none=True)
    href = fields.String(required=True)


class FeedsShape(Schema):
    items = fields.List(fields.Nested(FeedShape), required=True)
