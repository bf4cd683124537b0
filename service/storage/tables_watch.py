"""The tables of watching: the escalation policy, its steps taken, and the feeds that are expected.

Law: a step is taken once, and a feed is silent once, whoever looks at the same time.
"""

from service.storage.tables import metadata

__all__ = ["metadata"]
