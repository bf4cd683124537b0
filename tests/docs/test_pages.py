"""What the pages say of the program is so.

Law: a page that names something of the program is compared with the program, not with a list of its own.
"""

import ast
import re
import tomllib
from collections.abc import Iterator

import pytest

from service import __version__
from service.api.problems import PROBLEMS
from service.catalogue.load import load
from service.config import Settings
from service.domain.verdicts import Outcome, Reason
from service.storage.keys import SCOPES
from service.storage.tables import FLAG_STATES
from tests.docs.pages import ROOT, page, section, table, words

README = page("README.md")


def _code() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "service").rglob("*.py")))


def test_every_problem_is_documented_with_its_status() -> None:
    told = {slug.strip("`"): int(status) for slug, status, _ in table(README, "Problem")}

    assert told == {problem.slug: problem.status for problem in PROBLEMS.values()}


def test_every_reason_is_documented_and_whether_the_sender_can_mend_it() -> None:
    told = {reason.strip("`"): mend == "yes" for reason, mend, _ in table(README, "Reason")}

    assert told == {reason.value: reason.mendable for reason in Reason}


def test_every_outcome_state_and_scope_is_documented() -> None:
    assert [row[0].strip("`") for row in table(README, "Outcome")] == [outcome.value for outcome in Outcome]
    assert [row[0].strip("`") for row in table(README, "State of a flag")] == list(FLAG_STATES)
    assert set(words(section(README, "Command line").partition("Scopes:")[2])) >= set(SCOPES)


def test_every_code_of_a_fault_is_documented() -> None:
    told = words(README.partition("Codes of faults:")[2].partition(";")[0])

    assert told == sorted(set(_codes()) - {"name-taken"})  # that one is for the command line


def _codes() -> Iterator[str]:
    for path in (ROOT / "service").rglob("*.py"):
        # There they are answered as numbers of HL7's table 0357, and as issue types of FHIR.
        if "hl7v2" in str(path) or "fhir" in str(path):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                yield from _codes_in(node, node.func.id)
    own = re.search(r"^_WORDS = \{(.*?)^\}", page("service/formats/native.py"), re.MULTILINE | re.DOTALL)[1]
    yield from re.findall(r'\("([a-z-]+)",', own)
    yield "invalid"


def _codes_in(call: ast.Call, name: str) -> Iterator[str]:
    given = [keyword.value for keyword in call.keywords if keyword.arg == "code"] if name == "Fault" else []
    given += call.args[1:2] if name in ("refuse", "Said", "_fault") else []
    yield from (one.value for one in given if isinstance(one, ast.Constant))


def test_every_cut_off_of_the_rule_set_is_in_the_readme() -> None:
    file = ROOT / "service" / "catalogue" / "rulesets" / f"{Settings().ruleset}.toml"
    rows = {row[1]: " ".join(row) for row in table(README, "Finding")}

    for rule in tomllib.loads(file.read_text(encoding="utf-8"))["rule"]:
        line = rows[", ".join(f"`{analyte}`" for analyte in rule["analytes"])]
        assert f"`{rule['finding']}`" in line
        for previous, row in zip(rule["row"], rule["row"][1:], strict=False):
            if row["severity"] != previous["severity"]:
                for number in (row.get("above") or row["below"]).values():
                    assert re.search(rf"\b{re.escape(number)}\b", line), f"{rule['key']}: {number}"


def test_the_limits_for_adults_in_the_readme_are_those_of_the_catalogue() -> None:
    told = section(README, "How a result is judged").partition("For adults the catalogue has:")[2].partition("`GET")[0]
    numbers = set(re.findall(r"\d+(?:\.\d+)?", told.replace("10⁹", "")))

    stated = set()
    for key in ("calcium", "calcium_ionized", "alkaline_phosphatase", "hemoglobin", "platelets"):
        data = tomllib.loads(page(f"service/catalogue/analytes/{key}.toml"))
        adults = [one for one in data["interval"] if re.match(r"(adults|women|men) ", one["population"])]
        sides = ("high",) if key == "alkaline_phosphatase" else ("low", "high")
        stated |= {number for one in adults for side in sides for number in one.get(side, {}).values()}
    assert numbers == stated


def test_every_place_and_test_in_the_safety_table_exists() -> None:
    rows = table(README, "Promise")

    assert len(rows) >= 9
    for promise, where, tests in rows:
        assert words(where), promise
        assert all((ROOT / path).is_file() for path in words(where)), promise
        assert words(tests), promise
        for name in words(tests):
            path, _, test = name.partition("::")
            assert f"\ndef {test}(" in page(path), name


def test_every_term_of_the_glossary_is_used_in_the_code() -> None:
    code = _code().lower().replace("_", " ").replace("-", " ")
    terms = re.findall(r"\*\*([^*]+)\*\*", page("GLOSSARY.md"))

    assert len(terms) >= 30
    assert [term for term in terms if not re.search(rf"\b{term.lower().replace(' ', ' ?')}", code)] == []


def test_the_terms_of_the_glossary_stand_once() -> None:
    terms = re.findall(r"\*\*([^*]+)\*\*", page("GLOSSARY.md"))

    assert sorted(set(terms)) == sorted(terms)


def test_the_changelog_has_the_current_version() -> None:
    assert re.search(rf"^## \[{re.escape(__version__)}\] - \d{{4}}-\d\d-\d\d$", page("CHANGELOG.md"), re.MULTILINE)


def test_the_changelog_names_every_rule_set() -> None:
    assert all(version in page("CHANGELOG.md") for version in load(Settings().ruleset).rulebook.rulesets)


def test_decisions_are_numbered_dated_and_short() -> None:
    parts = re.split(r"^## ", page("DECISIONS.md"), flags=re.MULTILINE)[1:]

    for number, part in enumerate(parts, start=1):
        head, *lines = part.strip().splitlines()
        assert re.fullmatch(rf"{number}\. .+ \(\d{{4}}-\d\d-\d\d\)", head), head
        assert len(lines) < 15, head
        assert re.findall(r"^([A-Z]\w+): ", part, re.MULTILINE) == ["Context", "Decision", "Consequences"], head


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_every_path_named_exists(name: str) -> None:
    named = [word for word in words(page(name)) if re.fullmatch(r"(service|tests|migrations)/[\w./-]*", word)]

    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "GLOSSARY.md", "DECISIONS.md", "CHANGELOG.md"])
def test_a_page_leaves_nothing_open(name: str) -> None:
    text = page(name)

    assert "@@" not in text
    assert not re.search(r"\b(TBD|FIXME)\b", text)
    assert [line for line in text.splitlines() if len(line) > 125 and not line.startswith(("|", "<!--"))] == []
