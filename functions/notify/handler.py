"""Consumes `notification-sending`: a NotificationRequested event becomes a mail."""

import functools
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.notify.mailer import SesMailer
from functions.notify.notify import NEEDED_SECONDS, notify
from functions.notify.settings import Settings
from orders.consumer import consume
from orders.db import Database
from orders.events import CloudEvent, NotificationRequested
from orders.observability import instrumented

settings = Settings.from_environment()
database = Database.from_settings(settings)


@functools.cache
def mailer() -> SesMailer:
    return SesMailer.connect(settings.sender_email)


def send(event: CloudEvent, requested: NotificationRequested) -> None:
    notify(database, mailer(), event, requested)


@instrumented
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    return consume(event, context, NotificationRequested, send, NEEDED_SECONDS)
