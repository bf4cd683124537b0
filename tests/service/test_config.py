"""The settings: every fault at once, by name, without a value; every setting with a default that is itself accepted."""

import dataclasses
from pathlib import Path

import pytest
from requests import certs

from service.config import PREFIX, Settings, SettingsError

SECRET = "s3cr3t-of-the-database"

ACCEPTED = {
    "database_url": ("sqlite:////data/a.db", "sqlite:////data/a.db"),
    "database_pool": ("12", 12),
    "database_timeout_seconds": ("3", 3),
    "bind": ("[::1]:9000", "[::1]:9000"),
    "workers": ("3", 3),
    "threads": ("8", 8),
    "request_timeout_seconds": ("60", 60),
    "graceful_seconds": ("5", 5),
    "client_timeout_seconds": ("5", 5),
    "max_body_bytes": ("2048", 2048),
    "keep_names": ("TRUE", True),
    "keep_inbox_days": ("400", 400),
    "keep_audit_days": ("3650", 3650),
    "keep_deliveries_days": ("400", 400),
    "remember_hours": ("48", 48),
    "hl7_http_status": ("By-Code", "by-code"),
    "dispatch": ("false", False),
    "dispatch_threads": ("4", 4),
    "webhook_http": ("true", True),
    "webhook_networks": ("10.20.0.0/16, ::1", ("10.20.0.0/16", "::1/128")),
    "webhook_ca_file": (certs.where(), certs.where()),
    "webhook_timeout_seconds": ("5", 5),
    "smtp_host": ("mail.hospital.example", "mail.hospital.example"),
    "smtp_port": ("25", 25),
    "smtp_security": ("TLS", "tls"),
    "smtp_from": ("alerts@hospital.example", "alerts@hospital.example"),
    "smtp_user": ("alerts", "alerts"),
    "smtp_password": ("p ss#1", "p ss#1"),
    "cds_hooks_auth": ("Off", "off"),
    "cds_hooks_issuers": ("/etc/lab-alerts/issuers.json", "/etc/lab-alerts/issuers.json"),
    "cds_hooks_origins": ("https://ehr.example, http://[::1]:8080", ("https://ehr.example", "http://[::1]:8080")),
    "session_hours": ("8", 8),
    "session_idle_minutes": ("15", 15),
    "oidc_issuer": ("https://login.hospital.example/realms/staff", "https://login.hospital.example/realms/staff"),
    "oidc_client_id": ("lab-alerts", "lab-alerts"),
    "oidc_client_secret": ("s#cret", "s#cret"),
    "oidc_name": ("Hospital sign-on", "Hospital sign-on"),
    "oidc_new_people": ("Viewer", "viewer"),
    "ruleset": ("blood-findings-2", "blood-findings-2"),
    "public_url": ("https://lab.example/alerts/", "https://lab.example/alerts"),
    "trusted_proxies": ("1", 1),
    "migrate_on_start": ("false", False),
    "log_level": ("WARNING", "warning"),
    "log_format": ("console", "console"),
}

# What a setting needs beside it.
BESIDE = {"oidc_issuer": ("oidc_client_id", "public_url")}

