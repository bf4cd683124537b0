"""The shape of the audit as it is answered, for the OpenAPI document.

Law: as for all shapes: these describe and do not convert.
"""

from marshmallow import Schema, fields

from service.api.shapes import moment, text


class ActorShape(Schema):
    kind = text("key, person, operator, or system: a caller without a key of ours.", required=True)
    id = text("Which one.", required=True)


class AuditEntryShape(Schema):
    place = fields.Integer(required=True, metadata={"description": "Its place in the chain, counted from 1."})
    at = moment(nullable=True)
    actor = fields.Nested(
        ActorShape, required=True, allow_none=True, metadata={"description": "null: nobody was let in."}
    )
    action = text("The route that was asked, the command that was run, or mllp.", required=True, allow_none=True)
    subject = fields.String(
        required=True, allow_none=True, metadata={"description": "Our pseudonym of the one patient it was about."}
    )
    request_id = fields.String(required=True, allow_none=True)
    outcome = text("HTTP status, code of an acknowledgment, done or failed.", required=True, allow_none=True)
    detail = fields.Dict(required=True, allow_none=True, metadata={"description": "Counts and words of ours."})
    before = text("The hash of the entry before.", required=True, allow_none=True)
    hash = text("SHA-256 over the canonical JSON of all the rest.", required=True, allow_none=True)
    unreadable = fields.List(
        fields.String(),
        metadata={"description": "Only where somebody has spoiled an entry: what cannot be read, and is null."},
    )


class AuditPageShape(Schema):
    items = fields.List(fields.Nested(AuditEntryShape), required=True)
    next = fields.String(required=True, allow_none=True)
    intended_use = fields.String(required=True)
