"""The source as the house tests look at it: modules by name, with their syntax trees and what they import.

Law: read, never imported, so that a module that breaks a rule cannot hide it.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Module:
    name: str
    path: Path
    text: str
    tree: ast.Module

    @property
    def place(self) -> str:
        return str(self.path.relative_to(ROOT))


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _modules(*places: str) -> Iterator[Module]:
    for place in places:
        paths = sorted((ROOT / place).rglob("*.py")) if (ROOT / place).is_dir() else [ROOT / place]
        for path in paths:
            text = path.read_text(encoding="utf-8")
            yield Module(name=_name(path), path=path, text=text, tree=ast.parse(text))


@cache
def service() -> tuple[Module, ...]:
    return tuple(_modules("service", "wsgi.py"))


@cache
def bench() -> tuple[Module, ...]:
    return tuple(_modules("bench"))


@cache
def everything() -> tuple[Module, ...]:
    return (*service(), *bench(), *_modules("migrations", "tests"))


@cache
def _known() -> frozenset[str]:
    return frozenset(module.name for module in service())


def imported(module: Module) -> Iterator[str]:
    """Every module that is imported anywhere in a module; of our own, the one that is really meant."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module.place} imports relatively"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in _known() else str(node.module)


def functions(module: Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def calls(module: Module) -> Iterator[tuple[str, int]]:
    """The last name of everything that is called, with its line."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            yield name, node.lineno
