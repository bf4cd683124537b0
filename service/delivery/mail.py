"""The channel of mail: a short text, handed to the mail server that the settings name.

Law: a mail that the server has taken is sent; whether it was read, nobody knows. Temporary and permanent refusals of a
recipient or of the mail are those of SMTP (RFC 5321, section 4.2.1); one of ourselves is temporary.
"""

import re
import smtplib
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import Any

from service.delivery.addresses import Resolve, resolve
from service.delivery.deadline import Attempt, Watch
from service.delivery.letter import Letter
from service.delivery.names import Names, connected
from service.delivery.outcome import Later, Outcome, Refused, Sent

Reach = Callable[[str, int], socket.socket]

_PREFIX = "mailto:"
_ATOM, _LABEL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+", r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"(?=[^@]{{1,64}}@.{{1,253}}$){_ATOM}(\.{_ATOM})*@{_LABEL}(\.{_LABEL})*")


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """Where mail is handed over, and in whose name. ``security``: ``none``, ``starttls`` or ``tls``."""

    host: str
    port: int
    security: str
    sender: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    seconds: float = 20.0


class MailSender:
    """Sends mail."""

    def __init__(
        self, server: MailServer | None, *, authorities: str | None = None, look_up: Resolve = resolve
    ) -> None:
        self._server, self._names = server, Names(look_up)
        self._watch = Watch(1.0 if server is None else server.seconds / 8)
        self._tls = ssl.create_default_context()
        if authorities is not None:
            self._tls.load_verify_locations(authorities)

    def send(self, letter: Letter) -> Outcome:
        """Hand one mail to the server."""
        if self._server is None:
            return Later(why="no mail server is set (LAB_ALERTS_SMTP_HOST)")
        try:
            with (
                self._watch.until(time.monotonic() + self._server.seconds) as attempt,
                _connected(self._server, self._tls, self._reach(attempt)) as smtp,
            ):
                smtp.send_message(_written(letter, self._server))
        except smtplib.SMTPRecipientsRefused as error:
            return _refused(next(iter(error.recipients.values()))[0])
        except smtplib.SMTPDataError as error:
            return _refused(error.smtp_code)
        except smtplib.SMTPResponseException as error:
            # It speaks of us and not yet of the mail. That is mended in the settings, and then the mail goes through.
            return Later(why="the mail server does not let us in", status=error.smtp_code)
        except (smtplib.SMTPException, OSError):
            return Later(why="the mail server is not reached, or does not do what it is asked")
        return Sent()

    def _reach(self, attempt: Attempt) -> Reach:
        return lambda host, port: connected(self._names.find(host, port, ends=attempt.ends), port, ends=attempt.ends)

    def faults(self, endpoint: str) -> list[str]:
        """What speaks against an endpoint."""
        if self._server is None:
            return ["mail cannot be sent: no mail server is set (LAB_ALERTS_SMTP_HOST)"]
        address = endpoint.removeprefix(_PREFIX)
        if not endpoint.startswith(_PREFIX) or not _ADDRESS.fullmatch(address):
            return ["is not mailto: and one mail address"]
        return []


@contextmanager
def _connected(server: MailServer, tls: ssl.SSLContext, reach: Reach) -> Iterator[smtplib.SMTP]:
    if server.security == "tls":
        smtp: smtplib.SMTP = _SmtpTls(server.host, server.port, reach=reach, timeout=server.seconds, context=tls)
    else:
        smtp = _Smtp(server.host, server.port, reach=reach, timeout=server.seconds)
    try:
        if server.security == "starttls":
            smtp.starttls(context=tls)
        if server.user is not None:
            smtp.login(server.user, server.password or "")
        yield smtp
    finally:
        # A mail that was taken is sent, whatever the server says to our going.
        with suppress(smtplib.SMTPException, OSError):
            smtp.quit()
        smtp.close()


class _Reaching:
    def __init__(self, *given: Any, reach: Reach, **more: Any) -> None:
        self._reach = reach
        super().__init__(*given, **more)


class _Reached(smtplib.SMTP):
    _reach: Reach

    def _get_socket(self, host: str, port: int, _timeout: float) -> socket.socket:
        return self._reach(host, port)


class _Smtp(_Reaching, _Reached):
    """One whose connection is made, and ends, within the time of its attempt."""


class _SmtpTls(_Reaching, smtplib.SMTP_SSL, _Reached):
    """One that is encrypted from its beginning, on such a connection."""


def _written(letter: Letter, server: MailServer) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = server.sender, letter.to.removeprefix(_PREFIX)
    message["Subject"], message["Date"] = letter.subject, format_datetime(letter.at)
    # The same whenever it is sent again, so that mail programs show it once.
    message["Message-ID"] = f"<{letter.id}@{parseaddr(server.sender)[1].rpartition('@')[2]}>"
    # Nobody's absence is answered to us (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.body.decode())
    return message


def _refused(code: int) -> Outcome:
    permanent = code >= 500
    kind = Refused if permanent else Later
    return kind(why="the mail server refused it" if permanent else "the mail server asks for patience", status=code)
