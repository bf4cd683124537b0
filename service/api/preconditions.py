"""Which version a request was made from, and whether that is still the one (RFC 9110, section 13).

Law: one that changes something by a version that is no longer the newest changes nothing. An ETag of ours begins with
the version, and preconditions look at that alone: the rest of it is about what changes by itself. Tags in If-Match
are compared strongly, so that a weak one never fits.
"""

from flask import request
from werkzeug.datastructures import ETags

IF_MATCH = {
    "in": "header",
    "name": "If-Match",
    "schema": {"type": "string"},
    "description": "The ETag of what was looked at; refused with 412 when it is another version by now.",
}
IF_NONE_MATCH = {
    "in": "header",
    "name": "If-None-Match",
    "schema": {"type": "string"},
    "description": "*: refused with 412 when there is one already.",
}
BOTH = (IF_MATCH, IF_NONE_MATCH)


def hold(version: int) -> bool:
    """Do the preconditions of this request hold of the newest version? 0 stands for none."""
    wanted, unwanted = request.if_match, request.if_none_match
    return not (wanted and not _fits(wanted, version)) and not (unwanted and _fits(unwanted, version, weak=True))


def _fits(tags: ETags, version: int, *, weak: bool = False) -> bool:
    if tags.star_tag:
        return version > 0
    return any(str(tag).partition("-")[0] == str(version) for tag in tags.as_set(include_weak=weak))
