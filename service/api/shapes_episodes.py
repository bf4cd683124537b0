"""The shape of the answers about episodes, for the OpenAPI document.

Law: as for all shapes: these describe and do not convert.
"""

from marshmallow import Schema, fields

from service.api.shapes import (
    AcknowledgedShape,
    DoneByShape,
    EpisodeShape,
    ErrorShape,
    PatientRefShape,
    moment,
    text,
    word,
)
from service.domain.acts import ActKind, How, Reached, Reason, Until
from service.domain.rules import Severity
from service.storage.episodes import LATEST
from service.storage.tables import FLAG_STATES


class EpisodeFlagShape(Schema):
    id = fields.String(required=True)
    severity = word(Severity, required=True)
    state = word(FLAG_STATES, required=True)
    collected_at = moment()
    href = fields.String(required=True)


class KeptEpisodeShape(EpisodeShape):
    merged_into = text("The episode as part of which this one goes on.")
    version = fields.Integer(required=True, metadata={"description": "Counts every change; the ETag begins with it."})
    flags = fields.List(fields.Nested(EpisodeFlagShape), required=True)
    href = fields.String(required=True)


class EpisodePageShape(Schema):
    items = fields.List(fields.Nested(KeptEpisodeShape), required=True)
    next = text("Address of the next page; null on the last one.", allow_none=True, required=True)
    intended_use = fields.String(required=True)


class ActShape(Schema):
    id = fields.String(required=True)
    kind = word(ActKind, required=True)
    at = fields.AwareDateTime(required=True, metadata={"description": "By the clock of the service."})
    by = fields.Nested(DoneByShape, required=True)
    reason = word(Reason)
    note = fields.String()
    assignee = text("Who has it from then on; absent where it was given back.")
    until = word(Until)
    ends_at = fields.AwareDateTime(metadata={"description": "When a snooze ends at the latest."})
    undoes = text("The act that this one undoes.")
    undone_by = text("The act that undoes this one.")
    severity = word(Severity, required=True)
    flag = text("The newest flag of the episode at the time, as the severity is that of then.", required=True)
    episode = text("The episode that it was about, where that one was merged into this one later.")


class SnoozedShape(Schema):
    act = fields.String(required=True)
    until = word(Until, required=True)
    ends_at = fields.AwareDateTime(required=True)
    by = fields.Nested(DoneByShape, required=True)


class AssignedShape(Schema):
    act = fields.String(required=True)
    to = fields.String(required=True)
    at = moment()


class CallbackShape(Schema):
    id = fields.String(required=True)
    flag = text("The flag that it was about.", required=True)
    value = fields.Dict(required=True, metadata={"description": "The value of the flag as it was then."})
    result_version = fields.Integer(required=True)
    by = fields.Nested(DoneByShape, required=True, metadata={"description": "Who called, or recorded it."})
    told_to = fields.String(required=True)
    at = fields.AwareDateTime(required=True)
    recorded_at = fields.AwareDateTime(required=True)
    how = word(How, required=True)
    outcome = word(Reached, required=True)
    read_back = fields.Boolean(required=True)
    no_read_back = fields.String()
    note = fields.String()


class EpisodeViewShape(KeptEpisodeShape):
    patient = fields.Nested(PatientRefShape, required=True)
    snoozed = fields.Nested(SnoozedShape, metadata={"description": "Absent where it is not, or no longer."})
    assigned = fields.Nested(AssignedShape, metadata={"description": "Absent where nobody has it."})
    acts = fields.List(
        fields.Nested(ActShape), required=True, metadata={"description": f"The last {LATEST}, in order."}
    )
    callbacks = fields.List(
        fields.Nested(CallbackShape), required=True, metadata={"description": f"The last {LATEST}, in order."}
    )
    all_acts = text("Address of all acts, in pages; absent where all are here.")
    all_callbacks = text("Address of all calls, in pages; absent where all are here.")
    intended_use = fields.String(required=True)


class _ListShape(Schema):
    next = text("Address of the next page; null on the last one.", allow_none=True, required=True)
    intended_use = fields.String(required=True)


class ActPageShape(_ListShape):
    items = fields.List(fields.Nested(ActShape), required=True)


class CallbackPageShape(_ListShape):
    items = fields.List(fields.Nested(CallbackShape), required=True)


class ItemProblemShape(Schema):
    type = fields.String(required=True)
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    remedy = fields.String(required=True)
    errors = fields.List(fields.Nested(ErrorShape))


class BulkItemShape(Schema):
    episode = fields.String(required=True)
    status = fields.Integer(
        required=True, metadata={"description": "What it would be answered with by itself: 201 if it was done now."}
    )
    acknowledged = fields.Nested(AcknowledgedShape)
    problem = fields.Nested(ItemProblemShape)


class BulkAnswerShape(Schema):
    items = fields.List(fields.Nested(BulkItemShape), required=True)
    acknowledged = fields.Integer(required=True)
    refused = fields.Integer(required=True)


class WaitingShape(Schema):
    flag = fields.String(required=True)
    raised_at = moment()
    minutes = fields.Integer(required=True, metadata={"description": "How long it has waited by now."})
    href = fields.String(required=True)


class MinutesShape(Schema):
    median = fields.Integer(required=True, allow_none=True)
    percentile_90 = fields.Integer(required=True, allow_none=True)


class TimelinessShape(Schema):
    source = fields.String(required=True)
    raised = fields.Integer(required=True, metadata={"description": "Critical flags raised in the period."})
    told = fields.Integer(required=True, metadata={"description": "Of these, those about which somebody was reached."})
    taken_back = fields.Integer(
        required=True, metadata={"description": "Superseded or withdrawn before anybody was reached."}
    )
    still_open = fields.Integer(required=True, metadata={"description": "They stand, and nobody was reached."})
    minutes = fields.Nested(
        MinutesShape,
        required=True,
        metadata={"description": "Whole minutes from raised to first reached, by nearest rank; null where none was."},
    )
    oldest_open = fields.List(
        fields.Nested(WaitingShape), required=True, metadata={"description": "The oldest 100 that are still open."}
    )


class TimelinessReportShape(Schema):
    since = fields.AwareDateTime(required=True, data_key="from")
    until = fields.AwareDateTime(required=True, data_key="to")
    items = fields.List(fields.Nested(TimelinessShape), required=True)
