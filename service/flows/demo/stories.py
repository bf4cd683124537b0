"""The twelve stories of the demo, and well people for everybody beyond them.

Law: pure. What a story promises holds for every seed: its values keep a distance from the limits that no straying
crosses. The shapes follow published facts, named beside them; days and numbers are this project's own.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from service.flows.demo.pen import LAST, Pen, Sending, course, said

MONTHLY = range(0, LAST + 1, 28)
QUARTERLY = range(0, LAST + 1, 91)


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What happens to a patient, in a few words and as panels in the order in which they arrive."""

    title: str
    tell: Callable[[Pen], Iterator[Sending]]


def _osteolytic(pen: Pen) -> Iterator[Sending]:
    # Hypercalcemia goes with osteolytic disease and comes late (iCliniq, "Bone Metastasis", 2022).
    yield from pen.history(
        pen.person(sex="female", years=61),
        MONTHLY,
        course("calcium", "mg/dL", (0, "9.4"), (560, "9.8"), (644, "10.2"), (700, "12.0"), (LAST, "13.4")),
        course("albumin", "g/L", (0, "41"), (500, "39"), (LAST, "37")),
        course("hemoglobin", "g/dL", (0, "13.2"), (400, "12.6"), (LAST, "9.5")),
        course("alkaline_phosphatase", "U/L", (0, "72"), (500, "88"), (LAST, "150")),
        course("platelets", "10*9/L", (0, "265"), (LAST, "215")),
    )


def _osteoblastic(pen: Pen) -> Iterator[Sending]:
    # A flare is a rise to 120% or more of the level before treatment, then a fall (PMID 11068314). Here treatment
    # begins on day 392; four weeks later ALP is at about 140%.
    days = sorted({*MONTHLY, 406, 434})
    yield from pen.history(
        pen.person(sex="male", years=70),
        days,
        course(
            "alkaline_phosphatase",
            "U/L",
            *((0, "100"), (196, "170"), (392, "380"), (420, "530"), (448, "430"), (532, "240"), (LAST, "180")),
        ),
        course("calcium", "mmol/L", (0, "2.38"), (LAST, "2.31")),
        course("hemoglobin", "g/L", (0, "148"), (392, "124"), (LAST, "118")),
        course("platelets", "10*9/L", (0, "240"), (LAST, "205")),
    )


_FIRST_CYCLE, _CYCLE, _NADIR = 581, 21, 14


def _chemotherapy(pen: Pen) -> Iterator[Sending]:
    # Counts are lowest between days 14 and 21 after carboplatin and recover in the weeks after; anemia accumulates
    # (prescribing information of carboplatin, bone marrow suppression). Recovery within a cycle of three weeks is this
    # project's simplification.
    starts = [_FIRST_CYCLE + _CYCLE * number for number in range(6)]
    platelets, hemoglobin = [(0, "250")], [(0, "13.4")]
    for number, start in enumerate(starts):
        platelets += [(start, str(240 - 8 * number)), (start + _NADIR, str(100 - 10 * number))]
        hemoglobin += [(start, f"{13.2 - 0.1 * number:.1f}"), (start + _NADIR, f"{10.8 - 0.3 * number:.1f}")]
    yield from pen.history(
        pen.person(sex="female", years=54),
        sorted({*range(0, _FIRST_CYCLE, 112), *starts, *(start + _NADIR for start in starts), LAST}),
        course("hemoglobin", "g/dL", *hemoglobin, (LAST, "12.8")),
        course("platelets", "10*9/L", *platelets, (LAST, "215")),
        course("calcium", "mg/dL", (0, "9.4"), (LAST, "9.3")),
    )


def _child(pen: Pen) -> Iterator[Sending]:
    # Boys of 1 to 9 years have an ALP of 142 to 335 U/L, of 10 to 12 years 129 to 417 (CALIPER, Estey et al. 2013):
    # clear here, though every value is above the limit for men.
    yield from pen.history(
        pen.person(sex="male", years=8),
        QUARTERLY,
        course("alkaline_phosphatase", "U/L", (0, "225"), (LAST, "295")),
        course("hemoglobin", "g/dL", (0, "12.6"), (LAST, "13.1")),
        course("platelets", "10*9/L", (0, "330"), (LAST, "300")),
        course("calcium", "mg/dL", (0, "9.9"), (LAST, "9.9")),
    )


