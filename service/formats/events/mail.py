"""A mail: a line for the subject, and a few lines that lead to the flag.

Law: a mail is read on telephones and passed on, so it names nobody and holds no value, whatever is asked for.
"""

from service.formats.events.telling import Telling, Written, headline, instant

CONTENT_TYPE = "text/plain; charset=utf-8"


def write(telling: Telling) -> Written:
    """The message."""
    event, data = telling.event, telling.event.data
    lines = [
        _line(f"{headline(telling)}."),
        "",
        *(_line(f"{label}: {data[name]}") for label, name in _LINES if data.get(name) is not None),
        f"Time: {instant(event.at)}",
        *([f"Flag: {event.flag}"] if event.flag else []),
        *([f"Look at it: {telling.link}"] if telling.link else []),
        "",
        "This is a possible finding by published limits, not a diagnosis. Names and values are not sent by mail.",
    ]
    subject = _line(f"lab-alerts: {headline(telling)}")
    return Written(body="\n".join(lines).encode(), content_type=CONTENT_TYPE, subject=subject)


def _line(text: str) -> str:
    """One line, whatever a source is called."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


_LINES = (("Source", "source"), ("Reason", "reason"), ("Waiting, in minutes", "waiting_minutes"))
