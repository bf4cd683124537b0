"""From what was found to the JSON that is answered.

Law: nothing is computed here. An absent member means that there is nothing to say; numbers of results are texts, to
the letter.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row

from service.catalogue.load import Catalogue
from service.catalogue.notes import AT_LEAST, Note
from service.domain.actors import Actor
from service.domain.acts import Act
from service.domain.analytes import Analyte, Analytes, Cut, ReferenceInterval, Source
from service.domain.people import Population
from service.domain.quantities import plain
from service.domain.rules import GradedLimit, Pattern
from service.domain.rulesets import RuleSet
from service.domain.units import UnitTable
from service.domain.verdicts import Outcome, Verdict, replaced
from service.flows.arrivals import Arrival
from service.flows.keeping import Told
from service.flows.receipts import Receipt, ShownFlag
from service.storage.history import FlagView
from service.storage.panels import Item, KeptPanel
from service.storage.patients import KeptPatient

Data = dict[str, Any]


def instant(moment: datetime | None) -> str | None:
    """A time as it is answered: RFC 3339 in UTC."""
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def present(**members: Any) -> Data:
    """The members that say something."""
    return {name: value for name, value in members.items() if value is not None and value is not False}


def receipt(found: Receipt, catalogue: Catalogue, *, brief: bool = False) -> Data:
    """The answer to a panel; ``brief`` where many are answered at once: notes by name, no line of intended use."""
    verdicts = [verdict for _, verdict in found.items]
    by_subject = {shown.flag.subject: shown.flag.id for shown in found.flags}
    notes = [catalogue.note(shown.flag.finding, shown.flag.severity) for shown in found.flags]
    told = {
        "id": found.id,
        "duplicate": found.duplicate,
        "ruleset": found.ruleset,
        "counts": counts([verdict.outcome for verdict in verdicts]),
        "verdicts": [_item(one, verdict, by_subject.get(one.held.key)) for one, verdict in found.items],
        "flags": [_flag(shown, note, brief=brief) for shown, note in zip(found.flags, notes, strict=True)],
        "changes": [change(told) for told in found.told],
    }
    return told if brief else told | {"intended_use": catalogue.intended_use}


def counts(outcomes: list[str]) -> Data:
    """The accounting: what was received, and how all of it ended."""
    return {"received": len(outcomes), **{one.value: outcomes.count(one) for one in Outcome}}


def _item(one: Arrival, verdict: Verdict, flag: str | None) -> Data:
    head = {"pointer": one.held.result.pointer, "result": one.held.key, "version": one.held.version}
    return head | verdict_data(verdict) | present(flag=flag, duplicate=one.duplicate, notice=one.notice)


def verdict_data(verdict: Any) -> Data:
    """A verdict, of the domain or as kept (both name their parts alike)."""
    judged = verdict.outcome != Outcome.NOT_JUDGED
    return {"outcome": str(verdict.outcome)} | present(
        analyte=verdict.analyte,
        finding=verdict.finding if verdict.outcome == Outcome.FLAGGED else None,
        severity=verdict.severity,
        at_least=verdict.at_least,
        grade=verdict.grade,
        classification=verdict.classification,
        direction=verdict.direction,
        provisional=verdict.provisional,
        why=verdict.why if judged else None,
        reason=verdict.reason,
        detail=None if judged else verdict.why,
        hint=verdict.hint,
        context=verdict.context,
    )


def _flag(shown: ShownFlag, note: Note, *, brief: bool) -> Data:
    flag = shown.flag
    told = present(
        id=flag.id,
        finding=flag.finding,
        severity=flag.severity,
        at_least=flag.at_least,
        grade=flag.grade,
        classification=flag.classification,
        state=shown.state,
        provisional=flag.provisional,
        episode=shown.episode,
        collected_at=instant(flag.collected_at),
        why=flag.why,
    )
    shown_note = {"id": note.id} if brief else note_brief(note.as_data(), at_least=flag.at_least)
    return told | {"note": shown_note} | _links(flag.id)


def _links(flag_id: str | None) -> Data:
    return {} if flag_id is None else {"href": f"/v1/flags/{flag_id}", "html": f"/flags/{flag_id}"}


def note_brief(note: Mapping[str, Any], *, at_least: bool) -> Data:
    """A note as it stands beside a flag."""
    sources = [one["title"] for one in note["sources"]]
    return {"id": note["id"], "text": note_text(note, at_least=at_least), "sources": sources}


def note_text(note: Mapping[str, Any], *, at_least: bool) -> str:
    """The text of a note. Where a worse value is possible, it says so first: the note speaks of one severity."""
    return f"{AT_LEAST}\n\n{note['text']}" if at_least else str(note["text"])


def change(told: Told) -> Data:
    """A change, as it stands in answers."""
    return {"type": told.type} | present(
        flag=told.flag, by=told.by, episode=told.episode, finding=told.finding, severity=told.severity, late=told.late
    )


def flag_row(row: Row[Any]) -> Data:
    """A kept flag in a list."""
    plain_members = present(
        analyte=row.analyte,
        at_least=row.at_least,
        grade=row.grade,
        classification=row.classification,
        direction=row.direction,
        provisional=row.provisional,
        superseded_by=row.superseded_by,
    )
    return {
        "id": row.id,
        "patient": {"id": row.patient_identifier, "authority": row.patient_authority},
        "finding": row.finding,
        "severity": row.severity,
        "state": row.state,
        **plain_members,
        "collected_at": instant(row.collected_at),
        "raised_at": instant(row.raised_at),
        "changed_at": instant(row.changed_at),
        "why": row.why,
        "episode": row.episode_id,
        "panel": row.panel_id,
        "source": row.source,
        "ruleset": row.ruleset,
        "note": {"id": row.note_id},
        **_links(row.id),
    }


def flag_view(view: FlagView, intended_use: str) -> Data:
    """One flag with the whole explanation."""
    return flag_row(view.flag) | {
        "results": list(view.flag.basis),
        "result_version": view.flag.version,
        "explanation": view.flag.explanation,
        "episode": episode(view.episode, view.acknowledged),
        "note": {**view.note, "text": note_text(view.note, at_least=view.flag.at_least)},
        "context": view.context,
        "history": [_event(event) for event in view.events],
        "intended_use": intended_use,
    }


def episode(row: Row[Any], acknowledged: Act | None = None) -> Data:
    """An episode, as it is kept, and the acknowledgement that holds of it."""
    return present(acknowledged=acknowledged and acknowledgement(acknowledged)) | {
        "id": row.id,
        "finding": row.finding,
        "state": row.state,
        "severity": row.level,
        "worst": row.peak,
        "opened_at": instant(row.opened_at),
        "last_at": instant(row.last_at),
        "resolved_at": instant(row.resolved_at),
    }


def acknowledgement(act: Act) -> Data:
    """That an episode is acknowledged: by which act, when, why and by whom."""
    return {"act": act.id, "at": instant(act.at), "reason": act.reason, "by": actor(act.actor)}


def actor(found: Actor) -> Data:
    """Who did something."""
    return {"kind": found.kind, "id": found.id, "name": found.name}


def _event(row: Row[Any]) -> Data:
    return {"type": row.type, "at": instant(row.at)} | present(
        flag=row.flag_id, by=row.data["by"], late=row.data["late"]
    )


def panel(
    kept: KeptPanel,
    patient: KeptPatient,
    rows: Mapping[tuple[str, int], tuple[Row[Any], Row[Any]]],
    *,
    intended_use: str,
) -> Data:
    """A kept panel, with what was sent and how it is judged now."""
    items = [(item, *_as_it_counts(*rows[item.result, item.version])) for item in kept.items]
    return {
        "id": kept.id,
        "patient": {"id": patient.identifier, "authority": patient.authority},
        "source": kept.source,
        "accession": kept.accession,
        "collected_at": instant(kept.collected_at),
        "received_at": instant(kept.received_at),
        "counts": counts([verdict.outcome for _, _, verdict in items]),
        "verdicts": [_panel_item(item, result, verdict) for item, result, verdict in items],
        "intended_use": intended_use,
    }


def _as_it_counts(result: Row[Any], verdict: Row[Any]) -> tuple[Row[Any], Any]:
    """A result with its verdict; a version that another one has replaced is not judged any more."""
    return result, verdict if result.current else replaced(result.analyte, verdict.ruleset)


def _panel_item(item: Item, result: Row[Any], verdict: Any) -> Data:
    head = {
        "pointer": item.pointer,
        "result": item.result,
        "version": item.version,
        "current": result.current,
        "sent": sent(result),
    }
    return head | verdict_data(verdict) | present(duplicate=item.duplicate, notice=item.notice, mapped=mapped(result))


def mapped(row: Row[Any]) -> Data | None:
    """What the map of its source made of a result: analyte, units, and by which map."""
    found: Data | None = (row.besides or {}).get("mapped")
    return found


def sent(row: Row[Any]) -> Data:
    """A version of a result as it was sent."""
    code = None if row.code is None else {"system": row.code_system, "code": row.code}
    limits = present(low=row.range_low, high=row.range_high, unit=row.range_unit)
    return present(
        id=row.sender_id,
        analyte=row.analyte_sent,
        code=code,
        comparator=row.comparator or None,
        reference_range=limits or None,
        note=row.note,
    ) | {"value": row.value, "unit": row.unit, "status": row.status}


def source(found: Source) -> Data:
    """A source."""
    return {"title": found.title, "evidence": found.evidence} | present(url=found.url)


def analyte(found: Analyte) -> Data:
    """An analyte with its units, codes and intervals."""
    return {
        "key": found.key,
        "name": found.name,
        "aliases": list(found.aliases),
        "canonical_unit": found.canonical_unit,
        "units": [
            {"code": unit.code, "factor": plain(unit.factor), "spellings": [*unit.spellings, *unit.exact]}
            for unit in found.units.units
        ],
        "loinc": [{"code": code, "name": name} for code, name in found.loinc.items()],
        "plausible": {"low": str(found.plausible.low), "high": str(found.plausible.high)},
        "intervals": [_interval(interval, found.units) for interval in found.intervals],
        "not_established": [
            {"population": gap.population.label, "reason": gap.reason} for gap in found.not_established
        ],
    }


def _interval(interval: ReferenceInterval, units: UnitTable) -> Data:
    sides = present(
        low=_cut(interval.low, units),
        high=_cut(interval.high, units),
        high_source=None if interval.high_source is None else source(interval.high_source),
        note=interval.note,
    )
    return (
        {"population": interval.population.label, "source": source(interval.source)} | sides | _who(interval.population)
    )


def _cut(cut: Cut | None, units: UnitTable) -> Data | None:
    """A number as published: for each unit family for which it is, in the unit of that family."""
    return None if cut is None else {family: units[family].express(cut[family]) for family in sorted(cut.published)}


def _who(population: Population) -> Data:
    return present(
        sex=next(iter(population.sexes)) if len(population.sexes) == 1 else None,
        age_from=f"{population.start.count} {population.start.unit}" if population.start else None,
        age_to=f"{population.end.count} {population.end.unit}" if population.end else None,
        trimesters=sorted(population.states - {0}) or None,
    )


def ruleset_brief(found: RuleSet, *, current: str) -> Data:
    """A rule set in a list."""
    return {
        "version": found.version,
        "title": found.title,
        "published": found.published,
        "checksum": found.checksum,
        "current": found.version == current,
        "href": f"/v1/rulesets/{found.version}",
    }


def ruleset(found: RuleSet, analytes: Analytes, *, current: str) -> Data:
    """A rule set with every row of its rules."""
    return ruleset_brief(found, current=current) | {
        "rules": [_rule(rule, analytes[rule.analytes[0]].units) for rule in found.graded],
        "patterns": [_pattern(found.pattern)] if found.pattern else [],
        "precedence": {finding.value: list(order) for finding, order in found.precedence.items()},
        "sources": {name: source(one) for name, one in found.sources.items()},
    }


def _rule(rule: GradedLimit, units: UnitTable) -> Data:
    return {
        "key": rule.key,
        "finding": rule.finding.value,
        "analytes": list(rule.analytes),
        "direction": rule.direction.value,
        "scale": rule.scale,
        "rows": [_row(rule, index, units) for index in range(len(rule.rows))],
        "classification": rule.classification.scale if rule.classification else None,
    }


def _row(rule: GradedLimit, index: int, units: UnitTable) -> Data:
    row = rule.rows[index]
    beyond: Any = "the reference limit" if index == 0 else None
    if row.multiple is not None:
        beyond = f"{plain(row.multiple)} times the reference limit"
    return {
        "row": index + 1,
        "beyond": _cut(row.start, units) if beyond is None else beyond,
        "severity": row.severity.value,
        "grade": rule.label(row),
        "rests_on": row.rests_on,
        "sources": list(row.sources),
    }


def _pattern(found: Pattern) -> Data:
    return {
        "key": found.key,
        "finding": found.finding.value,
        "of": [finding.value for finding in found.of],
        "at_least": found.at_least,
        "severity": found.severity.value,
        "rests_on": found.rests_on,
        "sources": list(found.sources),
    }
