"""The shape of every answer about sources, for the OpenAPI document.

Law: as for all shapes: these describe and do not convert.
"""

from marshmallow import Schema, fields

from service.api.shapes import moment, text
from service.formats.source_map import SourceMapShape


class SourceShape(Schema):
    name = fields.String(required=True)
    last_seen_at = fields.AwareDateTime(
        allow_none=True, required=True, metadata={"description": "When its last panel was received; null: never."}
    )
    panels_last_day = fields.Integer(required=True)
    version = fields.Integer(required=True, metadata={"description": "Newest version of its map; 0: it has none."})
    href = fields.String(required=True)


class SourcesShape(Schema):
    items = fields.List(fields.Nested(SourceShape), required=True)


class KeptMapShape(Schema):
    name = fields.String(required=True)
    version = fields.Integer(required=True, metadata={"description": "0: nobody has made a map."})
    set_at = moment(nullable=True)
    map = fields.Nested(SourceMapShape, required=True)


class SpellingShape(Schema):
    unit = text("The unit as sent.", required=True)
    count = fields.Integer(required=True)


class ExampleShape(Schema):
    panel = fields.String(required=True)
    pointer = text("Place of the result in the message.")
    href = text("The panel, with everything as sent.", required=True)


class UnmappedShape(Schema):
    system = text("System of the code, as it is written into the map.")
    code = text("The code or name that nobody knows.")
    analyte = text("Instead of a code: the analyte of which units are not known.")
    units = fields.List(
        fields.Nested(SpellingShape), required=True, metadata={"description": "As sent, the most frequent first."}
    )
    count = fields.Integer(required=True)
    first_seen_at = moment()
    last_seen_at = moment()
    example = fields.Nested(ExampleShape, required=True)


class UnmappedPageShape(Schema):
    source = fields.String(required=True)
    version = fields.Integer(required=True, metadata={"description": "Version of the map that was looked into."})
    panels = fields.Integer(required=True, metadata={"description": "How many panels were looked through."})
    since = fields.AwareDateTime(
        allow_none=True, required=True, metadata={"description": "When the oldest of them was received."}
    )
    items = fields.List(fields.Nested(UnmappedShape), required=True)
    more = fields.Integer(required=True, metadata={"description": "How many are not listed, for there are too many."})
