"""The emulator's mailbox: every mail that SES took, which tells a second mail that our own books would not."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

import httpx

from local.checks import Verdict, Violation
from local.settings import Settings

_PATH: Final = "/_ministack/ses/messages"
_TIMEOUT_SECONDS: Final = 10

PROMISE: Final = "I11"
SENTENCE: Final = "At most one mail per order and type, counted in the mailbox"


@dataclass(frozen=True)
class Mail:
    """One mail that was sent."""

    to: tuple[str, ...]
    subject: str
    body: str


def read(settings: Settings) -> list[Mail] | None:
    """Every mail since the emulator started; None if this emulator does not show them."""
    answer = httpx.get(settings.endpoint_url + _PATH, timeout=_TIMEOUT_SECONDS, trust_env=False)
    if answer.status_code == HTTPStatus.NOT_FOUND:
        return None
    answer.raise_for_status()
    return list(_mails(answer.json()))


def audit(settings: Settings, order_ids: Collection[UUID]) -> list[Verdict]:
    """The verdict on these orders' mails; none if the emulator does not show any."""
    mails = read(settings)
    return [] if mails is None else [judge(mails, order_ids)]


def judge(mails: Iterable[Mail], order_ids: Collection[UUID]) -> Verdict:
    """Counts the mails by the order that they name and by their subject, which stands for their type."""
    found = Counter(
        (order_id, mail.subject) for mail in mails for order_id in order_ids if str(order_id) in mail.body
    )
    return Verdict(
        PROMISE,
        SENTENCE,
        found.total(),
        tuple(
            Violation(str(order_id), f"was sent {number} times: {subject}")
            for (order_id, subject), number in found.items()
            if number > 1
        ),
    )


def _mails(content: dict[str, Any]) -> Iterator[Mail]:
    for account in content["messages"].values():
        for message in account:
            yield Mail(tuple(message["To"]), message["Subject"], message["BodyText"] or message["BodyHtml"])
