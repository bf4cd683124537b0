"""What a caller has already is not sent again: ETag, If-None-Match and 304 (RFC 9110) on every read under /v1.

Law: the tag is made from the very bytes of the answer, or is the version that the view names, so that the same tag
means the same answer. The answer is found anew for every request; nothing is kept between two of them.
"""

from flask import Flask, Response, request

TAGGED = "/v1/"
_READS = frozenset({"GET", "HEAD"})


def _tag(response: Response) -> Response:
    if request.method not in _READS or not request.path.startswith(TAGGED) or response.status_code != 200:
        return response
    response.add_etag()
    if request.if_none_match.contains_weak(response.get_etag()[0] or ""):
        response.set_data(b"")
        response.status_code = 304
    return response


def register(app: Flask) -> None:
    """Tag every read. Must be registered after ``requests``, whose log then says which status was answered."""
    app.after_request(_tag)
