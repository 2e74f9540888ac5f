"""Consumes `notification-sending`: each event becomes a mail or a text message."""

import functools
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.notify.accounts import CognitoAccounts
from functions.notify.codes import send_code
from functions.notify.mailer import SesMailer
from functions.notify.notify import NEEDED_SECONDS, Permission, notify
from functions.notify.sending import NotificationSender
from functions.notify.settings import Settings
from functions.notify.texter import SnsTexter
from orders.confirmation_codes import ConfirmationCodes
from orders.consumer import consume
from orders.db import Database
from orders.domain import Channel
from orders.errors import UnexpectedEvent
from orders.events import CloudEvent, ConfirmationCodeRequested, MessageRequested, NotificationRequested
from orders.observability import instrumented

settings = Settings.from_environment()
database = Database.from_settings(settings)
codes = ConfirmationCodes.from_secret(settings.code_key_id)


@functools.cache
def sender(channel: Channel) -> NotificationSender:
    match channel:
        case Channel.EMAIL:
            return SesMailer.connect(settings.sender_email, settings.mail_configuration_set)
        case Channel.SMS:
            return SnsTexter.connect(settings.sms_sender_id, settings.sms_origination_number)


@functools.cache
def permission() -> Permission:
    return Permission(settings.message_limits, CognitoAccounts.connect(settings.user_pool_id))


def send(event: CloudEvent, requested: MessageRequested) -> None:
    match requested:
        case NotificationRequested():
            notify(database, sender(requested.channel), permission(), event, requested)
        case ConfirmationCodeRequested():
            send_code(database, sender, codes, event, requested)
        case _:
            raise UnexpectedEvent(f"{event.type} asks for no message that is known")


@instrumented
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    return consume(
        event,
        context,
        MessageRequested,
        send,
        database=database,
        dlq_url=settings.dlq_url,
        needed_seconds=NEEDED_SECONDS,
    )
