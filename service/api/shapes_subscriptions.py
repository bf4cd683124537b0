"""The shape of every answer about subscriptions and deliveries, for the OpenAPI document.

Law: as for all shapes: these describe and do not convert.
"""

from marshmallow import Schema, fields

from service.api.shapes import moment, text, word
from service.domain.subscriptions import Channel, DeliveryState, Format, Payload, SubscriptionState
from service.formats.subscription_asked import AskedFilterShape

_SHOWN_STATES = [state for state in SubscriptionState if state is not SubscriptionState.DELETED]


class SubscriptionHealthShape(Schema):
    waiting = fields.Integer(required=True, metadata={"description": "Events on their way."})
    oldest_waiting_at = fields.AwareDateTime(required=True, allow_none=True)
    failed = fields.Integer(required=True, metadata={"description": "Events given up, and kept to be replayed."})
    last_failed_at = fields.AwareDateTime(required=True, allow_none=True)
    last_sent_at = fields.AwareDateTime(
        required=True, allow_none=True, metadata={"description": "When the newest event that went through did."}
    )
    failures_in_a_row = fields.Integer(required=True)
    left_alone_until = fields.AwareDateTime(
        required=True, allow_none=True, metadata={"description": "Nothing is sent before, for the receiver has failed."}
    )


class SubscriptionShape(Schema):
    id = fields.String(required=True)
    name = fields.String(required=True)
    channel = word(Channel, required=True)
    endpoint = text("Its query is not shown, for it may hold a token.", required=True)
    format = word(Format, required=True)
    payload = word(Payload, required=True)
    filter = fields.Nested(AskedFilterShape, required=True)
    state = word(_SHOWN_STATES, required=True)
    why = text("Why the service has disabled it.")
    signed = fields.Boolean(required=True, metadata={"description": "Is what is sent signed with a secret?"})
    old_secret_until = fields.AwareDateTime(metadata={"description": "Until when the secret before signs, too."})
    credential = fields.Boolean(required=True, metadata={"description": "Is there one? It is never shown."})
    version = fields.Integer(required=True)
    created_at = moment()
    created_by = text("The key or the person that made it.", required=True)
    changed_at = moment()
    health = fields.Nested(SubscriptionHealthShape, required=True)
    href = fields.String(required=True)
    deliveries = text("What it was told, and what is on its way.", required=True)


class NewSecretShape(SubscriptionShape):
    secret = text("What is sent is signed with it. It is not shown again.")


class SubscriptionPageShape(Schema):
    items = fields.List(fields.Nested(SubscriptionShape), required=True)
    next = fields.String(required=True, allow_none=True)
    intended_use = fields.String(required=True)


class TestEventShape(Schema):
    event = text("The event that is on its way; webhook-id of the message.", required=True)
    state = word(_SHOWN_STATES, required=True)
    deliveries = text("Where to see what became of it.", required=True)


class ReplayedShape(Schema):
    count = fields.Integer(required=True, metadata={"description": "How many are sent once more, or would be."})
    dry_run = fields.Boolean(required=True)


_NUMBER = {"description": "Counts up for the subscription, without a gap; tests are counted, too."}


class DeliveryShape(Schema):
    id = fields.String(required=True)
    subscription = fields.String(required=True)
    number = fields.Integer(required=True, metadata=_NUMBER)
    event = text("The event; webhook-id of the message, however often it is sent.", required=True)
    type = fields.String(required=True)
    flag = fields.String()
    by = text("The flag that replaces it.")
    episode = fields.String()
    state = word(DeliveryState, required=True)
    attempts = fields.Integer(required=True)
    created_at = moment()
    attempted_at = moment()
    next_at = fields.AwareDateTime(metadata={"description": "When it is tried next."})
    done_at = moment()
    status = fields.Integer(metadata={"description": "HTTP or SMTP status of the last answer."})
    why = text("Why the last attempt failed.")
    href = fields.String(required=True)


class DeliveryPageShape(Schema):
    items = fields.List(fields.Nested(DeliveryShape), required=True)
    next = text("Address of the next page; null on the last one.", allow_none=True, required=True)
    intended_use = fields.String(required=True)


class AttemptShape(Schema):
    number = fields.Integer(required=True)
    at = moment()
    outcome = word(("sent", "later", "refused"), required=True)
    status = fields.Integer()
    why = fields.String()
    milliseconds = fields.Integer(required=True)
    answer = text("The beginning of what the receiver answered.")


class DeliveryViewShape(DeliveryShape):
    tries_left = fields.Integer(metadata={"description": "How often it is tried at most before it is given up."})
    held_back = text("Why it is not sent now.")
    behind = text("The delivery that has to go through first, for it is about the same episode.")
    afterwards = text("What happens after the last try.", required=True)
    headers = fields.Dict(
        metadata={"description": "Headers of the message; time and signature are those of each attempt."}
    )
    history = fields.List(fields.Nested(AttemptShape), required=True)
