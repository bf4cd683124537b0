"""A catalogue with a fault does not load, and the error names the file, the place and the row.

Law: every broken copy is the real catalogue with one edit, so that nothing but the edit can be the reason.
"""

import re
import shutil
from pathlib import Path

import pytest

import service.catalogue
from service.catalogue.load import load
from service.domain.errors import BadCatalogue

REAL = Path(service.catalogue.__file__).parent
RULES = "rulesets/blood-findings-1.toml"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for folder in ("analytes", "rulesets", "notes"):
        shutil.copytree(REAL / folder, tmp_path / folder)
    shutil.copy(REAL / "LOINC_NOTICE.txt", tmp_path)
    return tmp_path


def edit(home: Path, file: str, *, old: str, new: str) -> None:
    path = home / file
    text = path.read_text(encoding="utf-8")
    assert old in text, f"the test's edit does not fit {file}"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def refusal(home: Path) -> str:
    with pytest.raises(BadCatalogue) as caught:
        load("blood-findings-1", home)
    return str(caught.value)


def test_the_real_catalogue_loads_from_a_copy(copy: Path) -> None:
    assert load("blood-findings-1", copy).rulebook.current == "blood-findings-1"


GRADE_2_ENDS = 'up_to = { "mg/dL" = "12.5", "mmol/L" = "3.1" }'
GRADE_2_BEGINS = 'above = { "mg/dL" = "11.5", "mmol/L" = "2.9" }'
MALE_ALP = 'population = "men 19 years and over"\nsex = "male"\nage_from = "19 y"'
WOMEN_WHO = 'population = "women 15 years and over who are not pregnant"\nsex = "female"\nage_from = "15 y"\n'

