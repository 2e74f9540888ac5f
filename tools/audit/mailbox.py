"""The emulator's mailbox: every mail that SES took and every text message that SNS took.

It shows a second one that our own tables would not.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

import httpx

from tools.audit.verdict import Verdict, Violation
from tools.cloud.settings import Settings

NEVER_RESENT: Final[Mapping[UUID, int]] = {}

_MAILS: Final = "/_ministack/ses/messages"
_TEXTS: Final = "/_ministack/sns/sms-messages"
_TIMEOUT_SECONDS: Final = 10


_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Mail:
    """One mail that was sent."""

    to: tuple[str, ...]
    subject: str
    body: str
    """Its plain text."""
    html: str = ""


@dataclass(frozen=True)
class Text:
    """One text message that was sent. `id` is the provider's."""

    to: str
    body: str
    id: str = ""


def read(settings: Settings) -> list[Mail] | None:
    """Every mail since the emulator started; None if this emulator does not show them."""
    content = _get(settings, _MAILS)
    return None if content is None else list(_mails(content))


def read_texts(settings: Settings) -> list[Text]:
    """Every text message since the emulator started; none if this emulator does not show them."""
    content = _get(settings, _TEXTS) or {"sms_messages": {}}
    return [
        Text(number, message["Message"], message["MessageId"])
        for number, messages in content["sms_messages"].items()
        for message in messages
    ]


def check_mailbox(
    settings: Settings, order_ids: Collection[UUID], resent: Mapping[UUID, int] = NEVER_RESENT
) -> list[Verdict]:
    """The verdict on these orders' messages; none if the emulator does not show any. `resent` says how many of an order
    were sent again at an operator's request."""
    mails = read(settings)
    return [] if mails is None else [check_messages(mails, order_ids, read_texts(settings), resent)]


def check_messages(
    mails: Iterable[Mail],
    order_ids: Collection[UUID],
    texts: Iterable[Text] = (),
    resent: Mapping[UUID, int] = NEVER_RESENT,
) -> Verdict:
    """Counts the messages by the order that they name, by the subject or the text, which stands for the type, and by
    whatever else they name: an order may have several refunds."""
    messages = [*((mail.subject, mail.body) for mail in mails), *((text.body, text.body) for text in texts)]
    found = Counter(
        (order_id, kind, frozenset(_ID.findall(body)))
        for kind, body in messages
        for order_id in order_ids
        if str(order_id) in body
    )
    return Verdict(
        "I11",
        "At most one message per order, type and channel, counted where they arrive",
        found.total(),
        tuple(
            Violation(str(order_id), f"was sent {number} times: {kind}")
            for (order_id, kind, _), number in found.items()
            if number > 1 + resent.get(order_id, 0)
        ),
    )


def _get(settings: Settings, path: str) -> dict[str, Any] | None:
    answer = httpx.get(settings.endpoint_url + path, timeout=_TIMEOUT_SECONDS, trust_env=False)
    if answer.status_code == HTTPStatus.NOT_FOUND:
        return None
    answer.raise_for_status()
    content: dict[str, Any] = answer.json()
    return content


def _mails(content: dict[str, Any]) -> Iterator[Mail]:
    for account in content["messages"].values():
        for message in account:
            text, html = message["BodyText"], message["BodyHtml"]
            yield Mail(tuple(message["To"]), message["Subject"], text or html, html)
