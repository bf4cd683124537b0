"""What the tests of subscriptions ask for, and a stand-in for the channels.

Law: nothing is sent anywhere; whether an endpoint may be subscribed is said by its first letters.
"""

from typing import Any

HOOK = "https://alerts.example/hook"
HERE = "/v1/subscriptions"


class Letterbox:
    """A channel that takes addresses with one beginning."""

    def __init__(self, begins: str) -> None:
        self.begins = begins

    def faults(self, endpoint: str) -> list[str]:
        return [] if endpoint.startswith(self.begins) else [f"must begin with {self.begins}"]


LETTERBOXES = {"webhook": Letterbox("https://"), "email": Letterbox("mailto:"), "pager": Letterbox("https://")}


def wanted(**more: Any) -> dict[str, Any]:
    """A subscription, as it is asked for."""
    return {"name": "ward 7", "endpoint": HOOK, **more}
