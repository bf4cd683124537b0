"""The house: who may know whom, who may open a transaction, and that the middle touches nothing."""

import ast
import sys

from tests.house.source import Module, calls, imported, service

# From the roof to the ground. Who lives on a floor knows only lower floors, and of its own floor only its own room.
# The pages show what the API answers, and therefore live above it.
FLOORS = (
    ("wsgi", "service.gunicorn_conf"),
    ("service.beside", "service.worker"),
    ("service.app",),
    ("service.pages", "service.cli"),
    (
        "service.cli_audit",
        "service.cli_backup",
        "service.cli_bulk",
        "service.cli_demo",
        "service.cli_dispatch",
        "service.cli_erase",
        "service.cli_listen",
        "service.cli_mllp",
        "service.cli_purge",
        "service.cli_replay",
        "service.cli_selftest",
        "service.cli_sources",
        "service.cli_subscriptions",
        "service.cli_users",
    ),
    ("service.cli_common", "service.dispatcher", "service.listener", "service.mllp", "service.selftest"),
    ("service.api",),
    ("service.flows",),
    ("service.catalogue", "service.formats", "service.storage", "service.delivery", "service.logs"),
    ("service.domain", "service.config"),
    ("service.settings_fields",),
    ("service.settings_text",),
    ("service",),
)


def room(name: str) -> tuple[int, str]:
    """Floor, counted from the roof, and room of a module."""
    for floor, rooms in enumerate(FLOORS):
        for one in rooms:
            if name == one or (one != "service" and name.startswith(f"{one}.")):
                return floor, one
    raise AssertionError(f"{name} lives on no floor")


def ours(module: Module) -> set[str]:
    return {name for name in imported(module) if name == "wsgi" or name.split(".")[0] == "service"}


def test_every_module_lives_on_a_floor():
    assert {room(module.name) for module in service()} >= {room("service.domain"), room("service.flows")}


def test_imports_only_go_down():
    upward = [
        f"{module.place} imports {name}"
        for module in service()
        for name in ours(module)
        if room(name)[1] != room(module.name)[1] and room(name)[0] <= room(module.name)[0]
    ]

    assert upward == []


def test_no_two_modules_import_each_other_in_a_circle():
    graph = {module.name: ours(module) - {module.name} for module in service()}

    # Take away what imports nothing that is left, until nothing more goes: what stays stands in a circle.
    while True:
        leaves = {name for name, below in graph.items() if not below & graph.keys()}
        if not leaves:
            break
        graph = {name: below for name, below in graph.items() if name not in leaves}

    assert graph == {}


def domain() -> list[Module]:
    return [module for module in service() if module.name.startswith("service.domain")]


def test_the_domain_needs_nothing_but_the_standard_library():
    foreign = [
        f"{module.place} imports {name}"
        for module in domain()
        for name in imported(module)
        if not name.startswith("service.domain") and name.split(".")[0] not in sys.stdlib_module_names
    ]

    assert foreign == []


TOUCHING = {
    "logging",
    "os",
    "io",
    "socket",
    "pathlib",
    "random",
    "secrets",
    "time",
    "sqlite3",
    "subprocess",
    "threading",
}


def test_the_domain_touches_nothing():
    touched = [
        f"{module.place} imports {name}"
        for module in domain()
        for name in imported(module)
        if name.split(".")[0] in TOUCHING
    ]
    called = [
        f"{module.place}:{line} calls {name}()"
        for module in domain()
        for name, line in calls(module)
        if name in {"now", "utcnow", "today", "open", "print", "input", "uuid4"}
    ]

    assert touched + called == []


# Ages are counted in days and months of a calendar, and published intervals begin and end at years: no value there.
AGES = "service/domain/people.py"


def test_the_domain_reckons_in_decimals():
    floats = [
        f"{module.place}:{node.lineno}"
        for module in domain()
        if module.place != AGES
        for node in ast.walk(module.tree)
        if (isinstance(node, ast.Constant) and isinstance(node.value, float))
        or (isinstance(node, ast.Name) and node.id == "float")
    ]

    assert floats == []


def opens(module: Module, *names: str) -> list[str]:
    return [f"{module.place}:{line} {name}" for name, line in calls(module) if name in names]


def test_only_flows_and_the_schema_open_a_transaction():
    opened = [
        found
        for module in service()
        if not module.name.startswith("service.flows") and module.name != "service.storage.schema"
        for found in opens(module, "transaction")
    ]

    assert opened == []


def test_only_the_database_itself_connects_begins_and_commits():
    done = [
        found
        for module in service()
        if module.name != "service.storage.database"
        for found in opens(module, "connect", "begin", "begin_nested", "commit", "rollback", "create_engine")
    ]

    assert done == []


def test_only_the_settings_and_the_starters_read_the_environment():
    readers = {
        module.name
        for module in service()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {"os.environ", "os.getenv"}
    }

    assert readers <= {"wsgi", "service.cli_common", "service.gunicorn_conf"}


def test_the_clock_is_read_only_by_the_shells():
    readers = {
        module.name
        for module in service()
        for name, _ in calls(module)
        if name in {"now", "utcnow", "today"}
        and module.name.startswith(("service.flows", "service.storage", "service.formats"))
    }

    assert readers == set()
