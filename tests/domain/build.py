"""Short ways to write patients, results and timelines for the tests of the judgement.

Law: nothing here computes an expectation; it only writes inputs down.
"""

import calendar
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from service.catalogue.load import load
from service.domain.episodes import Episode
from service.domain.judge import Judgement, judge
from service.domain.panels import Result, SentRange, Status
from service.domain.people import Sex
from service.domain.quantities import parse_decimal
from service.domain.rulesets import Rulebook
from service.domain.timeline import Facts, Held, Timeline
from service.domain.verdicts import Verdict

RULESET = "blood-findings-1"
BOOK: Rulebook = load(RULESET).rulebook
NOON = datetime(2026, 3, 15, 12, tzinfo=UTC)
NOBODY = Facts()  # of whom nothing is known

_SEXES = {"woman": Sex.FEMALE, "girl": Sex.FEMALE, "man": Sex.MALE, "boy": Sex.MALE, "other": Sex.OTHER}
_AGE = re.compile(r"(?P<edge>just under |about )?(?P<count>\d+) (?P<unit>d|mo|y)\b")
_VALUE = re.compile(r"(?P<comparator><=|>=|<|>|~)?(?P<text>.*)")
_RANGE = re.compile(r"(?:from )?(?P<low>[\d.]+)?(?: ?(?:up )?to (?P<high>[\d.]+))?(?: (?P<unit>\D\S*))?")


def born_at(count: int, unit: str) -> date:
    """The birth date of somebody who completes so many days, months or years on a day."""
    on = NOON.date()
    if unit == "d":
        return on - timedelta(days=count)
    months = on.year * 12 + on.month - 1 - count * (12 if unit == "y" else 1)
    year, month = months // 12, months % 12 + 1
    return date(year, month, min(on.day, calendar.monthrange(year, month)[1]))


def who(words: str) -> tuple[Facts, dict[str, Any]]:
    """A person in words: ``woman 30 y, pregnant, trimester 2``; ``about`` an age gives years and no birth date."""
    sex = next((sex for word, sex in _SEXES.items() if word in words.split(" ")), Sex.UNKNOWN)
    at: dict[str, Any] = {"pregnant": True} if "pregnant" in words else {}
    if trimester := re.search(r"trimester (\d)", words):
        at["trimester"] = int(trimester[1])
    if "not yet born" in words:
        return Facts(sex=sex, born=NOON.date() + timedelta(days=30)), at
    age = _AGE.search(words)
    if age is None:
        return Facts(sex=sex), at
    if age["edge"] == "about ":
        return Facts(sex=sex), {**at, "age_years": int(age["count"])}
    born = born_at(int(age["count"]), age["unit"])
    return Facts(sex=sex, born=born + timedelta(days=1) if age["edge"] else born), at


def sent_range(words: str) -> SentRange | None:
    """A range in words: ``8.5 to 10.2 mg/dL``, ``from 8.5``, ``up to 10.2``."""
    match = _RANGE.fullmatch(words.strip())
    if not words.strip():
        return None
    if match is None:
        raise ValueError(words)
    low, high = (None if match[side] is None else Decimal(match[side]) for side in ("low", "high"))
    return SentRange(low=low, high=high, unit=match["unit"])


def result(value: str, unit: str, range_: str = "") -> Result:
    match = _VALUE.fullmatch(value)
    if match is None:
        raise ValueError(value)
    return Result(
        pointer="/results/0",
        text=match["text"],
        number=_number(match["text"]),
        comparator=match["comparator"] or "",
        unit=unit,
        range=sent_range(range_),
    )


def _number(text: str) -> Decimal | None:
    try:
        return parse_decimal(text)
    except ValueError:
        return None


def held(analyte: str | None, value: str, unit: str, **more: Any) -> Held:
    """One result as held. ``day`` counts days from noon of the day of the tests."""
    day, range_ = more.pop("day", 0), more.pop("range_", "")
    given: dict[str, Any] = {
        "key": f"{analyte}@{day}", "version": 1, "result": result(value, unit, range_), "analyte": analyte,
        "status": Status.FINAL, "collected_at": NOON + timedelta(days=day), "ruleset": RULESET,
    }  # fmt: skip
    return Held(**{**given, **more})


def judged(*results: Held, facts: Facts = NOBODY, book: Rulebook = BOOK) -> Judgement:
    """The judgement of a patient from these results."""
    return judge(Timeline(facts=facts, results=results), book)


def verdict_on(one: Held, facts: Facts = NOBODY) -> Verdict:
    """The verdict on a result that stands alone."""
    return judged(one, facts=facts).verdicts[one.key]


def kept(judgement: Judgement, prefix: str = "e") -> Judgement:
    """The judgement with names for its episodes, as the storage would give them."""
    named = tuple(_named(one, f"{prefix}{number}") for number, one in enumerate(judgement.episodes, start=1))
    return replace(judgement, episodes=named)


def _named(episode: Episode, name: str) -> Episode:
    return episode if episode.id else replace(episode, id=name)
