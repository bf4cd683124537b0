"""One page of a list, as every list is answered.

Law: the next page is told twice, in the body and in the Link header (RFC 8288), and it is the same address.
"""

from typing import Any

from flask import Response, jsonify

from service.api.guard import means
from service.api.reading import next_page


def paged(items: list[dict[str, Any]], cursor: str | None, **more: Any) -> Response:
    """The items of a page; ``cursor`` is where the next one begins, None on the last page. ``more`` stands beside."""
    following = next_page(cursor) if cursor else None
    page = {"items": items, "next": following, **more, "intended_use": means().catalogue.intended_use}
    response = jsonify(page)
    if following:
        response.headers["Link"] = f'<{following}>; rel="next"'
    return response
