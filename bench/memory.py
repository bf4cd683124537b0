"""Memory: what a long import takes above an idle process, and what a worker keeps of many requests (goals 9, 10).

Law: memory is that of the process itself, as the system counts it; the amounts are told in MB of a million bytes.
"""

import csv
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from bench.client import posts, request
from bench.common import PYTHON, ROOT, Better, Goal, Row, Size
from bench.databases import connect, environment
from bench.machine import Ground, ground, peak, resident
from bench.measured import asked
from bench.synthetic import RESULTS, bodies, identifier, panels

MB = 1_000_000
IMPORT = Goal(number="9", goal=100, floor=300, better=Better.LESS)
GROWTH = Goal(number="10", goal=5, floor=20, better=Better.LESS)
CLIENTS = 8
_COLUMNS = ("patient_id", "authority", "sex", "birth_date", "accession", "collected_at")


def measure(size: Size) -> list[Row]:
    """The import of both kinds of files, and the worker."""
    with ground() as place:
        # A million lines of CSV are a million results; of NDJSON they would be four.
        imports = [_import(place, kind, size) for kind in size.of(("csv",), ("csv", "ndjson"), ("csv",))]
        return [*imports, _growth(place, size)]


def _import(place: Ground, kind: str, size: Size) -> Row:
    count = size.of(50, 5_000, 250_000)
    lines = count * RESULTS if kind == "csv" else count
    idle, long = place.folder / f"idle.{kind}", place.folder / f"long.{kind}"
    _WRITERS[kind](idle, 1)
    _WRITERS[kind](long, count)
    before, address = _imported(idle, place.database("postgresql")), place.database("postgresql")
    after = _imported(long, address)
    long.unlink()
    return Row(
        number=IMPORT.number,
        measure=f"import of {lines:,} lines of {kind.upper()}, PostgreSQL: peak above idle",
        ours=after.peak / MB,
        baseline=before.peak / MB,
        unit="MB",
        ratio=(after.peak - before.peak) / MB,
        goal=IMPORT.goal,
        floor=IMPORT.floor,
        better=IMPORT.better,
        note=f"{count:,} panels in {after.seconds:,.0f} s",
        limit=f"{count / after.seconds:,.0f} panels/s from a file, in one process",
        work=(count, _kept(address)),
    )


def _kept(address: str) -> int:
    with closing(connect(address)) as connection:
        return int(connection.execute("SELECT count(*) FROM panels").fetchone()[0])


def _write_ndjson(path: Path, count: int) -> None:
    with path.open("wb") as file:
        for panel in panels(count):
            file.write(orjson.dumps(panel) + b"\n")


def _write_csv(path: Path, count: int) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*_COLUMNS, "analyte", "value", "unit", "low", "high"])
        for panel in panels(count):
            writer.writerows(_rows(orjson.loads(orjson.dumps(panel))))


def _rows(panel: dict[str, Any]) -> Iterator[list[str]]:
    who = panel["patient"]
    head = [who["id"], who["authority"], who["sex"], who["birth_date"], panel["accession"], panel["collected_at"]]
    for one in panel["results"]:
        range_ = one.get("reference_range", {"low": "", "high": ""})
        named = one.get("analyte") or one["code"]
        yield [*head, named, str(one["value"]), one["unit"], range_["low"], range_["high"]]


_WRITERS: dict[str, Callable[[Path, int], None]] = {"csv": _write_csv, "ndjson": _write_ndjson}


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """The most bytes that an import held at once, and how long it took."""

    peak: int
    seconds: float


def _imported(path: Path, address: str) -> Imported:
    lab_alerts = [str(PYTHON.parent / "lab-alerts"), "import", str(path), "--source", "bench"]
    started, highest = time.monotonic(), 0
    told = path.with_suffix(".told")
    with told.open("w") as output:
        process = subprocess.Popen(lab_alerts, cwd=ROOT, env=environment(address), stdout=output, stderr=output)
        while process.poll() is None:
            highest = max(highest, peak(process.pid))
            time.sleep(0.02)
    if process.returncode:
        raise RuntimeError(told.read_text(encoding="utf-8"))
    return Imported(peak=highest, seconds=time.monotonic() - started)


def _growth(place: Ground, size: Size) -> Row:
    count, warm = size.of(240, 4_000, 100_000), size.of(120, 1_000, 5_000)
    served = place.service(place.database("postgresql"), workers=1)
    place.wait()
    sent = _mixed(count, served.key)
    (worker,) = served.workers()
    asked(served, sent[:warm], clients=CLIENTS)
    before = resident(worker)
    answers = asked(served, sent[warm:], clients=CLIENTS)
    after = resident(worker)
    return Row(
        number=GROWTH.number,
        measure=f"a worker after {count:,} requests against after {warm:,}",
        ours=after / MB,
        baseline=before / MB,
        unit="MB",
        ratio=(after - before) / MB,
        goal=GROWTH.goal,
        floor=GROWTH.floor,
        better=GROWTH.better,
        note=" ".join(f"{status}: {number:,}" for status, number in sorted(answers.statuses.items())),
        limit=answers.told(),
        work=(count - warm, answers.done),
    )


def _mixed(count: int, key: str) -> list[bytes]:
    """Of eight requests: four new panels, one that is held, one that is refused, and two pages of flags."""
    sent = posts(bodies(count // 2), key=key)
    refused = request("POST", "/v1/panels", key=key, body=b'{"patient": {"id": 1}, "results": []}')
    everybody = request("GET", "/v1/flags?limit=20", key=key)
    found: list[bytes] = []
    for place in range(0, count // 2, 4):
        held = max(0, place - 2 * CLIENTS)
        one = request("GET", f"/v1/patients/{identifier(held)}/flags", key=key)
        found += [*sent[place : place + 4], sent[held], refused, everybody, one]
    return found