REFUSED = [
    ("oidc_issuer", "http://login.hospital.example"),
    ("oidc_issuer", "https://me:secret@login.hospital.example"),
    ("database_url", "mysql://root:s3cr3t-of-the-database@db/lab"),
    ("database_url", "sqlite://relative.db"),
    ("database_url", "sqlite:relative.db"),
    ("database_url", "sqlite:///a.db?mode=ro"),
    ("database_url", "postgresql://db"),
    ("database_url", "postgresql://"),
    ("database_url", "postgresql://db:port/lab"),
    ("database_url", "postgresql+asyncpg://db/lab"),
    ("database_pool", "-1"),
    ("database_timeout_seconds", "0"),
    ("database_timeout_seconds", "1.5"),
    ("bind", "8000"),
    ("bind", "localhost:"),
    ("bind", "localhost:70000"),
    ("bind", "localhost:0"),
    ("bind", "a b:80"),
    ("workers", "65"),
    ("workers", " 2"),
    ("workers", "1_0"),
    ("workers", "٣"),
    ("workers", "many"),
    ("threads", "0"),
    ("request_timeout_seconds", ""),
    ("graceful_seconds", "601"),
    ("client_timeout_seconds", "0"),
    ("max_body_bytes", "1023"),
    ("max_body_bytes", "9" * 5000),
    ("keep_names", "maybe"),
    ("keep_names", "1"),
    ("keep_inbox_days", "-1"),
    ("remember_hours", "0"),
    ("remember_hours", "8761"),
    ("keep_inbox_days", "36501"),
    ("ruleset", "../blood"),
    ("ruleset", "blood--findings"),
    ("public_url", "lab.example"),
    ("public_url", "ftp://lab.example"),
    ("public_url", "https://"),
    ("public_url", "https://[lab"),
    ("public_url", "https://lab.example:port"),
    ("public_url", "https://me:s3cr3t-of-the-database@lab.example"),
    ("public_url", "https://lab.example/?a=b"),
    ("trusted_proxies", "11"),
    ("migrate_on_start", "no"),
    ("log_level", "verbose"),
    ("log_format", "xml"),
    ("dispatch_threads", "65"),
    ("webhook_http", "yes"),
    ("webhook_networks", "intranet"),
    ("webhook_networks", "10.20.1.1/16"),
    ("webhook_networks", "10.20.0.0/16;10.30.0.0/16"),
    ("webhook_ca_file", "/nonexistent/ca.pem"),
    ("webhook_ca_file", __file__),
    ("webhook_timeout_seconds", "61"),
    ("smtp_host", "mail\n.example"),
    ("smtp_port", "0"),
    ("smtp_security", "ssl"),
    ("smtp_from", "Alerts <alerts@hospital.example>"),
    ("smtp_from", "alerts@hospital.example\nBcc: x@y.example"),
    ("smtp_user", "älarm"),
    ("smtp_password", "s3cr3t-of-the-database-€"),
    ("cds_hooks_auth", "no"),
    ("cds_hooks_issuers", ""),
    ("cds_hooks_origins", "*"),
    ("cds_hooks_origins", "null"),
    ("cds_hooks_origins", "https://ehr.example/"),
    ("cds_hooks_origins", "https://ehr.example,"),
]


def variable(name: str) -> str:
    return PREFIX + name.upper()


def faults(environ: dict[str, str]) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environ(environ)
    return caught.value.faults


def test_an_empty_environment_gives_the_defaults():
    assert Settings.from_environ({}) == Settings()


def test_variables_of_other_programs_are_left_alone():
    assert Settings.from_environ({"PATH": "/bin", "LAB": "x", "DATABASE_URL": "y"}) == Settings()


def test_every_setting_has_an_accepted_example():
    assert set(ACCEPTED) == {each.name for each in dataclasses.fields(Settings)}


@pytest.mark.parametrize("name", ACCEPTED)
def test_an_accepted_value_is_read(name):
    given = {one: ACCEPTED[one] for one in (name, *BESIDE.get(name, ()))}

    settings = Settings.from_environ({variable(one): text for one, (text, _) in given.items()})

    assert settings == dataclasses.replace(Settings(), **{one: expected for one, (_, expected) in given.items()})


def test_a_setting_that_needs_others_names_each_that_lacks():
    found = faults({"LAB_ALERTS_OIDC_ISSUER": "https://login.hospital.example"})

    assert [fault.partition(":")[0] for fault in found] == ["LAB_ALERTS_OIDC_CLIENT_ID", "LAB_ALERTS_PUBLIC_URL"]


@pytest.mark.parametrize(("name", "text"), REFUSED)
def test_an_odd_value_is_refused_by_name_with_what_is_accepted_and_never_repeated(name, text):
    (fault,) = faults({variable(name): text})

    assert fault.startswith(f"{variable(name)}: ")
    assert "accepted: " in fault
    assert SECRET not in fault
    assert len(fault) < 300


@pytest.mark.parametrize("name", ACCEPTED)
def test_an_empty_value_is_refused_instead_of_taken_for_the_default(name):
    (fault,) = faults({variable(name): ""})

    assert "set but empty" in fault


