"""Parses the recipient routes, makes one call, returns the response."""

from http import HTTPStatus
from typing import Annotated, Any, Final

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.recipients import models, recipients
from functions.recipients.settings import Settings
from orders.confirmation_codes import ConfirmationCodes
from orders.contract import API_PREFIX, Metric
from orders.db import Database
from orders.errors import (
    CodeExpired,
    IdempotencyKeyReused,
    RecipientLimitReached,
    RecipientNotFound,
    TooManyCodes,
    WrongCode,
)
from orders.events import Trace
from orders.fields import IdempotencyKey
from orders.http import Api, json_response
from orders.idempotency import REPLAYED_HEADER, IdempotentRequest, replay_header
from orders.observability import count, instrumented
from orders.openapi import responses

settings = Settings.from_environment()
database = Database.from_settings(settings)
codes = ConfirmationCodes.from_secret(settings.code_key_id)
api = Api()

RECIPIENTS: Final = f"{API_PREFIX}/recipients"
RECIPIENT: Final = f"{RECIPIENTS}/<recipient_id>"


@api.post(
    RECIPIENTS,
    status_code=HTTPStatus.ACCEPTED,
    responses=responses(
        HTTPStatus.ACCEPTED,
        headers=["Location", REPLAYED_HEADER],
        errors=[RecipientLimitReached, IdempotencyKeyReused, TooManyCodes],
    ),
)
def post_recipient(
    recipient: Annotated[models.AddRecipient, Body()], idempotency_key: IdempotencyKey
) -> Response[models.Recipient]:
    """Sends a code to an address; messages about orders go there once it is confirmed. Asked for again, a new code."""
    request = IdempotentRequest.of(recipient, user_id=api.user_id, key=idempotency_key)
    trace = Trace(api.correlation_id, api.traceparent)
    try:
        added = recipients.add(database, settings.code_limits, request, recipient, trace)
    except TooManyCodes:
        count(Metric.CODES_REFUSED)
        raise
    location = {"Location": f"{RECIPIENTS}/{added.recipient.recipient_id}"}
    return json_response(added.recipient, HTTPStatus.ACCEPTED, location | replay_header(added.replayed))


@api.get(RECIPIENTS, responses=responses())
def get_recipients() -> models.RecipientList:
    """The caller's recipients. The account's own verified address is always one and is not listed."""
    return models.RecipientList(items=recipients.list_all(database, api.user_id))


@api.get(RECIPIENT, responses=responses(errors=[RecipientNotFound]))
def get_recipient(recipient_id: str) -> models.Recipient:
    """One of the caller's recipients."""
    return recipients.read(database, api.user_id, recipient_id)


@api.delete(
    RECIPIENT,
    status_code=HTTPStatus.NO_CONTENT,
    responses=responses(HTTPStatus.NO_CONTENT, errors=[RecipientNotFound]),
)
def delete_recipient(recipient_id: str) -> None:
    """Removes a recipient: no message of the caller's orders goes there any more."""
    recipients.remove(database, api.user_id, recipient_id)


@api.post(
    f"{RECIPIENT}/confirmation",
    responses=responses(errors=[RecipientNotFound, WrongCode, CodeExpired]),
)
def post_confirmation(
    recipient_id: str, confirmation: Annotated[models.ConfirmRecipient, Body()]
) -> models.Recipient:
    """Confirms a recipient with the code that was sent there."""
    return recipients.confirm(database, codes, api.user_id, recipient_id, confirmation.code)


@instrumented
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return api.resolve(event, context)
