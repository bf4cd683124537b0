"""The settings: what an operator may choose, read once from the environment.

Its one law: this is the only reader of the environment, and it reads a mapping that is handed in. A value
that is not accepted stops the start, together with all other faults, by the variable's name and without the
value, because a password put into the wrong variable must not end in a log.

A new setting is one field of ``Settings``: variable, check, default and documentation follow from it.
"""

import dataclasses
import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from marshmallow import Schema, ValidationError, fields

from service import settings_text
from service.settings_fields import Entry, Read, flag, number, one_of, setting

PREFIX = "LAB_ALERTS_"
FILE_SUFFIX = "_FILE"
BIND = "LAB_ALERTS_BIND"
PORT = "PORT"
MAX_AUTOMATIC_WORKERS = 8
# Eight workers with nine connections each stay below the hundred that PostgreSQL allows by default.
MAX_AUTOMATIC_CONNECTIONS = 8
SQLITE_WORKERS = 2

# Kubernetes describes every service of a namespace to every container in these words; one named "lab-alerts"
# (or "lab-alerts-db") would otherwise look like a wrong setting of ours and stop the start.
_SERVICE_LINK_NAME = re.compile(r"\w+_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)")
_SERVICE_LINK_VALUE = re.compile(r"(tcp|udp|sctp)://")


