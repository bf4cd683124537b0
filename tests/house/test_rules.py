"""The house rules that a machine can check: heads, sizes, reasons, dataclasses, exceptions."""

import ast
import re
import statistics

import pytest

from tests.house.source import Module, bench, everything, functions, service

HERE = "test_rules.py"  # it speaks of the very words that it looks for
MAX_FILE = 400
MEDIAN, NINETIETH = 8, 25


def test_every_module_says_what_it_is_for_and_its_one_law():
    silent = [
        module.place
        for module in (*service(), *bench())
        if module.name not in {"service", "wsgi", "bench"}
        and not re.search(r"\blaw\b", ast.get_docstring(module.tree) or "", re.IGNORECASE)
    ]

    assert silent == []


def test_every_module_has_a_head():
    assert [module.place for module in everything() if module.text.strip() and not ast.get_docstring(module.tree)] == []


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function from its name on, without its docstring."""
    first = function.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and len(function.body) > 1
    taken = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return (function.end_lineno or 0) - function.lineno + 1 - taken


@pytest.mark.parametrize("modules", [service, bench])
def test_functions_are_short(modules):
    lengths = sorted(length(function) for module in modules() for function in functions(module))

    assert statistics.median(lengths) <= MEDIAN
    assert statistics.quantiles(lengths, n=10)[-1] <= NINETIETH


def test_files_are_short():
    long = {module.place: len(module.text.splitlines()) for module in everything() if "versions" not in module.place}

    assert {place: lines for place, lines in long.items() if lines > MAX_FILE} == {}


def positional(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    names = [one.arg for one in (*function.args.posonlyargs, *function.args.args)]
    return [name for name in names if name not in {"self", "cls"}]


def framework(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Is it called by a library, in the way that the library chose?"""
    return function.name in {"_deserialize"} or function.name.startswith(("_log_uncaught", "__"))


def test_parameters_beyond_three_are_given_by_name():
    found = [
        f"{module.place}:{function.lineno} {function.name}"
        for module in service()
        for function in functions(module)
        if len(positional(function)) > 3 and not framework(function)
    ]

    assert found == []


def test_dataclasses_are_frozen_slotted_and_by_name():
    loose = [
        f"{module.place}:{node.lineno} {node.name}"
        for module in service()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef) and dataclass_options(node) not in (None, {"frozen", "slots", "kw_only"})
    ]

    assert loose == []


def dataclass_options(node: ast.ClassDef) -> set[str] | None:
    for decorator in node.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        if "dataclass" in ast.unparse(called):
            return {one.arg or "" for one in decorator.keywords} if isinstance(decorator, ast.Call) else set()
    return None


def test_no_exception_is_swallowed_whatever_it_is():
    """Whoever catches everything raises it again or hands it on by name."""
    bare = [
        f"{module.place}:{node.lineno}"
        for module in service()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"})
        and not any(
            isinstance(one, ast.Raise) or (isinstance(one, ast.Name) and one.id == node.name)
            for below in node.body
            for one in ast.walk(below)
        )
    ]

    assert bare == []


# A waiver is followed by two spaces and its reason, or stands under a comment that gives it.
WAIVER = re.compile(r"#\s*(?:noqa|type:\s*ignore|pragma|pylint|ruff|mypy|nosec|fmt: off)\b(?P<rest>.*)")
REASON = re.compile(r"(?:\[[\w, -]+\]|:\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*)\s{2,}(?:#\s*)?\S.*")


def test_every_waiver_gives_its_reason():
    silent = [found for module in everything() if module.path.name != HERE for found in waived_in_silence(module)]

    assert silent == []


def waived_in_silence(module: Module) -> list[str]:
    lines = module.text.splitlines()
    return [
        f"{module.place}:{number}: {line.strip()}"
        for number, (above, line) in enumerate(zip(["", *lines], lines, strict=False), start=1)
        if (waiver := WAIVER.search(line))
        and not REASON.fullmatch(waiver["rest"].rstrip())
        and not above.strip().startswith("#")
    ]


@pytest.mark.parametrize("word", ["TODO", "FIXME", "XXX", "HACK"])
def test_nothing_is_left_for_later(word):
    marked = [
        f"{module.place}:{number}"
        for module in everything()
        if module.path.name != HERE
        for number, line in enumerate(module.text.splitlines(), start=1)
        if re.search(rf"#.*\b{word}\b", line)
    ]

    assert marked == []


def test_no_test_is_left_out_without_a_reason():
    silent = [
        f"{module.place}:{node.lineno}"
        for module in everything()
        if module.name.startswith("tests")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and node.attr in {"skip", "skipif", "xfail"} and not reasoned(module, node)
    ]

    assert silent == []


def reasoned(module: Module, node: ast.Attribute) -> bool:
    calls = [one for one in ast.walk(module.tree) if isinstance(one, ast.Call) and one.func is node]
    return bool(calls) and all("reason" in {one.arg for one in call.keywords} or call.args for call in calls)


def test_the_service_prints_nothing_by_itself():
    prints = [
        f"{module.place}:{node.lineno}"
        for module in service()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]

    assert prints == []
