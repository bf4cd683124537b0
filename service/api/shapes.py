"""The shape of every answer, for the OpenAPI document.

Law: these describe and do not convert; the tests hold every kind of answer against them.
"""

from typing import Any

from marshmallow import Schema, fields

from service.domain.actors import ActorKind
from service.domain.acts import Reason
from service.domain.episodes import EpisodeState
from service.domain.panels import Status
from service.domain.rules import Direction, Finding, Severity
from service.domain.verdicts import Outcome
from service.domain.verdicts import Reason as Unjudged
from service.storage.tables import FLAG_STATES


def text(description: str = "", **options: Any) -> fields.String:
    return fields.String(metadata={"description": description} if description else {}, **options)


def word(choices: Any, **options: Any) -> fields.String:
    return fields.String(metadata={"enum": [str(choice) for choice in choices]}, **options)


def moment(*, nullable: bool = False) -> fields.AwareDateTime:
    return fields.AwareDateTime(allow_none=nullable)


class NoteBriefShape(Schema):
    id = text("Changes whenever a word of the note changes.", required=True)
    text = fields.String(metadata={"description": "The note, in paragraphs."})
    sources = fields.List(fields.String())


class VerdictShape(Schema):
    pointer = text("Place of the result in the message (JSON Pointer).", required=True)
    result = text("The result; the same for all its versions.", required=True)
    version = fields.Integer(required=True)
    outcome = word(Outcome, required=True)
    analyte = fields.String()
    finding = word(Finding)
    severity = word(Severity)
    at_least = fields.Boolean(metadata={"description": "A worse grade or severity is possible but not certain."})
    grade = text("The grade with its scale and version.")
    classification = text("A second scale, where there is one (WHO 2024 for anemia).")
    direction = word(Direction)
    provisional = fields.Boolean(metadata={"description": "The result is preliminary."})
    why = text("Why it was flagged or is clear.")
    reason = word(Unjudged)
    detail = text("Why it could not be judged.")
    hint = text("What would help.")
    flag = fields.String()
    duplicate = fields.Boolean()
    notice = text("What the sender should know about this version.")
    context = fields.Dict(metadata={"description": "Shown beside the value; decides nothing."})


class SentShape(Schema):
    id = fields.String()
    analyte = fields.String()
    code = fields.Dict()
    value = text("The number to the letter.", required=True)
    comparator = fields.String()
    unit = fields.String(required=True)
    reference_range = fields.Dict()
    status = fields.String(required=True)
    note = fields.String()


class MappedShape(Schema):
    """What the map of its source made of a result."""

    by = text("Source and version of the map.", required=True)
    analyte = fields.String()
    unit = fields.String()
    range_unit = fields.String()


class KeptVerdictShape(VerdictShape):
    current = fields.Boolean(metadata={"description": "Is this the version of the result that counts?"})
    sent = fields.Nested(SentShape)
    mapped = fields.Nested(MappedShape)


class CountsShape(Schema):
    received = fields.Integer(required=True)
    flagged = fields.Integer(required=True)
    clear = fields.Integer(required=True)
    not_judged = fields.Integer(required=True)
    rejected = fields.Integer(required=True)


class RaisedFlagShape(Schema):
    id = fields.String()
    finding = word(Finding, required=True)
    severity = word(Severity, required=True)
    at_least = fields.Boolean()
    grade = fields.String()
    classification = fields.String()
    state = word(FLAG_STATES, required=True)
    provisional = fields.Boolean()
    episode = fields.String()
    collected_at = moment()
    why = fields.String(required=True)
    note = fields.Nested(NoteBriefShape, required=True)
    href = text("The flag with the whole explanation.")
    html = text("The page of the flag.")


class ChangeShape(Schema):
    type = text("lab.flag. and what happened.", required=True)
    flag = fields.String()
    by = text("The flag that replaces it.")
    episode = fields.String()
    finding = word(Finding)
    severity = word(Severity)
    late = fields.Boolean(metadata={"description": "Found in a result older than the newest of its episode."})