class SettingsError(Exception):
    """The environment does not make valid settings. ``faults`` are lines that name no value."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(("The settings are not valid:", *(f"  {fault}" for fault in self.faults))))


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingRow:
    """One line of the documentation of the settings, as text."""

    name: str
    default: str
    accepts: str
    meaning: str
    secret: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything an operator may choose. ``repr`` leaves the secrets out.

    Each field is the variable ``LAB_ALERTS_<NAME>``; a secret may come as ``LAB_ALERTS_<NAME>_FILE`` instead.
    """

    database_url: str = setting(
        "sqlite:///var/lab-alerts.db",
        "Where everything is kept. A secret, because it may hold a password.",
        read=settings_text.database_url,
        accepts="sqlite:///relative/path, sqlite:////absolute/path or postgresql://user:password@host:port/name",
        secret=True,
    )
    database_pool: int = number(
        0,
        "Open database connections per worker process; 0 is one per thread, at most 8, and one more.",
        low=0,
        high=200,
    )
    database_timeout_seconds: int = number(
        10, "Seconds to wait for a connection, a lock or a busy SQLite file before giving up.", low=1, high=300
    )
    bind: str = setting(
        "127.0.0.1:8000",
        "Address to listen on. When it is not set and PORT is, 0.0.0.0 on that port.",
        read=settings_text.host_and_port,
        accepts="host:port",
    )
    workers: int = number(
        0,
        f"Worker processes; 0 is automatic: {SQLITE_WORKERS} with SQLite (one writes at a time); with "
        f"PostgreSQL two for each processor, at most {MAX_AUTOMATIC_WORKERS}.",
        low=0,
        high=64,
    )
    threads: int = number(
        16, "Threads per worker process; panels that they bring at the same time are written together.", low=1, high=64
    )
    request_timeout_seconds: int = number(
        30,
        "Seconds after which a worker process that is stuck as a whole is replaced; not a limit for one request.",
        low=1,
        high=600,
    )
    graceful_seconds: int = number(
        30, "Seconds that requests under way are given to finish when the service stops.", low=1, high=600
    )
    client_timeout_seconds: int = number(
        20, "Seconds that one request waits for its client; 500 bytes sent or taken give one back.", low=1, high=600
    )
    max_body_bytes: int = number(
        1_048_576, "Largest request body in bytes; a larger one is refused (413).", low=1_024, high=2**30
    )
    keep_names: bool = flag(False, "Keep the names of patients when a message carries them.")
    keep_inbox_days: int = number(
        0,
        "Days after which `lab-alerts purge` deletes messages as they came; 0 keeps them for ever.",
        low=0,
        high=36_500,
    )
    keep_audit_days: int = number(
        0,
        "Days after which `lab-alerts purge` deletes entries of the audit; 0 keeps them for ever.",
        low=0,
        high=36_500,
    )
    keep_deliveries_days: int = number(
        0,
        "Days after which `lab-alerts purge` deletes what was sent to whom; 0 keeps it for ever.",
        low=0,
        high=36_500,
    )
    remember_hours: int = number(
        24, "Hours for which the answer to a request with an Idempotency-Key is remembered.", low=1, high=8_760
    )
    hl7_http_status: str = one_of("always-200", "HTTP status of HL7 v2 acknowledgments.", "always-200", "by-code")
    dispatch: bool = flag(True, "Run a dispatcher beside the service; off where `lab-alerts dispatch` runs by itself.")
    dispatch_threads: int = number(16, "Messages that one dispatcher sends at the same time.", low=1, high=64)
    webhook_http: bool = flag(False, "Allow receivers of webhooks and pagers without encryption (http).")
    webhook_networks: tuple[str, ...] | None = setting(
        None,
        "Private networks in which receivers may be reached; without them none is.",
        read=settings_text.networks,
        accepts="addresses and networks such as 10.20.0.0/16, with commas between them",
    )
    webhook_ca_file: str | None = setting(
        None,
        "File of further certificates by which receivers and the mail server are trusted.",
        read=settings_text.certificates,
        accepts="the path of a file of certificates (PEM)",
    )
    webhook_timeout_seconds: int = number(20, "Seconds that one attempt to deliver may take in all.", low=1, high=60)
    smtp_host: str | None = setting(
        None, "Mail server; without one no mail is sent.", read=settings_text.ascii_line, accepts="a host"
    )
    smtp_port: int = number(587, "Port of the mail server.", low=1, high=65_535)
    smtp_security: str = one_of("starttls", "How the connection to it is encrypted.", "starttls", "tls", "none")
    smtp_from: str = setting(
        "lab-alerts@localhost",
        "Address in whose name mail is sent.",
        read=settings_text.mail_address,
        accepts="an address such as alerts@hospital.example",
    )
    smtp_user: str | None = setting(
        None, "Name under which to sign in to the mail server.", read=settings_text.ascii_line, accepts="ASCII text"
    )
    smtp_password: str | None = setting(
        None, "Password for it.", read=settings_text.ascii_line, accepts="ASCII text", secret=True
    )
    cds_hooks_auth: str = one_of(
        "required", "Whether callers of CDS Hooks must show a token; off is for trials only.", "required", "off"
    )
    cds_hooks_issuers: str | None = setting(
        None,
        "File that lists whose tokens are taken for CDS Hooks; without one nobody's are.",
        read=settings_text.not_empty,
        accepts="the path of a JSON file",
    )
    cds_hooks_origins: tuple[str, ...] | None = setting(
        None,
        "Origins whose pages may call CDS Hooks from a browser.",
        read=settings_text.origins,
        accepts="origins such as https://ehr.example, with commas between them",
    )
    session_hours: int = number(12, "Hours after which people sign in to the pages anew.", low=1, high=168)
    session_idle_minutes: int = number(
        30, "Minutes without a request after which people sign in anew.", low=1, high=1_440
    )
    oidc_issuer: str | None = setting(
        None,
        "Provider of OpenID Connect at which people may sign in; needs LAB_ALERTS_PUBLIC_URL.",
        read=settings_text.issuer,
        accepts="an https address (http on this machine only)",
    )
    oidc_client_id: str | None = setting(
        None, "Under which id this service is known there.", read=settings_text.not_empty, accepts="any text"
    )
    oidc_client_secret: str | None = setting(
        None,
        "Secret that goes with the id, where the provider gave one.",
        read=settings_text.not_empty,
        accepts="any text",
        secret=True,
    )
    oidc_name: str = setting(
        "single sign-on", "What the provider is called on the page.", read=settings_text.not_empty, accepts="any text"
    )
    oidc_new_people: str = one_of(
        "none", "As what people are added who sign in there and are not known here.", "none", "viewer"
    )
    ruleset: str = setting(
        "blood-findings-1",
        "The rule set that judges what comes in.",
        read=settings_text.ruleset_name,
        accepts="small letters, digits and hyphens",
    )
    public_url: str | None = setting(
        None,
        "Address under which others reach the service; used in links.",
        read=settings_text.public_url,
        accepts="an absolute http or https address",
    )
    trusted_proxies: int = number(0, "Reverse proxies in front whose X-Forwarded headers are believed.", low=0, high=10)
    migrate_on_start: bool = flag(True, "Bring the database schema up to date when the service starts.")
    log_level: str = one_of("info", "Least level that is logged.", "debug", "info", "warning", "error")
    log_format: str = one_of("json", "json for machines, console for people.", "json", "console")

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read the settings from ``environ`` and from the files that its ``_FILE`` variables name.

        Raises SettingsError with every fault found, not only the first.
        """
        given, faults = _given(environ)
        try:
            values = _schema().load(given)
        except ValidationError as error:
            raise SettingsError([*faults, *_told(error)]) from None
        found = None if faults else cls(**values)
        if found is None or (lacking := list(_lacking(found))):
            raise SettingsError(faults or lacking)
        return found

    @classmethod
    def table(cls) -> list[SettingRow]:
        """The settings as rows of documentation, in the order of the fields."""
        return [
            SettingRow(
                name=name,
                default=_default_text(default),
                accepts=entry.accepts,
                meaning=entry.meaning,
                secret=entry.secret,
            )
            for name, default, entry in _entries()
        ]

    @property
    def sqlite(self) -> bool:
        """Whether the database is an SQLite file (or memory)."""
        return self.database_url.startswith("sqlite:")

    @property
    def port(self) -> int:
        """The port of ``bind``."""
        return int(self.bind.rpartition(":")[2])

    @property
    def pool_size(self) -> int:
        """Database connections per worker process, with 0 resolved."""
        return self.database_pool or min(self.threads, MAX_AUTOMATIC_CONNECTIONS) + 1

    def worker_count(self, processors: int) -> int:
        """Worker processes on a machine with this many processors, with 0 resolved."""
        automatic = SQLITE_WORKERS if self.sqlite else min(processors * 2, MAX_AUTOMATIC_WORKERS)
        return self.workers or automatic


def _lacking(found: Settings) -> Iterator[str]:
    """What a setting needs beside it."""
    for name in ("oidc_client_id", "public_url"):
        if found.oidc_issuer is not None and getattr(found, name) is None:
            yield f"{PREFIX}{name.upper()}: is not set, and {PREFIX}OIDC_ISSUER needs it; accepted: see that setting"


def _entries() -> Iterator[tuple[str, object, Entry]]:
    for each in dataclasses.fields(Settings):
        yield PREFIX + each.name.upper(), each.default, each.metadata["entry"]


def _default_text(default: object) -> str:
    if default is None:
        return "none"
    return str(default).lower() if isinstance(default, bool) else str(default)


def _schema() -> Schema:
    members: dict[str, fields.Field[Any]] = {}
    for name, _default, entry in _entries():
        member = Read(entry.read, entry.accepts)
        member.data_key = name
        members[name.removeprefix(PREFIX).lower()] = member
    return Schema.from_dict(members, name="SettingsSchema")()


def _given(environ: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Our variables, with files read and PORT turned into an address to bind, and the faults on the way."""
    given = {name: text for name, text in environ.items() if _ours(name, text)}
    faults = list(_read_files(given))
    if BIND not in given and PORT in environ:
        try:
            given[BIND] = f"0.0.0.0:{settings_text.whole(settings_text.not_empty(environ[PORT]), 1, 65535)}"
        except settings_text.Odd as odd:
            faults.append(f"{PORT}: {odd}; accepted: whole numbers from 1 to 65535")
    return given, faults