def test_all_faults_are_reported_at_once():
    found = faults(
        {
            "LAB_ALERTS_WORKERS": "x",
            "LAB_ALERTS_THREADS": "x",
            "LAB_ALERTS_THREAD": "4",
            "LAB_ALERTS_DATABASE_URL_FILE": "/nonexistent/url",
            "PORT": "x",
        }
    )

    assert [fault.partition(":")[0] for fault in found] == [
        "LAB_ALERTS_DATABASE_URL_FILE",
        "PORT",
        "LAB_ALERTS_THREAD",
        "LAB_ALERTS_THREADS",
        "LAB_ALERTS_WORKERS",
    ]


def test_the_text_of_the_error_holds_every_fault():
    error = SettingsError(["A: is odd", "B: is odd"])

    assert str(error) == "The settings are not valid:\n  A: is odd\n  B: is odd"


def test_an_unknown_variable_is_a_fault_with_the_nearest_name():
    assert faults({"LAB_ALERTS_WORKER": "2"}) == (
        "LAB_ALERTS_WORKER: is not a setting; did you mean LAB_ALERTS_WORKERS?",
    )
    assert faults({"LAB_ALERTS_ZEBRA": "2"}) == ("LAB_ALERTS_ZEBRA: is not a setting",)


def test_only_a_secret_has_a_file_form(tmp_path):
    (fault,) = faults({"LAB_ALERTS_WORKERS_FILE": str(tmp_path)})

    assert fault == "LAB_ALERTS_WORKERS_FILE: is not a setting; did you mean LAB_ALERTS_WORKERS?"


def test_service_links_of_kubernetes_are_not_taken_for_settings():
    links = {
        "LAB_ALERTS_SERVICE_HOST": "10.0.0.1",
        "LAB_ALERTS_SERVICE_PORT": "8000",
        "LAB_ALERTS_SERVICE_PORT_HTTP": "8000",
        "LAB_ALERTS_PORT": "tcp://10.0.0.1:8000",
        "LAB_ALERTS_PORT_8000_TCP": "tcp://10.0.0.1:8000",
        "LAB_ALERTS_PORT_8000_TCP_ADDR": "10.0.0.1",
        "LAB_ALERTS_DB_PORT": "tcp://10.0.0.2:5432",
        "LAB_ALERTS_DB_SERVICE_HOST": "10.0.0.2",
    }

    assert Settings.from_environ(links) == Settings()


def test_a_port_that_is_no_service_link_is_a_fault():
    (fault,) = faults({"LAB_ALERTS_PORT": "8000"})

    assert fault.startswith("LAB_ALERTS_PORT: is not a setting")


def test_port_means_every_address_on_that_port():
    settings = Settings.from_environ({"PORT": "9001"})

    assert (settings.bind, settings.port) == ("0.0.0.0:9001", 9001)


def test_bind_wins_over_port():
    settings = Settings.from_environ({"PORT": "9001", "LAB_ALERTS_BIND": "127.0.0.1:9002"})

    assert settings.bind == "127.0.0.1:9002"


@pytest.mark.parametrize("text", ["", "0", "65536", "tcp://10.0.0.1:80"])
def test_an_odd_port_is_refused_as_port(text):
    (fault,) = faults({"PORT": text})

    assert fault.startswith("PORT: ")


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
@pytest.mark.parametrize(
    "rest",
    ["me:p%40ss@db:5432/lab", "me:p/#?ss@[::1]:5432/lab", "db/lab?sslmode=require", "me@/lab?host=/run/postgresql"],
)
def test_every_spelling_of_postgresql_names_its_driver(scheme, rest):
    settings = Settings.from_environ({"LAB_ALERTS_DATABASE_URL": f"{scheme}://{rest}"})

    assert settings.database_url == f"postgresql+psycopg://{rest}"
    assert not settings.sqlite