class ReceiptShape(Schema):
    id = text("The panel; null in a dry run.", allow_none=True, required=True)
    duplicate = fields.Boolean(required=True)
    ruleset = fields.String(required=True)
    counts = fields.Nested(CountsShape, required=True)
    verdicts = fields.List(fields.Nested(VerdictShape), required=True)
    flags = fields.List(fields.Nested(RaisedFlagShape), required=True)
    changes = fields.List(fields.Nested(ChangeShape), required=True)
    intended_use = fields.String(required=True)


class LineShape(Schema):
    line = fields.Integer(metadata={"description": "Number of the line in the message, from 1."})
    status = fields.Integer(metadata={"description": "What the line would be answered with by itself."})
    summary = fields.Dict(metadata={"description": "On the last line: the accounting of the whole message."})


class PatientRefShape(Schema):
    id = fields.String(required=True)
    authority = fields.String(required=True)


class PanelAnswerShape(Schema):
    id = fields.String(required=True)
    patient = fields.Nested(PatientRefShape, required=True)
    source = fields.String(required=True)
    accession = fields.String(allow_none=True)
    collected_at = moment()
    received_at = moment()
    counts = fields.Nested(CountsShape, required=True)
    verdicts = fields.List(fields.Nested(KeptVerdictShape), required=True)
    intended_use = fields.String(required=True)


class FlagBaseShape(Schema):
    id = fields.String(required=True)
    patient = fields.Nested(PatientRefShape, required=True)
    finding = word(Finding, required=True)
    severity = word(Severity, required=True)
    state = word(FLAG_STATES, required=True)
    analyte = fields.String()
    at_least = fields.Boolean()
    grade = fields.String()
    classification = fields.String()
    direction = word(Direction)
    provisional = fields.Boolean()
    superseded_by = fields.String()
    collected_at = moment()
    raised_at = moment()
    changed_at = moment()
    why = fields.String(required=True)
    panel = fields.String(required=True)
    source = fields.String(required=True)
    ruleset = fields.String(required=True)
    href = fields.String(required=True)
    html = fields.String(required=True)


class FlagShape(FlagBaseShape):
    episode = fields.String(required=True)
    note = fields.Nested(NoteBriefShape, required=True)


class AsKnownShape(Schema):
    """What a page says that is not of the present."""

    as_known_at = fields.AwareDateTime(
        metadata={"description": "The moment of which the page is; absent where it is of the present."}
    )
    exact = fields.Boolean(metadata={"description": "Is it certain that it was known so at that moment?"})
    notice = text("Why it is not certain.")


class FlagPageShape(AsKnownShape):
    items = fields.List(fields.Nested(FlagShape), required=True)
    next = text("Address of the next page; null on the last one.", allow_none=True, required=True)
    intended_use = fields.String(required=True)


class DoneByShape(Schema):
    """Who did something, by the name of then."""

    kind = word(ActorKind, required=True)
    id = fields.String(required=True)
    name = fields.String(required=True)


class AcknowledgedShape(Schema):
    act = fields.String(required=True)
    at = moment()
    reason = word(Reason, required=True)
    by = fields.Nested(DoneByShape, required=True)


class EpisodeShape(Schema):
    id = fields.String(required=True)
    acknowledged = fields.Nested(AcknowledgedShape, metadata={"description": "Absent where nobody has, or no longer."})
    finding = word(Finding, required=True)
    state = word(EpisodeState, required=True)
    severity = word(Severity, required=True)
    worst = word(Severity, required=True)
    opened_at = moment()
    last_at = moment()
    resolved_at = moment(nullable=True)


class EventShape(Schema):
    type = fields.String(required=True)
    at = moment()
    flag = fields.String()
    by = fields.String()
    late = fields.Boolean()


class NoteSourceShape(Schema):
    title = fields.String(required=True)
    url = fields.String(allow_none=True)


class NoteShape(Schema):
    id = fields.String(required=True)
    finding = word(Finding, required=True)
    severity = word(Severity, required=True)
    title = fields.String(required=True)
    text = fields.String(required=True)
    reviewed = fields.String(required=True)
    sources = fields.List(fields.Nested(NoteSourceShape), required=True)


