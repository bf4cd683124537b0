"""People at the command line: added with a password that is printed once, listed, changed."""

import pytest
from click.testing import CliRunner

from service.cli import main
from service.domain.roles import Role
from service.flows import people, signing_in
from service.flows.signing_in import Limits, Origin, Wrong
from tests.flows.build import NOW

LIMITS = Limits(hours=12, idle_minutes=30)


@pytest.fixture
def run(address, monkeypatch):
    monkeypatch.setenv("LAB_ALERTS_DATABASE_URL", address.replace("postgresql+psycopg://", "postgresql://"))

    def run(*words: str, **more):
        return CliRunner().invoke(main, ["users", *words], **more)

    return run


def signs_in(database, login, password):
    return signing_in.sign_in(database, login, password, origin=Origin(address="203.0.113.5"), limits=LIMITS, now=NOW)


def test_a_password_that_is_made_is_printed_once_and_has_to_be_changed(run, database):
    done = run("add", "anna", "--name", "Anna", "--role", "clinician")

    (anna,) = people.listed(database)
    assert (done.exit_code, anna.role, anna.must_change) == (0, Role.CLINICIAN, True)
    assert signs_in(database, "anna", done.output.strip()).session.person.id == anna.id
    assert done.output.strip() not in run("list").output


def test_what_others_wrote_is_listed_as_it_is_and_in_full(run, database):
    name, login = "A[/x] [bold]B\x1b[31m", "very.long." + "x" * 120
    people.add(database, login=login, name=name, role=Role.VIEWER, password=None, now=NOW, must_change=False)

    done = run("list")

    assert done.exit_code == 0
    assert done.output.splitlines()[1].split("\t")[:2] == [login, "A[/x] [bold]B [31m"]


def test_a_password_can_come_on_standard_input(run, database):
    done = run("add", "anna", "--role", "viewer", "--password-stdin", input="correct horse battery staple\n")

    assert (done.exit_code, done.output) == (0, "")
    assert signs_in(database, "anna", "correct horse battery staple").session.person.must_change is False


def test_a_weak_password_is_refused_without_being_repeated(run, database):
    done = run("add", "anna", "--role", "viewer", "--password-stdin", input="short\n")

    assert done.exit_code == 1
    assert "12 to 256 characters" in done.output
    assert "short" not in done.output
    assert people.listed(database) == []


def test_whoever_has_no_password_does_not_sign_in_with_one(run, database):
    run("add", "anna", "--role", "viewer", "--no-password")

    for tried in ("", "None"):
        with pytest.raises(Wrong):
            signs_in(database, "anna", tried)


def test_somebody_is_given_a_role_disabled_enabled_and_given_a_password(run, database):
    run("add", "anna", "--role", "viewer")

    said = [run(*words).output.strip() for words in (("role", "ANNA", "administrator"), ("disable", "anna"))]
    disabled = people.listed(database)[0].disabled_at
    said += [run("enable", "anna").output.strip(), run("end-sessions", "anna").output.strip()]
    password = run("password", "anna").output.strip()

    assert said == ["ANNA: administrator", "Disabled: anna", "Enabled: anna", "Ended: 0"]
    assert disabled is not None
    assert signs_in(database, "anna", password).session.person.role is Role.ADMINISTRATOR


@pytest.mark.parametrize(
    "words", [("role", "nobody", "viewer"), ("disable", "nobody"), ("password", "nobody"), ("end-sessions", "nobody")]
)
def test_nobody_of_that_name(run, words):
    done = run(*words)

    assert done.exit_code == 1
    assert "no such person" in done.output


def test_a_login_is_given_once(run):
    run("add", "anna", "--role", "viewer")

    done = run("add", "Anna", "--role", "viewer")

    assert (done.exit_code, done.output) == (1, "Error: login: somebody has this login\n")
