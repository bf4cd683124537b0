"""Every channel is one module, and each says what became of what it was handed."""

import socket
import ssl
import threading
from dataclasses import replace
from ipaddress import ip_network

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from service.config import Settings
from service.delivery.addresses import Guard
from service.delivery.door import channels
from service.delivery.http import Client
from service.delivery.mail import MailSender, MailServer
from service.delivery.outcome import Later, Refused, Sent
from service.delivery.pager import PagerSender
from service.domain.subscriptions import Channel
from tests.delivery.receivers import OK, letter, receiving, says, trickles
from tests.delivery.test_webhook import headers_of
from tests.house.source import service

LOCAL = Guard(http=True, networks=(ip_network("127.0.0.0/8"),))


def test_every_channel_is_a_module_of_its_own_and_none_is_without_a_sender():
    modules = {module.name.rpartition(".")[2] for module in service() if module.name.startswith("service.delivery.")}

    made = channels(Settings())

    assert set(made) == set(Channel)
    assert modules >= {type(one).__module__.rpartition(".")[2] for one in made.values()}
    assert len({type(one).__module__ for one in made.values()}) == len(Channel)


@pytest.mark.parametrize(
    ("settings", "endpoint", "good"),
    [
        (Settings(), "https://hook.example/", True),
        (Settings(), "http://hook.example/", False),
        (Settings(webhook_http=True), "http://hook.example/", True),
        (Settings(webhook_http=True), "http://127.0.0.1/", False),
        (Settings(webhook_http=True, webhook_networks=("127.0.0.0/8",)), "http://127.0.0.1/", True),
    ],
)
def test_the_settings_say_where_messages_may_go(settings, endpoint, good):
    for channel in (Channel.WEBHOOK, Channel.PAGER):
        assert (channels(settings)[channel].faults(endpoint) == []) == good


# --------------------------------------------------------------------------------------------------------------- pager
def pager() -> PagerSender:
    return PagerSender(LOCAL, Client(LOCAL, seconds=5.0))


def test_a_pager_is_sent_its_credential_and_no_signature():
    with receiving(says(OK)) as receiver:
        outcome = pager().send(letter(receiver.address(), credential="Bearer t0k3n"))

    told = headers_of(receiver.requests[0])
    assert outcome == Sent(status=204)
    assert told["authorization"] == "Bearer t0k3n"
    assert not [name for name in told if name.startswith("webhook-")]


def test_a_credential_is_sent_although_its_letters_stand_in_the_message():
    with receiving(says(OK)) as receiver:
        pager().send(letter(receiver.address(), body=b'[{"labels":{"source":"lab"}}]', credential="lab"))

    assert headers_of(receiver.requests[0])["authorization"] == "lab"


def test_a_credential_that_is_in_the_message_is_in_no_header():
    with receiving(says(OK)) as receiver:
        pager().send(letter(receiver.address(), body=b'{"routing_key":"R0\\"NG"}', credential='R0"NG'))

    assert "authorization" not in headers_of(receiver.requests[0])


# ---------------------------------------------------------------------------------------------------------------- mail
class Mailbox:
    """A mail server's opinion of what it is handed: its answers to MAIL, RCPT, DATA and QUIT."""

    def __init__(self, mail="250 OK", rcpt="250 OK", data="250 OK", leave="221 Bye") -> None:
        self.mail, self.rcpt, self.data, self.leave, self.taken = mail, rcpt, data, leave, []

    async def handle_MAIL(self, _server, _session, envelope, address, _options):  # noqa: N802  the library's name for it
        envelope.mail_from = address
        return self.mail

    async def handle_QUIT(self, _server, _session, _envelope):  # noqa: N802  the library's name for it
        return self.leave

    async def handle_RCPT(self, _server, _session, envelope, address, _options):  # noqa: N802  the library's name for it
        if self.rcpt.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.rcpt

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802  the library's name for it
        self.taken.append((envelope.mail_from, envelope.rcpt_tos, envelope.content.decode()))
        return self.data


@pytest.fixture
def post_office():
    """Starts mail servers on this machine."""
    started = []

    def start(mailbox: Mailbox, **options) -> MailServer:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        controller = Controller(mailbox, hostname="127.0.0.1", port=port, **options)
        controller.start()
        started.append(controller)
        return MailServer(host="127.0.0.1", port=port, security="none", sender="alerts@hospital.example", seconds=5.0)

    yield start
    for one in started:
        one.stop()


def mail(**more):
    body = b"New flag: critical hypercalcemia.\nLook at it."
    given = {"subject": "lab-alerts: New flag", "body": body, "secrets": (), **more}
    return letter("mailto:oncall@hospital.example", **given)


def test_a_mail_arrives_with_a_name_that_stays_the_same_when_it_is_sent_again(post_office):
    mailbox = Mailbox()
    sender = MailSender(post_office(mailbox))

    outcomes = [sender.send(mail()), sender.send(mail())]

    (sender_, to, text), again = mailbox.taken
    assert outcomes == [Sent(), Sent()]
    assert (sender_, to) == ("alerts@hospital.example", ["oncall@hospital.example"])
    assert "Subject: lab-alerts: New flag" in text
    assert "Message-ID: <evt_1@hospital.example>" in text
    assert "Auto-Submitted: auto-generated" in text
    assert "critical hypercalcemia" in text
    assert again[2] == text


