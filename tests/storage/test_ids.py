"""Names: none is given twice, and they sort as they were made."""

import os
from concurrent.futures import ThreadPoolExecutor

from ulid import ULID

from service.storage import ids
from service.storage.ids import new_id

MANY = 20_000


def test_a_name_is_its_prefix_and_a_ulid_of_now():
    prefix, _, name = new_id("flg").partition("_")

    assert prefix == "flg"
    assert str(ULID.from_str(name)) == name


def test_names_of_one_process_sort_as_they_were_made():
    names = [new_id("pnl") for _ in range(MANY)]

    assert names == sorted(names)


def test_no_name_is_given_twice_by_threads_of_one_process():
    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(lambda _: new_id("res"), range(MANY)))

    assert len(set(names)) == MANY


def test_a_forked_process_does_not_count_on_from_the_names_of_its_parent(monkeypatch):
    monkeypatch.setattr(ids.time, "time_ns", lambda: 1_790_000_000_000_000_000)
    new_id("res")
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.write(writer, "\n".join(new_id("res") for _ in range(1_000)).encode())
        os._exit(0)
    own = {new_id("res") for _ in range(1_000)}
    os.waitpid(child, 0)
    os.close(writer)
    with os.fdopen(reader) as theirs:
        others = set(theirs.read().splitlines())

    assert len(others) == 1_000
    assert own.isdisjoint(others)