_CONCEIVED = 400


def _pregnancy(pen: Pen) -> Iterator[Sending]:
    # Hemoglobin has limits of its own by trimester (WHO 2024); ALP about doubles by the third (St Boniface Hospital
    # laboratory manual) and has none; total calcium falls with albumin (1.95 to 2.35 mmol/L, Oxford table).
    woman = pen.person(sex="female", years=30)
    courses = (
        course(
            "hemoglobin",
            "g/dL",
            (0, "13.3"),
            (420, "13.0"),
            (463, "12.2"),
            (512, "11.1"),
            (610, "11.6"),
            (LAST, "12.9"),
        ),
        course("alkaline_phosphatase", "U/L", (0, "62"), (463, "66"), (568, "98"), (673, "172"), (LAST, "84")),
        course("calcium", "mmol/L", (0, "2.36"), (420, "2.34"), (463, "2.20"), (673, "2.12"), (LAST, "2.33")),
        course("platelets", "10*9/L", (0, "245"), (673, "195"), (LAST, "235")),
    )
    yield from pen.history(woman, (0, 182, 336), *courses)
    for week in (9, 16, 24, 30, 36, 39):
        trimester = 1 if week < 14 else 2 if week < 28 else 3
        pregnant = {**woman, "pregnant": True, "trimester": trimester}
        yield from pen.history(pregnant, [_CONCEIVED + 7 * week], *courses)
    yield from pen.history({**woman, "pregnant": False}, [LAST], *courses)


def _well(pen: Pen) -> Iterator[Sending]:
    woman = pen.number % 2 == 0
    yield from pen.history(
        pen.person(sex="female" if woman else "male", years=25 + pen.number * 7 % 45), QUARTERLY, *_well_courses(woman)
    )


def _well_courses(woman: bool) -> tuple[Any, ...]:
    hemoglobin = "13.5" if woman else "14.8"
    return (
        course("hemoglobin", "g/dL", (0, hemoglobin), (LAST, hemoglobin)),
        course("platelets", "10*9/L", (0, "255"), (LAST, "245")),
        course("calcium", "mg/dL", (0, "9.5"), (LAST, "9.5")),
        course("alkaline_phosphatase", "U/L", (0, "68"), (LAST, "72")),
    )


def _corrected(pen: Pen) -> Iterator[Sending]:
    # Platelets clump in EDTA in 0.03 to 0.27% of people: a false low count, which a citrate tube corrects
    # (Biochem Med 2024; AAFP 2022;106(3):288).
    woman = pen.person(sex="female", years=47)
    yield from pen.history(woman, QUARTERLY, *_well_courses(woman=True))
    yield pen.panel(woman, 574, [said("platelets", "38", "10*9/L")])
    right = said("platelets", "231", "10*9/L", note="clumped in EDTA; counted again from a citrate tube")
    yield pen.panel(woman, 574, [right], hours=27, status="corrected")


def _entered_in_error(pen: Pen) -> Iterator[Sending]:
    man = pen.person(sex="male", years=58)
    yield from pen.history(man, QUARTERLY, *_well_courses(woman=False))
    wrong = [said("calcium", "14.2", "mg/dL"), said("hemoglobin", "7.6", "g/dL")]
    yield pen.panel(man, 665, wrong)
    yield pen.panel(man, 665, wrong, hours=9, status="entered-in-error")
    yield pen.panel(man, 666, [said("calcium", "9.4", "mg/dL"), said("hemoglobin", "14.9", "g/dL")])


def _unit_slip(pen: Pen) -> Iterator[Sending]:
    # 10^3/mL is literally a thousandth of 10^3/uL, and some systems write it for the latter (OpenMRS): not guessed.
    man = pen.person(sex="male", years=66)
    yield from pen.history(man, QUARTERLY, *_well_courses(woman=False))
    yield pen.panel(man, 483, [said("hemoglobin", "146", "g/dL"), said("platelets", "228", "10*9/L")])
    yield pen.panel(man, 483, [said("hemoglobin", "146", "g/L")], hours=8, status="corrected")
    yield pen.panel(man, 660, [said("hemoglobin", "149", "g/dL"), said("platelets", "236", "10^3/mL")])


