"""The README is executed: its requests against a running service, its commands in a shell.

Law: nothing in a ``sh`` block is left out, and an answer that is shown is compared.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from itertools import pairwise
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, blocks, misfits, page, unanswered

README = page("README.md")
ANSWERS = {"json", "text"}
_PLACEHOLDER = re.compile(r"\b([a-z]{3})_…")
_PATIENCE = 120  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A service that runs as ``make run`` starts it, and the environment of somebody who uses it."""

    url: str
    printed: str
    environment: dict[str, str]

    def bash(self, commands: str) -> str:
        """Run commands as they are pasted; answers what they print, and fails when one of them does."""
        script = f"set -eu -o pipefail\n{commands}"
        told = {"env": self.environment, "cwd": ROOT, "capture_output": True, "text": True, "timeout": _PATIENCE}
        done = subprocess.run(["/bin/bash", "-c", script], check=False, **told)  # noqa: S603  our README's commands
        assert done.returncode == 0, f"{commands}\nended with {done.returncode}: {done.stderr}"
        return done.stdout


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    port = _free_port()
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "LAB_ALERTS_DATABASE_URL": f"sqlite:///{tmp_path / 'readme.db'}",
        "LAB_ALERTS_BIND": f"127.0.0.1:{port}",
        "LAB_ALERTS_WORKERS": "1",
        "LAB_ALERTS_CDS_HOOKS_AUTH": "off",
        "URL": f"http://127.0.0.1:{port}",
        "no_proxy": "127.0.0.1",
        "TMPDIR": str(tmp_path),  # for mktemp
    }
    log = tmp_path / "output.txt"
    with log.open("w") as output:
        command = [str(Path(sys.executable).parent / "lab-alerts"), "serve", "--quickstart"]
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=output, stderr=output)  # noqa: S603  our own program
    try:
        _wait_until_ready(port, process, log)
        printed = log.read_text(encoding="utf-8")
        environment["KEY"] = re.search(r"^API key +(lak_\S+)$", printed, re.MULTILINE)[1]
        yield Running(url=environment["URL"], printed=printed, environment=environment)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=_PATIENCE)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _ready(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _wait_until_ready(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        if _ready(port):
            return
        time.sleep(0.1)
    pytest.fail(f"the service did not start: {log.read_text(encoding='utf-8')}")


def test_every_answer_shown_is_the_answer(running: Running) -> None:
    executed, answer = 0, ""
    found = blocks(README)

    for number, block in enumerate(found):
        if block.language != "sh":
            continue
        printed = running.bash(_filled(block.text, answer))
        executed += 1
        if number + 1 < len(found) and found[number + 1].language == "json":
            answer = printed
            wrong = list(misfits(json.loads(found[number + 1].text), json.loads(printed)))
            assert not wrong, f"README line {found[number + 1].line}: {'; '.join(wrong)}"
        if number + 1 < len(found) and found[number + 1].language == "text":
            missing = list(unanswered(found[number + 1].text, printed))
            assert not missing, f"README line {found[number + 1].line}: not answered: {'; '.join(missing)}"

    assert executed == sum(block.language == "sh" for block in found) >= 8


def _filled(commands: str, answer: str) -> str:
    """The commands with each placeholder replaced by the first id of its kind in the answer before."""
    return _PLACEHOLDER.sub(lambda kind: re.search(rf"\b{kind[1]}_[0-9A-Z]{{26}}\b", answer)[0], commands)


def test_what_is_printed_at_the_start_returns_a_flag_and_the_flag_history(running: Running) -> None:
    requests = re.split(r"^(?:Send a panel|Read the flag history):$", running.printed, flags=re.MULTILINE)[1:]

    receipt, history = (json.loads(running.bash(text.partition("\n{")[0])) for text in requests)

    assert [flag["finding"] for flag in receipt["flags"]] == ["hypercalcemia"]
    assert [flag["id"] for flag in history["items"]] == [flag["id"] for flag in receipt["flags"]]


def test_every_answer_shown_belongs_to_a_request() -> None:
    languages = [block.language for block in blocks(README)]

    assert set(languages) == {"sh", "json", "text", "yaml", "console"}
    assert all(languages[index - 1] == "sh" for index, language in enumerate(languages) if language in ANSWERS)


def test_every_request_shows_its_answer() -> None:
    found = blocks(README)
    followed = [after.language in ANSWERS for block, after in pairwise(found) if "curl" in block.text]

    assert followed == [True] * sum("curl" in block.text for block in found)


def test_every_make_target_named_exists() -> None:
    made = set(re.findall(r"^(\w+):", page("Makefile"), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z]+)\b(?=`|  )", README + page("CONTRIBUTING.md")))

    assert {"run", "test"} <= named <= made
