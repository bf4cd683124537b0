"""The operator's people: ``lab-alerts users``.

Law: a password is printed once when it was made here, read from standard input otherwise, and never an argument.
"""

import sys
from datetime import UTC, datetime

import click

from service.cli_common import audited, migrated, print_rows, told
from service.domain.roles import Role
from service.flows import people
from service.storage.people import Person

_ROLE = click.Choice([role.value for role in Role])


@click.group("users")
def users() -> None:
    """People who may sign in to the pages: add, list, change."""


@users.command("add")
@click.argument("login")
@click.option("--name", default="", help="As it is shown; the login if left out.")
@click.option("--role", type=_ROLE, required=True, help="What they may do.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input instead of making one.")
@click.option("--no-password", is_flag=True, help="They sign in at the provider of OpenID Connect only.")
@told
def add(login: str, *, name: str, role: str, password_stdin: bool, no_password: bool) -> None:
    """Add somebody. A password that is made here is printed once, and has to be changed at the first sign-in."""
    if password_stdin and no_password:
        raise click.UsageError("--password-stdin and --no-password contradict each other")
    made = None if password_stdin or no_password else people.one_time()
    password = _read() if password_stdin else made
    database, now = migrated(), datetime.now(UTC)
    with audited(database, "cli:users add"):
        people.add(
            database,
            login=login,
            name=name,
            role=Role(role),
            password=password,
            now=now,
            must_change=made is not None,
        )
    if made is not None:
        click.echo(made)


def _read() -> str:
    if sys.stdin.isatty():  # nobody looking on is to read it
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    return sys.stdin.readline().rstrip("\r\n")


@users.command("list")
@told
def list_() -> None:
    """List everybody, also those who were disabled."""
    print_rows(("login", "name", "role", "signs in by", "since", "state"), map(_row, people.listed(migrated())))


def _row(one: Person) -> tuple[str, ...]:
    ways = [way for way, there in (("password", one.password), ("OpenID Connect", one.subject)) if there]
    state = "disabled" if one.disabled_at else "must change the password" if one.must_change else "active"
    since = one.created_at.date().isoformat()
    return one.login, one.name, one.role.value, ", ".join(ways) or "nothing yet", since, state


@users.command("role")
@click.argument("login")
@click.argument("role", type=_ROLE)
@told
def role_(login: str, role: str) -> None:
    """Give somebody another role. Their sessions end."""
    database = migrated()
    with audited(database, "cli:users role"):
        people.set_role(database, login, Role(role), now=datetime.now(UTC))
    click.echo(f"{login}: {role}")


@users.command("disable")
@click.argument("login")
@told
def disable(login: str) -> None:
    """Let somebody sign in no more. Their sessions end."""
    database = migrated()
    with audited(database, "cli:users disable"):
        people.disable(database, login, now=datetime.now(UTC))
    click.echo(f"Disabled: {login}")


@users.command("enable")
@click.argument("login")
@told
def enable(login: str) -> None:
    """Let somebody sign in again."""
    database = migrated()
    with audited(database, "cli:users enable"):
        people.enable(database, login, now=datetime.now(UTC))
    click.echo(f"Enabled: {login}")


@users.command("password")
@click.argument("login")
@click.option("--password-stdin", is_flag=True, help="Read it from standard input instead of making one.")
@told
def password_(login: str, *, password_stdin: bool) -> None:
    """Give somebody another password; one that is made here is printed once. Their sessions end."""
    made = None if password_stdin else people.one_time()
    new = _read() if made is None else made
    database, now = migrated(), datetime.now(UTC)
    with audited(database, "cli:users password"):
        people.set_password(database, login, new, now=now, must_change=made is not None)
    if made is not None:
        click.echo(made)


@users.command("end-sessions")
@click.argument("login")
@told
def end_sessions(login: str) -> None:
    """End every session of somebody."""
    database = migrated()
    with audited(database, "cli:users end-sessions"):
        ended = people.end_sessions(database, login)
    click.echo(f"Ended: {ended}")
