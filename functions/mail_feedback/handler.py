"""Consumes `mail-feedback`: what SES tells of mails that it took."""

from typing import Any

from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.mail_feedback.mail_feedback import take
from orders import counters
from orders.consumer import consume_messages
from orders.db import Database
from orders.events import Queue
from orders.mail_feedback import GREETING, MailEvent
from orders.messages import read_hint
from orders.observability import instrumented
from orders.settings import ConsumerSettings

settings = ConsumerSettings.from_environment()
database = Database.from_settings(settings)


def take_message(record: SQSRecord) -> None:
    if record.body != GREETING:
        is_first_look = record.attributes.approximate_receive_count == "1"
        take(database, read_hint(MailEvent, record.body), is_first_look=is_first_look)
    counters.count_jobs(database, Queue.MAIL_FEEDBACK)


@instrumented
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    return consume_messages(event, context, take_message, dlq_url=settings.dlq_url)
