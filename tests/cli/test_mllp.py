"""What an operator is promised of ``lab-alerts mllp``."""

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from service.cli import main
from service.formats.hl7v2.frames import framed
from tests.formats.hl7v2.build import obx, report


def run(*arguments):
    return CliRunner().invoke(main, ["mllp", *arguments])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Missing option '--source'"),
        (["--source", "a", "--host", "192.0.2.1"], "name who may connect"),
        (["--source", "a", "--allow", "anybody"], "write an address or a network"),
        (["--source", "a", "--zone", "Mars/Base"], "is not a time zone"),
        (["--source", "a", "--tls-client-ca", __file__], "need --tls-cert"),
        (["--source", "a", "--tls-cert", __file__], "cannot be read"),
    ],
)
def test_what_cannot_be_meant_is_said(arguments, said):
    done = run(*arguments)

    assert done.exit_code != 0
    assert said in done.output


def test_it_listens_until_it_is_asked_to_stop(address):
    command = [str(Path(sys.executable).parent / "lab-alerts"), "mllp", "--source", "lab-1", "--port", "0"]
    environment = {"LAB_ALERTS_DATABASE_URL": address, "PATH": "/usr/bin:/bin"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)  # noqa: S603  our own program
    try:
        told = next(line for line in process.stdout if '"mllp listens"' in line)
        with socket.create_connection(("127.0.0.1", int(re.search(r'"port":(\d+)', told)[1])), timeout=20) as sock:
            sock.sendall(framed(report(obx())))
            answer = sock.recv(65_536)
    finally:
        process.send_signal(signal.SIGTERM)
        left = process.communicate(timeout=20)[0]

    assert b"MSA|AA|M1" in answer
    assert process.returncode == 0
    assert '"mllp stopped"' in left
    assert "88204113" not in left