RULE_FAULTS = {
    "a gap between two rows": (
        GRADE_2_ENDS,
        'up_to = { "mg/dL" = "12.4", "mmol/L" = "3.1" }',
        ["hypercalcemia-total", "row 2", "gap", "12.4", "12.5"],
    ),
    "an overlap of two rows": (
        GRADE_2_ENDS,
        'up_to = { "mg/dL" = "12.6", "mmol/L" = "3.1" }',
        ["hypercalcemia-total", "row 2", "overlap", "12.6", "12.5"],
    ),
    "an overlap in one unit family only": (
        GRADE_2_ENDS,
        'up_to = { "mg/dL" = "12.5", "mmol/L" = "3.2" }',
        ["hypercalcemia-total", "row 2", "overlap"],
    ),
    "a gap of multiples": ('up_to = { times = "5" }', 'up_to = { times = "4" }', ["raised-alp", "row 2", "gap"]),
    "a gap on the low side": (
        'down_to = { "10*9/L" = "50" }',
        'down_to = { "10*9/L" = "51" }',
        ["thrombocytopenia", "row 2", "gap"],
    ),
    "an overlap on the low side": (
        'down_to = { "10*9/L" = "50" }',
        'down_to = { "10*9/L" = "49" }',
        ["thrombocytopenia", "row 2", "overlap"],
    ),
    "a last row that ends": (
        'above = { times = "20" }',
        'above = { times = "20" }\nup_to = { times = "40" }',
        ["raised-alp", "row 4", "gap"],
    ),
    "a row in the middle without an end": (f"{GRADE_2_BEGINS}\n{GRADE_2_ENDS}", GRADE_2_BEGINS, ["row 2", "gap"]),
    "a first row that does not begin at the limit": (
        'above = "limit"\nup_to = { times = "2.5" }',
        'above = { times = "1.1" }\nup_to = { times = "2.5" }',
        ["raised-alp", "row 1", "limit"],
    ),
    "a row of the other direction": (
        'below = "limit"\ndown_to = { "10*9/L" = "75" }',
        'above = "limit"\nup_to = { "10*9/L" = "75" }',
        ["thrombocytopenia", "row 1", "below and down_to"],
    ),
    "an unknown unit": (
        'up_to = { "mg/dL" = "11.5", "mmol/L" = "2.9" }',
        'up_to = { "mg/dL" = "11.5", "mmol" = "2.9" }',
        ["hypercalcemia-total", "row 1", "unknown unit 'mmol'", "mmol/L"],
    ),
    "an unknown unit of an example": (
        'value = "74 K/uL"',
        'value = "74 K/mL"',
        ["thrombocytopenia", "example 4", "unknown unit 'K/mL'"],
    ),
    "an unknown analyte": (
        'analytes = ["calcium", "calcium_corrected"]',
        'analytes = ["calcium", "calcum_corrected"]',
        ["hypercalcemia-total", "unknown analyte 'calcum_corrected'", "calcium_corrected"],
    ),
    "an analyte that two rules judge": (
        'analytes = ["calcium_ionized"]',
        'analytes = ["calcium_ionized", "calcium"]',
        ["hypercalcemia-ionized", "overlap", "calcium", "hypercalcemia-total"],
    ),
    "analytes of different unit families": (
        'analytes = ["platelets"]',
        'analytes = ["platelets", "albumin"]',
        ["thrombocytopenia", "albumin", "unit families"],
    ),
    "an analyte of the precedence that no rule judges": (
        '"calcium_corrected", "calcium"]\n\n#',
        '"calcium_corrected", "albumin"]\n\n#',
        ["hypercalcemia", "albumin", "precedence"],
    ),
    "two rules of one key": ('key = "anemia"', 'key = "raised-alp"', ["raised-alp", "two rules"]),
    "a failing example": (
        'value = "149 10*9/L"',
        'value = "151 10*9/L"',
        ["thrombocytopenia", "example 2 fails", "mild grade 1", "clear"],
    ),
    "an example of another grade": (
        'value = "2.88 mmol/L"',
        'value = "2.98 mmol/L"',
        ["hypercalcemia-total", "row 2", "example 4 fails"],
    ),
    "a row that no example reaches": (
        '[[rule.example]]\nvalue = "24 10*9/L"\nlimit = "150"\nseverity = "critical"\ngrade = "4"\n',
        "",
        ["thrombocytopenia", "row 4", "no worked example"],
    ),
    "no example within the limit": (
        '[[rule.example]]\nvalue = "150 10*9/L"\nlimit = "150"\n',
        "",
        ["thrombocytopenia", "no worked example", "within the limit"],
    ),
    "an example that is no number": ('value = "131 U/L"', 'value = "many U/L"', ["raised-alp", "many U/L"]),
    "an unknown key": (
        'rests_on = "CTCAE v5.0 grade 2"',
        'rest_on = "CTCAE"',
        ["hypercalcemia-total", "row 2", "rest"],
    ),
    "a number without quotes": ('up_to = { times = "2.5" }', "up_to = { times = 2.5 }", ["raised-alp", "row 1"]),
    "an end that is no number": ('up_to = { times = "2.5" }', 'up_to = "twice"', ["raised-alp", "row 1", '"limit"']),
    "an unknown severity": ('severity = "moderate"', 'severity = "high"', ["hypercalcemia-total", "row 2", "severity"]),
    "an unknown source": (
        'sources = ["ctcae-5"]',
        'sources = ["ctcae-6"]',
        ["hypercalcemia-total", "row 1", "ctcae-6"],
    ),
    "a row without a source": ('sources = ["ctcae-5"]', "sources = []", ["hypercalcemia-total", "row 1", "no source"]),
    "an unknown source of a classification": (
        'sources = ["who-2024"]',
        'sources = ["who-2011"]',
        ["anemia classification", "who-2011"],
    ),
    "an unknown source of the pattern": (
        'sources = ["article"]',
        'sources = ["articles"]',
        ["blood-pattern", "articles"],
    ),
    "a gap of a classification": (WOMEN_WHO, WOMEN_WHO.replace('"15 y"', '"16 y"'), ["WHO 2024", "gap", "female"]),
    "an overlap of a classification": (
        'age_from = "6 mo"\nage_to = "24 mo"',
        'age_from = "5 mo"\nage_to = "24 mo"',
        ["anemia classification WHO 2024", "overlap", "infants under 6 months"],
    ),
    "a class that nothing can reach": (
        'moderate = { "g/L" = "95" }',
        'moderate = { "g/L" = "105" }',
        ["anemia classification WHO 2024", "row 1", "unreachable", "6 to 23 months"],
    ),
    "an unknown unit of a class": (
        'mild = { "g/L" = "105" }',
        'mild = { "g/l" = "105" }',
        ["anemia classification children 6 to 23 months", "unknown unit 'g/l'"],
    ),
    "broken TOML": ("[precedence]", "[precedence", ["not TOML", "line"]),
}


