"""One writer as a process of its own: reads a panel and an address from each line, sends the one to the other, answers.

{"address": "sqlite:///…", "panel": {…}, "at": 1795176000.5}  ─►  {"id": "pnl_…", "duplicate": false, "told": […]}
"""

import json
import sys
import time

from service.catalogue.load import load
from service.flows.means import Means
from service.storage.database import Database
from tests.flows.build import Sender


def main() -> None:
    catalogue = load("blood-findings-1")
    print("ready", flush=True)  # noqa: T201  this is how it answers
    for line in sys.stdin:
        order = json.loads(line)
        database = Database.open(order["address"], timeout=30)
        time.sleep(max(0.0, order["at"] - time.time()))  # so that all begin at once
        receipt = Sender(Means(database=database, catalogue=catalogue)).send(order["panel"])
        database.close()
        answer = {"id": receipt.id, "duplicate": receipt.duplicate, "told": [one.type for one in receipt.told]}
        print(json.dumps(answer), flush=True)  # noqa: T201  this is how it answers


if __name__ == "__main__":
    main()