@pytest.mark.parametrize(
    ("mailbox", "outcome"),
    [
        (Mailbox(rcpt="450 later"), Later(why="the mail server asks for patience", status=450)),
        (Mailbox(rcpt="550 nobody"), Refused(why="the mail server refused it", status=550)),
        (Mailbox(data="451 later"), Later(why="the mail server asks for patience", status=451)),
        (Mailbox(data="554 no"), Refused(why="the mail server refused it", status=554)),
        (Mailbox(mail="451 later"), Later(why="the mail server does not let us in", status=451)),
        (Mailbox(mail="550 who are you"), Later(why="the mail server does not let us in", status=550)),
        (Mailbox(leave="421 no"), Sent()),
        (Mailbox(leave="500 no"), Sent()),
    ],
    ids=[
        "recipient later", "recipient never", "message later", "message never", "sender later", "sender never",
        "cross at the end", "very cross at the end",
    ],
)  # fmt: skip
def test_what_the_mail_server_says(post_office, mailbox, outcome):
    assert MailSender(post_office(mailbox)).send(mail()) == outcome


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
def test_a_wrong_password_loses_no_mail(post_office):
    def check(*_):
        return AuthResult(success=False, handled=False)

    mailbox = Mailbox()
    given = post_office(mailbox, authenticator=check, auth_required=True, auth_require_tls=False)

    outcome = MailSender(replace(given, user="u", password="wrong")).send(mail())

    assert outcome == Later(why="the mail server does not let us in", status=535)
    assert mailbox.taken == []


@pytest.mark.parametrize("security", ["none", "tls"])
def test_a_mail_server_that_trickles_is_cut_off(security):
    with receiving(trickles(b"220-"), at_once=True) as trickling:
        server = MailServer(host="127.0.0.1", port=trickling.port, security=security, sender="a@b.example", seconds=0.5)
        outcome = MailSender(server).send(mail())

    assert isinstance(outcome, Later)


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_mail_goes_out_encrypted_to_a_server_that_is_trusted_and_to_no_other(post_office, tmp_path, security):
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    mailbox = Mailbox()
    options = {"tls_context": context, "require_starttls": True} if security == "starttls" else {"ssl_context": context}
    server = replace(post_office(mailbox, **options), security=security)

    trusting = MailSender(server, authorities=str(tmp_path / "ca.pem")).send(mail())
    wary = MailSender(server).send(mail())

    assert trusting == Sent()
    assert isinstance(wary, Later)
    assert len(mailbox.taken) == 1


def test_a_mail_server_that_is_not_there():
    nowhere = MailServer(host="127.0.0.1", port=1, security="none", sender="a@b.example", seconds=1.0)

    assert isinstance(MailSender(nowhere).send(mail()), Later)


def test_a_mail_server_whose_name_hangs_is_given_up_with_the_time_of_the_attempt():
    over = threading.Event()
    server = MailServer(host="mail.example", port=25, security="none", sender="a@b.example", seconds=0.3)
    outcome = MailSender(server, look_up=lambda _host, _port: [str(over.wait(60))]).send(mail())
    over.set()

    assert outcome == Later(why="the mail server is not reached, or does not do what it is asked")


def test_of_a_mail_server_with_several_addresses_the_next_is_tried(post_office):
    mailbox = Mailbox()
    given = post_office(mailbox)

    outcome = MailSender(given, look_up=lambda _host, _port: ["127.0.0.2", "127.0.0.1"]).send(mail())

    assert (outcome, len(mailbox.taken)) == (Sent(), 1)


def test_a_mail_server_that_speaks_no_tls_gets_no_mail_when_tls_is_asked_for(post_office):
    mailbox = Mailbox()
    given = post_office(mailbox)
    asking = MailServer(host=given.host, port=given.port, security="starttls", sender=given.sender, seconds=5.0)

    outcome = MailSender(asking).send(mail())

    assert isinstance(outcome, Later)
    assert mailbox.taken == []


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
def test_who_signs_in_does_so_with_the_name_and_password_of_the_settings(post_office):
    seen = []

    def check(_server, _session, _envelope, _mechanism, data):
        seen.append((data.login, data.password) if isinstance(data, LoginPassword) else data)
        return AuthResult(success=True)

    given = post_office(Mailbox(), authenticator=check, auth_required=True, auth_require_tls=False)
    sender = MailServer(
        host=given.host, port=given.port, security="none", sender=given.sender, user="u", password="p", seconds=5.0
    )

    assert MailSender(sender).send(mail()) == Sent()
    assert seen == [(b"u", b"p")]


@pytest.mark.parametrize(
    "endpoint",
    ["oncall@hospital.example", "mailto:", "mailto:a", "mailto:a@", "mailto:a@b.example,c@d.example",
     "mailto:a@b.example?cc=x@y.example", "mailto:a@b.example\r\nBcc: x@y.example", "mailto:A <a@b.example>",
     "https://hook.example/", "mailto:a@" + ".".join(["x" * 62] * 4) + ".example", "mailto:.a@b.example",
     "mailto:a..b@c.example", "mailto:a.@b.example", "mailto:a@b\u202e.example", "mailto:a@-b.example"],
)  # fmt: skip
def test_only_one_plain_mail_address_may_be_subscribed(endpoint):
    sender = MailSender(MailServer(host="h", port=25, security="none", sender="a@b.example"))

    assert sender.faults(endpoint) == ["is not mailto: and one mail address"]
    assert sender.faults("mailto:o'neil+alerts@mail.hospital.example") == []


def test_a_subject_cannot_bring_a_header_with_it(post_office):
    mailbox = Mailbox()

    with pytest.raises(ValueError, match="Header values"):
        MailSender(post_office(mailbox)).send(mail(subject="x\r\nBcc: y@z.example"))

    assert mailbox.taken == []


def test_without_a_mail_server_mail_cannot_be_subscribed_and_what_waits_waits():
    sender = channels(Settings())[Channel.EMAIL]

    assert "LAB_ALERTS_SMTP_HOST" in sender.faults("mailto:a@b.example")[0]
    assert isinstance(sender.send(mail()), Later)