def _ours(name: str, text: str) -> bool:
    if not name.startswith(PREFIX) or _SERVICE_LINK_NAME.fullmatch(name):
        return False
    return not (name.endswith("_PORT") and _SERVICE_LINK_VALUE.match(text))


def _read_files(given: dict[str, str]) -> Iterator[str]:
    """Replace each ``_FILE`` variable of a secret by what the file holds; yield what went wrong."""
    for name, _default, entry in _entries():
        variable = name + FILE_SUFFIX
        if not entry.secret or variable not in given:
            continue
        path = given.pop(variable)
        if name in given:
            yield f"{name}: is given twice, also as {variable}; accepted: one of the two"
            continue
        try:
            given[name] = _content(path)
        except settings_text.Odd as odd:
            yield f"{variable}: {odd}; accepted: the path of a readable text file"


def _content(path: str) -> str:
    try:
        # Editors end a file with a line end, which is no part of the secret.
        return Path(settings_text.not_empty(path)).read_text(encoding="utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise settings_text.Odd("names a file that is not UTF-8 text") from None
    except OSError as error:
        raise settings_text.Odd(f"names a file that cannot be read ({error.strerror})") from None


def _told(error: ValidationError) -> Iterator[str]:
    known = [name for name, _default, _entry in _entries()]
    secret = [name + FILE_SUFFIX for name, _default, entry in _entries() if entry.secret]
    for name, messages in sorted(error.messages_dict.items()):
        if name in known:
            yield f"{name}: {messages[0]}"
        else:
            yield f"{name}: is not a setting{_hint(name, known + secret)}"


def _hint(name: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.8)
    return f"; did you mean {close[0]}?" if close else ""
