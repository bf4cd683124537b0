"""The disk under SQLite is full, and then there is room again.

Promise: while it is full a panel is refused with 503 and Retry-After and what is held can be read; nothing that was
answered is lost, the file stays whole, and with room again all is well by itself.
"""

import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stress.audit import audit, sound
from stress.client import Broken, Client
from stress.common import Found, Place, Size
from stress.ledger import Ledger
from stress.load import load, send_again, until
from stress.server import Service, serving

_SMALL, _LARGE = 4 << 20, 1 << 30  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Disk:
    """Where the file lies, what makes it small, and what makes room."""

    folder: Path
    kind: str
    shrink: Callable[[Service], None]
    grow: Callable[[Service], None]


def trial(place: Place, size: Size) -> Found:
    """Fill a small disk, read from it, and make room; without the right to mount one, limit the size of a file."""
    with (
        _disk(place) as disk,
        serving(place, f"sqlite:///{disk.folder / 'lab-alerts.db'}", workers=size.of(1, 2)) as service,
    ):
        disk.shrink(service)
        faults: list[str] = []
        with load(service, singles=4, bulks=1) as under_way:
            refused = size.of(20, 500)
            if not until(lambda: under_way.ledger.counts["refused 503"] >= refused):
                faults.append("the disk was never full")
            faults += [*_while_full(service), *sound(service.address)]
            disk.grow(service)
            if not under_way.wait_until_all_were_taken():
                faults.append("not every client was served after there was room again")
        ledger = under_way.ledger
        faults += [*send_again(service, ledger), *audit(service, ledger)]
    return Found(did=_did(disk, ledger), faults=tuple(faults), counts=ledger.counts)


def _did(disk: _Disk, ledger: Ledger) -> str:
    return f"{disk.kind} filled, {ledger.counts['refused 503']} requests refused with 503, then room made"


def _while_full(service: Service) -> Iterator[str]:
    with Client(service.port, service.key) as client:
        for path in ("/v1/flags?limit=200", "/health/ready"):
            try:
                answer = client.get(path)
            except Broken:
                yield f"{path} is not answered while the disk is full"
            else:
                if answer.status != 200:
                    yield f"{path} is answered with {answer.status} while the disk is full"


@contextmanager
def _disk(place: Place) -> Iterator[_Disk]:
    folder = place.new_folder()
    if not _mounted(folder, _SMALL):
        yield _Disk(
            folder=folder,
            kind="a file that may not grow",
            shrink=lambda service: _limit(service, _SMALL),
            grow=lambda service: _limit(service, resource.RLIM_INFINITY),
        )
        return
    try:
        yield _Disk(
            folder=folder,
            kind=f"a disk of {_SMALL >> 20} MiB",
            shrink=lambda _: None,
            grow=lambda _: _grow(folder),
        )
    finally:
        _run("umount", str(folder))


def _mounted(folder: Path, size: int) -> bool:
    return _run("mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder))


def _grow(folder: Path) -> None:
    if not _run("mount", "-o", f"remount,size={_LARGE}", str(folder)):
        raise OSError("the disk cannot be made larger")


def _run(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def _limit(service: Service, size: int) -> None:
    for pid in (service.pid, *service.workers()):
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))
