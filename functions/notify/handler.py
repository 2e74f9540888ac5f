"""Consumes `notification-sending`: a NotificationRequested event becomes a mail or a text message."""

import functools
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.notify.mailer import SesMailer
from functions.notify.notify import NEEDED_SECONDS, notify
from functions.notify.sending import NotificationSender
from functions.notify.settings import Settings
from functions.notify.texter import SnsTexter
from orders.consumer import consume
from orders.db import Database
from orders.domain import Channel
from orders.events import CloudEvent, NotificationRequested
from orders.observability import instrumented

settings = Settings.from_environment()
database = Database.from_settings(settings)


@functools.cache
def sender(channel: Channel) -> NotificationSender:
    match channel:
        case Channel.EMAIL:
            return SesMailer.connect(settings.sender_email)
        case Channel.SMS:
            return SnsTexter.connect(settings.sms_sender_id, settings.sms_origination_number)


def send(event: CloudEvent, requested: NotificationRequested) -> None:
    notify(database, sender(requested.channel), event, requested)


@instrumented
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    return consume(
        event,
        context,
        NotificationRequested,
        send,
        database=database,
        dlq_url=settings.dlq_url,
        needed_seconds=NEEDED_SECONDS,
    )
