"""A process that takes in an HL7 v2 message and is struck down after the commit, before it can answer.

Call it with the address of the database and the file of the message.
"""

import os
import signal
import sys
from pathlib import Path

from service.catalogue.load import load
from service.flows import whole
from service.flows.hl7v2 import Sending, take_in
from service.flows.means import Means
from service.storage.database import Database
from tests.flows.build import NOW


def main(address: str, message: str) -> None:
    real = whole.with_notes

    def strike(work, means):
        real(work, means)
        os.kill(os.getpid(), signal.SIGKILL)

    whole.with_notes = strike
    means = Means(database=Database.open(address, timeout=30), catalogue=load("blood-findings-1"))
    take_in(Path(message).read_bytes(), Sending(source="lab-1", received_at=NOW, new_id=lambda: "STRUCK"), means)


if __name__ == "__main__":
    main(*sys.argv[1:])