@pytest.mark.parametrize("fault", RULE_FAULTS)
def test_a_rule_set_with_a_fault_does_not_load(copy: Path, fault: str) -> None:
    old, new, words = RULE_FAULTS[fault]
    edit(copy, RULES, old=old, new=new)

    said = refusal(copy)

    assert said.startswith("blood-findings-1.toml: ")
    for word in words:
        assert word in said, said


def test_a_row_that_nothing_can_reach(copy: Path) -> None:
    for end in ("up_to", "above"):
        grade_3 = f'{end} = {{ "mg/dL" = "12.5", "mmol/L" = "3.1" }}'
        edit(copy, RULES, old=grade_3, new=grade_3.replace("12.5", "11.5"))

    said = refusal(copy)

    assert said.startswith("blood-findings-1.toml: hypercalcemia-total: row 2: unreachable in mg/dL")


def test_a_multiple_within_the_limit_leaves_the_first_row_unreachable(copy: Path) -> None:
    for end in ("up_to", "above"):
        edit(copy, RULES, old=f'{end} = {{ times = "2.5" }}', new=f'{end} = {{ times = "0.9" }}')

    said = refusal(copy)

    assert said.startswith("blood-findings-1.toml: raised-alp: row 1: unreachable")


def test_numbers_and_multiples_cannot_be_mixed(copy: Path) -> None:
    for end in ("up_to", "above"):
        edit(copy, RULES, old=f'{end} = {{ times = "5" }}', new=f'{end} = {{ "U/L" = "600" }}')

    said = refusal(copy)

    assert said.startswith("blood-findings-1.toml: raised-alp: row 3: numbers and multiples")


ANALYTE_FAULTS = {
    "a gap of ages": (
        "alkaline_phosphatase",
        MALE_ALP,
        MALE_ALP.replace('19 y"', '20 y"'),
        ["alkaline_phosphatase", "gap", "male"],
    ),
    "an overlap of ages": (
        "alkaline_phosphatase",
        MALE_ALP,
        MALE_ALP.replace('age_from = "19 y"', 'age_from = "18 y"'),
        ["overlap", "young men 17 to 18 years", "men 19 years and over"],
    ),
    "a sex left out": ("hemoglobin", 'sex = "female"\n', 'sex = "male"\n', ["hemoglobin", "gap", "female"]),
    "pregnancy left out": (
        "calcium_ionized",
        'age_from = "24 y"\npregnancy = "any"',
        'age_from = "24 y"',
        ["calcium_ionized", "gap", "pregnant, trimester 1"],
    ),
    "a trimester left out": ("hemoglobin", "trimester = [3]", "trimester = [2]", ["hemoglobin", "overlap"]),
    "a trimester without pregnancy": (
        "hemoglobin",
        'pregnancy = "yes"\ntrimester = [1]',
        "trimester = [1]",
        ["pregnancy, first trimester", "trimester needs"],
    ),
    "a population that ends before it begins": (
        "alkaline_phosphatase",
        'age_from = "15 d"\nage_to = "1 y"',
        'age_from = "15 d"\nage_to = "2 d"',
        ["infants 15 days to under 1 year", "ends before"],
    ),
    "an age that is none": (
        "hemoglobin",
        'age_to = "4 d"',
        'age_to = "4 days"',
        ["newborns under 4 days", "'4 days'", "'14 d'"],
    ),
    "an unknown unit of an interval": (
        "hemoglobin",
        'low = { "g/dL" = "14.5" }',
        'low = { "g/cL" = "14.5" }',
        ["interval newborns under 4 days", "unknown unit 'g/cL'"],
    ),
    "an unknown source of an interval": (
        "hemoglobin",
        'source = "lima-memorial"',
        'source = "lima"',
        ["interval newborns under 4 days", "unknown source 'lima'"],
    ),
    "an unknown source of the plausible range": (
        "platelets",
        'low_excluded = true\nsource = "judgement"',
        'low_excluded = true\nsource = "literature"',
        ["plausible", "unknown source 'literature'"],
    ),
    "an unknown key": ("calcium", 'canonical_unit = "mg/dL"', 'canonical_units = "mg/dL"', ["canonical_unit"]),
    "an unknown key of an interval": (
        "platelets",
        'age_to = "18 y"',
        'age_until = "18 y"',
        ["children under 18 years", "age_until"],
    ),
    "a factor that is no number": ("calcium", 'factor = "4.0078"', 'factor = "four"', ["unit", "factor"]),
    "a factor of zero": ("calcium", 'factor = "0.1"', 'factor = "0"', ["unit mg/L", "above zero"]),
    "a canonical unit that is not 1": ("calcium", 'factor = "1"', 'factor = "2"', ["calcium", "canonical unit"]),
    "a family that is no unit": ("platelets", 'family = "10*9/L"', 'family = "10*9"', ["platelets", "family", "10*9"]),
    "a spelling of two units": ("hemoglobin", '"g/l", "gm/l"', '"g/dl", "gm/l"', ["unit g/L", "'g/dl'", "two units"]),
    "a spelling that only case tells apart": (
        "platelets",
        '"10*12/l"',
        '"10*12/l", "G/uL", "k/uL"',
        ["unit 10*12/L", "two units"],
    ),
    "a LOINC code of two analytes": (
        "calcium_ionized",
        '"1995-0" =',
        '"2000-8" =',
        ["calcium_ionized", "'2000-8'", "calcium"],
    ),
    "an alias of two analytes": ("platelets", '"plt",', '"hgb",', ["platelets", "'hgb'", "hemoglobin"]),
    "a range that ends before it begins": ("calcium", 'low = "2"', 'low = "26"', ["lower bound"]),
    "a key that is not the name of the file": ("calcium", 'key = "calcium"', 'key = "kalcium"', ["kalcium.toml"]),
    "broken TOML": ("albumin", "[plausible]", "[plausible", ["not TOML", "line"]),
}


