"""Two transactions that wait for each other: one gives way, is tried again, and nobody hears of it."""

import threading

import pytest
from sqlalchemy.dialects.postgresql import insert

from service.domain.errors import Unavailable
from service.flows import intake
from service.flows.intake import with_notes
from service.storage.tables import notes
from tests.flows.build import kept


@pytest.mark.parametrize("kind", ["postgresql"])
def test_the_one_that_gives_way_is_done_in_the_end(means, database):
    both, done = threading.Barrier(2), []

    def keeping(names):
        tries = iter([both.wait])

        def work():
            with database.transaction() as connection:
                for name in names:
                    row = {"id": name, "body": {}}
                    connection.execute(insert(notes).on_conflict_do_nothing(), row)
                    next(tries, lambda: None)()

        with_notes(work, means)
        done.append(names)

    threads = [threading.Thread(target=keeping, args=(names,)) for names in ("AB", "BA")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(done) == ["AB", "BA"]
    assert [name for name, _ in kept(database)["notes"]] == ["A", "B"]


@pytest.mark.parametrize("kind", ["sqlite"])
def test_whoever_always_gives_way_is_told_in_the_end(means):
    tried = []

    def work():
        tried.append(1)
        raise Unavailable("the database is busy", locked=True, lost=True)

    with pytest.raises(Unavailable):
        with_notes(work, means)

    assert len(tried) == intake._GIVES_WAY + 1


@pytest.mark.parametrize("kind", ["sqlite"])
def test_whoever_only_waits_is_told_at_once(means):
    tried = []

    def work():
        tried.append(1)
        raise Unavailable("the database is busy", locked=True)

    with pytest.raises(Unavailable):
        with_notes(work, means)

    assert len(tried) == 1
