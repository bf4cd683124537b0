"""The settings in the README are those of the program."""

import re

from service.config import Settings
from tests.docs.pages import page, table


def test_the_table_of_settings_is_that_of_the_program() -> None:
    told = [[f"`{row.name}`", f"`{row.default}`", row.accepts, row.meaning] for row in Settings.table()]

    lines = "\n".join(f"| {' | '.join(row)} |" for row in told)
    assert table(page("README.md"), "Variable") == told, f"the table should read:\n{lines}"


def test_every_setting_named_on_a_page_exists() -> None:
    known = {row.name for row in Settings.table()} | {f"{row.name}_FILE" for row in Settings.table() if row.secret}
    pages = ("README.md", "CONTRIBUTING.md", "GLOSSARY.md", "DECISIONS.md", "CHANGELOG.md")
    named = {name for one in pages for name in re.findall(r"LAB_ALERTS_[A-Z0-9_]+[A-Z]", page(one))}

    assert named <= known
