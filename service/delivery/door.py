"""The door of the channels: which there are, and how they are made from the settings.

Law: a channel is one module, named here and nowhere else.
"""

from collections.abc import Mapping
from ipaddress import ip_network
from typing import Protocol

from service.config import Settings
from service.delivery.addresses import Guard
from service.delivery.http import Client
from service.delivery.letter import Letter
from service.delivery.mail import MailSender, MailServer
from service.delivery.outcome import Outcome
from service.delivery.pager import PagerSender
from service.delivery.webhook import WebhookSender
from service.domain.subscriptions import Channel


class Sender(Protocol):
    """A channel."""

    def send(self, letter: Letter) -> Outcome:
        """Send one message, and say what became of it."""
        ...

    def faults(self, endpoint: str) -> list[str]:
        """What speaks against an endpoint, in words that do not repeat it; nothing is looked up for it."""
        ...


def channels(settings: Settings) -> Mapping[Channel, Sender]:
    """Every channel, as the settings allow it."""
    guard = Guard(http=settings.webhook_http, networks=tuple(map(ip_network, settings.webhook_networks or ())))
    authorities = settings.webhook_ca_file
    client = Client(guard, seconds=settings.webhook_timeout_seconds, authorities=authorities)
    return {
        Channel.WEBHOOK: WebhookSender(guard, client),
        Channel.EMAIL: MailSender(_mail_server(settings), authorities=authorities),
        Channel.PAGER: PagerSender(guard, client),
    }


def _mail_server(settings: Settings) -> MailServer | None:
    if settings.smtp_host is None:
        return None
    return MailServer(
        host=settings.smtp_host,
        port=settings.smtp_port,
        security=settings.smtp_security,
        sender=settings.smtp_from,
        user=settings.smtp_user,
        password=settings.smtp_password,
        seconds=settings.webhook_timeout_seconds,
    )
