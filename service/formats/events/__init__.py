"""Events in the languages of those who are told: one module for each.

    an event, and to whom it is told ─► native, CloudEvents, FHIR, mail, Alertmanager, PagerDuty ─► bytes

Law: thin is ids and words of ours, in every language: no identity and no value. What is shown in full is handed in.
"""

from collections.abc import Callable, Mapping

from service.domain.subscriptions import Format
from service.formats.events import alertmanager, cloudevents, fhir, mail, native, pagerduty
from service.formats.events.telling import Telling, Written

__all__ = ["Telling", "Written", "write"]

_WRITERS: Mapping[Format, Callable[[Telling], Written]] = {
    Format.NATIVE: native.write,
    Format.CLOUDEVENTS: cloudevents.write,
    Format.FHIR: fhir.write,
    Format.TEXT: mail.write,
    Format.ALERTMANAGER: alertmanager.write,
    Format.PAGERDUTY: pagerduty.write,
}


def write(telling: Telling, language: Format) -> Written:
    """The message in this language."""
    return _WRITERS[language](telling)
