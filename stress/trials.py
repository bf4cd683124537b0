"""Every trial by its name, in the order in which they run."""

from collections.abc import Callable, Mapping
from functools import partial

from stress import crowd, described, disk, fuzz, kills, restarts, slow, stops, telling
from stress.common import Found, Place, Size

Trial = Callable[[Place, Size], Found]

TRIALS: Mapping[str, Trial] = {
    "kill-sqlite": partial(kills.trial, "sqlite"),
    "kill-postgresql": partial(kills.trial, "postgresql"),
    "restart-postgresql": restarts.trial,
    "full-disk": disk.trial,
    "crowd-sqlite": partial(crowd.trial, "sqlite"),
    "crowd-postgresql": partial(crowd.trial, "postgresql"),
    "slow-clients": slow.trial,
    "stop-sqlite": partial(stops.trial, "sqlite"),
    "stop-postgresql": partial(stops.trial, "postgresql"),
    "telling-sqlite": partial(telling.trial, "sqlite"),
    "telling-postgresql": partial(telling.trial, "postgresql"),
    "described": described.trial,
    "fuzz": fuzz.trial,
}