class FlagViewShape(FlagBaseShape):
    results = fields.List(fields.String(), required=True)
    result_version = fields.Integer(required=True)
    explanation = fields.Dict(required=True)
    episode = fields.Nested(EpisodeShape, required=True)
    note = fields.Nested(NoteShape, required=True)
    context = fields.Dict(allow_none=True)
    history = fields.List(fields.Nested(EventShape), required=True)
    intended_use = fields.String(required=True)


class ItemsShape(Schema):
    items = fields.List(fields.Dict(), required=True)


class AnalytesShape(ItemsShape):
    loinc_notice = fields.String(required=True)


class RuleSetShape(Schema):
    version = fields.String(required=True)
    title = fields.String(required=True)
    published = fields.String(required=True)
    checksum = fields.String(required=True)
    current = fields.Boolean(required=True)
    href = fields.String(required=True)
    rules = fields.List(fields.Dict())
    patterns = fields.List(fields.Dict())
    precedence = fields.Dict()
    sources = fields.Dict()


class RuleSetsShape(Schema):
    items = fields.List(fields.Nested(RuleSetShape), required=True)


class NotesShape(Schema):
    items = fields.List(fields.Nested(NoteShape), required=True)
    intended_use = fields.String(required=True)


class ErrorShape(Schema):
    pointer = fields.String(required=True)
    code = fields.String(required=True)
    detail = fields.String(required=True)
    value = fields.Raw()
    hint = fields.String()


class ProblemShape(Schema):
    type = text("Address of the description of this kind of problem.", required=True)
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    remedy = text("What to do about it.", required=True)
    instance = fields.String(required=True)
    request_id = fields.String(required=True, data_key="requestId")
    errors = fields.List(fields.Nested(ErrorShape))


class HealthShape(Schema):
    status = word(("pass", "warn", "fail"), required=True)
    version = fields.String(required=True)
    checks = fields.Dict()


class KeyShape(Schema):
    name = fields.String(required=True)
    source = text("The source of everything that is sent with it.", required=True)
    scopes = fields.List(fields.String(), required=True)
    trials = fields.Boolean(required=True, metadata={"description": "Is nobody told of what it brings about?"})
    expires_at = moment()


class ConvertedShape(Schema):
    value = text("The value in the canonical unit of the analyte, exactly.", required=True)
    unit = fields.String(required=True)
    comparator = fields.String()


class StandingFlagShape(Schema):
    id = fields.String(required=True)
    state = word(FLAG_STATES, required=True)
    episode = fields.String(required=True)
    href = fields.String(required=True)


class TimelineEntryShape(VerdictShape):
    class Meta:
        exclude = ("pointer", "duplicate", "notice")

    versions = fields.Integer(required=True, metadata={"description": "How many versions of the result are kept."})
    collected_at = moment()
    received_at = moment()
    panel = fields.String(required=True)
    ruleset = fields.String(required=True)
    status = word(Status, required=True)
    sent = fields.Nested(SentShape, required=True)
    mapped = fields.Nested(MappedShape)
    converted = fields.Nested(ConvertedShape)
    flag = fields.Nested(StandingFlagShape)  # type: ignore[assignment]  # shown with its state here


class TimelinePageShape(AsKnownShape):
    items = fields.List(fields.Nested(TimelineEntryShape), required=True)
    next = text("Address of the next page; null on the last one.", allow_none=True, required=True)
    intended_use = fields.String(required=True)


class ReplayedResultShape(Schema):
    result = fields.String(required=True)
    version = fields.Integer(required=True)


class ReplayFactsShape(Schema):
    as_of = word(("raised", "now"), required=True)
    changed_since = fields.Boolean(required=True)


class DifferenceShape(Schema):
    pointer = text("Place in the flag (JSON Pointer); empty for the whole of it.", required=True)
    was = fields.Raw(allow_none=True)
    now = fields.Raw(allow_none=True)


class ReplayShape(Schema):
    flag = fields.String(required=True)
    equal = fields.Boolean(required=True, metadata={"description": "Does the same flag come of it?"})
    ruleset = fields.String(required=True)
    results = fields.List(fields.Nested(ReplayedResultShape), required=True)
    facts = fields.Nested(ReplayFactsShape, required=True)
    differences = fields.List(fields.Nested(DifferenceShape), required=True)
    intended_use = fields.String(required=True)