@pytest.mark.parametrize("text", ["sqlite://", "sqlite:///:memory:", "sqlite:///var/with space.db"])
def test_sqlite_is_accepted_as_it_is(text):
    settings = Settings.from_environ({"LAB_ALERTS_DATABASE_URL": text})

    assert settings.database_url == text
    assert settings.sqlite


def test_a_secret_is_read_from_a_file_without_the_line_end(tmp_path):
    file = tmp_path / "url"
    file.write_text(f"postgresql://me:{SECRET}@db/lab\n", encoding="utf-8")

    settings = Settings.from_environ({"LAB_ALERTS_DATABASE_URL_FILE": str(file)})

    assert settings.database_url == f"postgresql+psycopg://me:{SECRET}@db/lab"


def test_a_secret_given_twice_is_a_fault(tmp_path):
    file = tmp_path / "url"
    file.write_text("sqlite:///a.db", encoding="utf-8")

    (fault,) = faults({"LAB_ALERTS_DATABASE_URL_FILE": str(file), "LAB_ALERTS_DATABASE_URL": "sqlite:///b.db"})

    assert "given twice" in fault


@pytest.mark.parametrize("path", [f"/nonexistent/{SECRET}", "/", ""])
def test_a_file_that_cannot_be_read_is_a_fault_that_hides_its_path(path):
    (fault,) = faults({"LAB_ALERTS_DATABASE_URL_FILE": path})

    assert fault.startswith("LAB_ALERTS_DATABASE_URL_FILE: ")
    assert SECRET not in fault


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", f"mysql://{SECRET}".encode()])
def test_a_file_that_holds_no_accepted_value_is_a_fault_that_hides_its_content(tmp_path, content):
    file = tmp_path / "url"
    file.write_bytes(content)

    (fault,) = faults({"LAB_ALERTS_DATABASE_URL_FILE": str(file)})

    assert fault.startswith("LAB_ALERTS_DATABASE_URL")
    assert SECRET not in fault


def test_repr_hides_secrets():
    settings = Settings.from_environ({"LAB_ALERTS_DATABASE_URL": f"postgresql://me:{SECRET}@db/lab"})

    assert SECRET not in repr(settings)
    assert "threads=16" in repr(settings)


def test_settings_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().threads = 5


def test_the_table_has_a_row_for_every_setting_in_order():
    rows = Settings.table()

    assert [row.name for row in rows] == [variable(each.name) for each in dataclasses.fields(Settings)]
    assert [row.name for row in rows if row.secret] == [
        "LAB_ALERTS_DATABASE_URL",
        "LAB_ALERTS_SMTP_PASSWORD",
        "LAB_ALERTS_OIDC_CLIENT_SECRET",
    ]
    assert all(row.meaning.endswith(".") and row.accepts for row in rows)


def test_every_default_in_the_table_is_itself_accepted():
    written = {row.name: row.default for row in Settings.table() if row.default != "none"}

    assert Settings.from_environ(written) == Settings()


@pytest.mark.parametrize(
    ("changed", "processors", "expected"),
    [
        ({}, 16, 2),
        ({"database_url": "postgresql+psycopg://db/lab"}, 1, 2),
        ({"database_url": "postgresql+psycopg://db/lab"}, 16, 8),
        ({"workers": 5}, 1, 5),
    ],
)
def test_workers_are_chosen_by_database_and_processors(changed, processors, expected):
    assert Settings(**changed).worker_count(processors) == expected


def test_the_pool_holds_one_connection_more_than_threads_up_to_a_bound():
    assert Settings(threads=6).pool_size == 7
    assert Settings(threads=64).pool_size == 9
    assert Settings(threads=6, database_pool=3).pool_size == 3


def test_only_the_doors_of_the_program_touch_the_environment():
    root = Path(__file__).parents[2]
    doors = {"wsgi.py", "service/cli_common.py", "service/gunicorn_conf.py"}
    sources = [root / "wsgi.py", *root.glob("service/**/*.py"), *root.glob("migrations/**/*.py")]

    readers = {
        source.relative_to(root).as_posix()
        for source in sources
        if any(word in source.read_text(encoding="utf-8") for word in ("os.environ", "os.getenv"))
    }

    assert readers <= doors
