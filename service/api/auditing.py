"""What every request leaves behind: who asked for what, about whom, and how it ended.

Law: an entry is put in a queue and nobody waits for it. It holds our pseudonym of a patient and counts; never an
identifier, a path or a value.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from flask import Flask, Response, current_app, g, request

from service.api import counting, guard
from service.domain.actors import ActorKind
from service.domain.audit import SYSTEM, Entry
from service.flows.means import Means
from service.flows.receipts import Receipt
from service.flows.trail import Trail
from service.storage.database import Database

NAME = "lab_alerts_audit"
# Scrapes tell of nobody, and there would be more of them than of anything else.
UNTOLD = frozenset({"metrics.show"})
_READING = frozenset({"GET", "HEAD"})


def about(patient: str | None) -> None:
    """This request is about one patient, by our own name for them."""
    g.audit_subject = patient


def about_each(patients: Iterable[str]) -> None:
    """This request is about these patients: of one it says which, of several how many."""
    found = set(patients)
    if len(found) == 1:
        about(*found)
    elif found:
        beside(patients=len(found))


def about_panels(receipts: Sequence[Receipt]) -> None:
    """This request brought panels."""
    about_each(one.patient for one in receipts if one.patient is not None)
    beside(panels=len(receipts))


def beside(**detail: int | str | bool) -> None:
    """Something to be noted of this request: counts and words of ours."""
    noted().update(detail)


def noted() -> dict[str, Any]:
    """What is noted of this request; what streams goes on noting until it ends."""
    if "audit_detail" not in g:
        g.audit_detail = {}
    found: dict[str, Any] = g.audit_detail
    return found


def _end(response: Response) -> Response:
    if _told():
        entry = _entry(response.status_code)
        if response.is_streamed:  # what is noted of it is complete when it has ended
            trail = _trail()
            response.call_on_close(lambda: trail.put(entry))
        else:
            _trail().put(entry)
    return response


_SIGNS_IN = frozenset({"sign_in.back"})  # by GET, for the provider sends the browser there


def _told() -> bool:
    """Is this request one that is written down? What anybody may read, and what no route answers, is not."""
    endpoint = request.endpoint
    if endpoint is None or endpoint in UNTOLD or request.method == "OPTIONS":
        return False
    return endpoint not in guard.PUBLIC or request.method not in _READING or endpoint in _SIGNS_IN


def _entry(status: int) -> Entry:
    kind, actor = _who()
    return Entry(
        at=guard.now(),
        kind=kind,
        actor=actor,
        action=f"{request.method} {request.url_rule}",
        subject=g.get("audit_subject"),
        request_id=g.get("request_id"),
        outcome=str(status),
        detail=noted(),
    )


def _who() -> tuple[str | None, str | None]:
    """Who asks, as far as is known."""
    entered = g.get("audit_person")
    if entered is not None:
        return ActorKind.PERSON.value, entered
    caller = g.get("cds_caller")
    if caller is not None:
        return SYSTEM, caller.client or "anybody"
    try:
        found = guard.actor()
    except AttributeError:  # nobody was let in
        return None, None
    return found.kind.value, found.id


def _trail() -> Trail:
    found: Trail = current_app.extensions[NAME]
    return found


def register(app: Flask) -> None:
    """Write every request down. Must be registered after ``requests``, and before ``etags``, which decides on the
    status.
    """
    app.extensions[NAME] = Trail(lambda: _database(app), lost=counting.audit_lost)
    app.after_request(_end)


def _database(app: Flask) -> Database:
    means: Means = app.extensions["lab_alerts"]
    return means.database
