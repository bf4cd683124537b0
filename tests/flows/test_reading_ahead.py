"""While a batch is taken in, the next one is read; nothing is read further than that, and nobody is left reading."""

import threading
from itertools import count

import pytest

from service.flows import bulk
from service.formats import native
from service.formats.lines import Entry
from service.storage.panels import Message
from tests.flows.build import NOW, WOMAN, calcium, encoded, panel

MESSAGE = Message(body=b"", content_type="application/x-ndjson", source="lab-1", received_at=NOW)


def entry(number):
    body = encoded(panel(calcium("9.9"), patient={**WOMAN, "id": str(number)}))
    return Entry(lines=(number,), body=body, panel=native.read(body, now=NOW))


def taken(entries, means):
    return bulk.take_in_all(entries, MESSAGE, means, clock=lambda: NOW)


@pytest.fixture(autouse=True)
def batches_of_two(monkeypatch):
    monkeypatch.setattr("service.flows.bulk.BATCH_PANELS", 2)


def test_no_more_than_the_next_batch_is_read_before_one_is_answered(means):
    read = []

    def entries():
        for number in count(1):
            read.append(number)
            yield entry(number)

    answers = taken(entries(), means)
    next(answers)
    answers.close()

    assert len(read) == 4


def test_the_next_batch_is_read_while_one_is_taken_in(means, monkeypatch):
    further = threading.Event()
    real = bulk._taken

    def after_the_next_was_read(orders, means):
        assert further.wait(10)
        return real(orders, means)

    def entries():
        for number in range(1, 5):
            if number == 3:
                further.set()
            yield entry(number)

    monkeypatch.setattr("service.flows.bulk._taken", after_the_next_was_read)

    assert [one.entry.lines for batch in taken(entries(), means) for one in batch] == [(1,), (2,), (3,), (4,)]


def test_nobody_reads_on_when_the_answers_are_left(means):
    before = threading.active_count()
    answers = taken((entry(number) for number in count(1)), means)
    next(answers)

    answers.close()

    assert threading.active_count() == before


def test_what_breaks_while_reading_is_raised_after_what_was_read_is_kept(means):
    def entries():
        yield from (entry(number) for number in range(1, 4))
        raise ConnectionError

    answers = taken(entries(), means)

    assert [len(next(answers)), len(next(answers))] == [2, 1]
    with pytest.raises(ConnectionError):
        next(answers)