@pytest.mark.parametrize("fault", ANALYTE_FAULTS)
def test_an_analyte_with_a_fault_does_not_load(copy: Path, fault: str) -> None:
    analyte, old, new, words = ANALYTE_FAULTS[fault]
    edit(copy, f"analytes/{analyte}.toml", old=old, new=new)

    said = refusal(copy)

    assert said.startswith(f"{analyte}.toml: ")
    for word in words:
        assert word in said, said


NOTE_FAULTS = {
    "a source that is not listed": ("anemia", "CTCAE grade 1 [3]", "CTCAE grade 1 [30]", ["mild", "source"]),
    "an unknown key": ("anemia", "follows = ", "following = ", ["follow"]),
    "no symptoms": ("anemia", "symptoms = [", "symptoms = []\nunused = [", ["symptoms"]),
    "an unknown finding": ("anemia", 'finding = "anemia"', 'finding = "leukemia"', ["finding"]),
    "no intended use": ("intended_use", "text =", "words =", ["text"]),
}


@pytest.mark.parametrize("fault", NOTE_FAULTS)
def test_a_note_with_a_fault_does_not_load(copy: Path, fault: str) -> None:
    note, old, new, words = NOTE_FAULTS[fault]
    edit(copy, f"notes/{note}.toml", old=old, new=new)

    said = refusal(copy)

    assert said.startswith(f"{note}.toml: ")
    for word in words:
        assert word in said, said


def test_a_note_without_a_citation_does_not_load(copy: Path) -> None:
    path = copy / "notes" / "pattern.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r"\[\d+\]", "", text), encoding="utf-8")

    assert refusal(copy) == "pattern.toml: info: the note cites no source, or one that is not listed"


def test_a_severity_without_a_note_does_not_load(copy: Path) -> None:
    edit(copy, "notes/anemia.toml", old="[severity.critical]", new="[severity.info]")

    assert refusal(copy) == "blood-findings-1.toml: no note for anemia critical"


def test_a_rule_set_is_called_like_its_file(copy: Path) -> None:
    edit(copy, RULES, old='version = "blood-findings-1"', new='version = "blood-findings-2"')

    assert refusal(copy) == "blood-findings-1.toml: the file must be called blood-findings-2.toml"


def test_the_rule_set_in_force_must_exist(copy: Path) -> None:
    with pytest.raises(BadCatalogue, match="there is no rule set 'blood-findings-7'; known: blood-findings-1"):
        load("blood-findings-7", copy)