def _preliminary(pen: Pen) -> Iterator[Sending]:
    # Below 10 x 10*9/L the risk of serious bleeding is high (AAFP 2022;106(3):288).
    man = pen.person(sex="male", years=69)
    platelets = course("platelets", "10*9/L", (0, "172"), (400, "120"), (LAST, "24"))
    hemoglobin = course("hemoglobin", "g/dL", (0, "13.9"), (400, "11.4"), (LAST, "8.8"))
    yield from pen.history(man, MONTHLY[:-1], platelets, hemoglobin)
    yield pen.panel(man, 714, [said("platelets", "200", "10*9/L", comparator="<")])
    found = [said("platelets", "10", "10*9/L", comparator="<"), pen.follow(hemoglobin, LAST)]
    yield pen.panel(man, LAST, found, hours=1, status="preliminary")
    yield pen.panel(man, LAST, found, hours=5, status="final")


def _sex_late(pen: Pen) -> Iterator[Sending]:
    # Between the limits for women and men: hemoglobin 12.0 and 13.0 g/dL (WHO 2024), ALP 104 and 129 U/L (Mayo).
    man = pen.person(sex="male", years=63)
    unknown = {key: value for key, value in man.items() if key != "sex"}
    courses = (
        course("hemoglobin", "g/dL", (0, "12.5"), (LAST, "12.5")),
        course("alkaline_phosphatase", "U/L", (0, "116"), (LAST, "116")),
        course("platelets", "10*9/L", (0, "235"), (LAST, "225")),
    )
    yield from pen.history(unknown, QUARTERLY[:-1], *courses)
    yield from pen.history(man, [LAST], *courses)


_IONIZED_FROM = 546


def _ionized(pen: Pen) -> Iterator[Sending]:
    # A paraprotein binds calcium: total raised, ionized normal (Endocrine Abstracts 2019;65:P122).
    man = pen.person(sex="male", years=72)
    total = course("calcium", "mg/dL", (0, "9.8"), (273, "10.1"), (364, "11.0"), (LAST, "11.0"))
    ionized = course("calcium_ionized", "mmol/L", (0, "1.24"), (LAST, "1.24"))
    hemoglobin = course("hemoglobin", "g/dL", (0, "14.4"), (LAST, "13.8"))
    days: Sequence[int] = QUARTERLY
    yield from pen.history(man, [day for day in days if day < _IONIZED_FROM], total, hemoglobin)
    yield from pen.history(man, [day for day in days if day >= _IONIZED_FROM], total, ionized, hemoglobin)


WELL = Story(title="well: everything clear", tell=_well)
STORIES = (
    Story(title="osteolytic: calcium rises late", tell=_osteolytic),
    Story(title="osteoblastic: ALP rises, flares, falls", tell=_osteoblastic),
    Story(title="chemotherapy: six nadirs, each recovers", tell=_chemotherapy),
    Story(title="a child: ALP of growth, own limits", tell=_child),
    Story(title="a pregnancy, by trimester", tell=_pregnancy),
    Story(title="clumped platelets, corrected", tell=_corrected),
    Story(title="another's sample, entered in error", tell=_entered_in_error),
    Story(title="unit slips, held", tell=_unit_slip),
    Story(title="platelets <10, preliminary then final", tell=_preliminary),
    Story(title="sex known late, all judged again", tell=_sex_late),
    Story(title="ionized calcium decides over total", tell=_ionized),
    WELL,
)


def story(number: int) -> Story:
    """The story of a patient, counted from 1."""
    return STORIES[number - 1] if number <= len(STORIES) else WELL


def sendings(seed: int, patients: int, last: datetime) -> list[Sending]:
    """Everything that is sent of so many patients, in the order of arrival."""
    told = [one for number in range(1, patients + 1) for one in story(number).tell(Pen.of(seed, number, last))]
    return sorted(told, key=lambda one: one.received_at)
