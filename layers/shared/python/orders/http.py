"""The HTTP side every API function shares: a resolver that answers errors as problems and carries the correlation id.

Validation, routing and OpenAPI are Powertools'; this adds what DESIGN's contract asks for on top.
"""

import binascii
import json
from collections.abc import Sequence
from typing import Any, Final

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestUnsupportedContentType, RequestValidationError
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from orders import problem
from orders.errors import FieldError, OrdersError, RequestRefused
from orders.observability import CORRELATION_HEADER, correlate, logger, new_correlation_id, valid_correlation_id

MAX_BODY_BYTES: Final = 64 * 1024
API_PREFIX: Final = "/api/v1"

# Pydantic's own wording for these would speak of Python.
_DETAILS: Final = {
    "missing": "This field is required",
    "extra_forbidden": "This field is not known",
    "json_invalid": "The body is not valid JSON",
}


class ApiModel(BaseModel):
    """Base of request and response bodies: camelCase outside, unknown fields refused, no silent conversions."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, alias_generator=to_camel, populate_by_name=True
    )


class Api(APIGatewayHttpResolver):
    """One function's routes under `/api/v1`."""

    def __init__(self) -> None:
        super().__init__(enable_validation=True)
        self.correlation_id = ""
        self.not_found(lambda error: self._problem(problem.NO_ROUTE, "There is nothing at this address"))
        self.exception_handler([NotFoundError])(
            lambda error: self._problem(problem.NO_ROUTE, "There is nothing at this address")
        )
        self.exception_handler(RequestValidationError)(self._invalid)
        self.exception_handler(RequestUnsupportedContentType)(
            lambda error: self._problem(problem.UNSUPPORTED, "Send application/json")
        )
        # What a hostile body can make of the JSON parser: nesting without end, bytes that are not text.
        self.exception_handler([RecursionError, UnicodeDecodeError, binascii.Error])(
            lambda error: self._problem(problem.MALFORMED, "The body is not valid JSON")
        )
        self.exception_handler(OrdersError)(self._refused)
        self.exception_handler(Exception)(self._unexpected)

    def resolve(self, event: Any, context: Any) -> dict[str, Any]:
        headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
        self.correlation_id = valid_correlation_id(headers.get(CORRELATION_HEADER.lower())) or new_correlation_id()
        correlate(self.correlation_id)
        if len(event.get("body") or "") > MAX_BODY_BYTES:
            answer = self._too_large(event)
        else:
            answer = super().resolve(event, context)
        answer.setdefault("headers", {})[CORRELATION_HEADER] = self.correlation_id
        return answer

    @property
    def user_id(self) -> str:
        """The caller, as the gateway's JWT authorizer verified them."""
        claims = self.current_event.request_context.authorizer.jwt_claim
        return str(claims["sub"])

    def _invalid(self, error: RequestValidationError) -> Response[str]:
        fields = [_field_error(detail) for detail in error.errors()]
        if any(detail["type"] == "json_invalid" for detail in error.errors()):
            return self._problem(problem.MALFORMED, "The body is not valid JSON", fields)
        names = ", ".join(field.pointer for field in fields)
        return self._problem(problem.INVALID, f"Refused: {names}", fields)

    def _refused(self, error: OrdersError) -> Response[str]:
        kind = problem.kind_of(error)
        if isinstance(error, RequestRefused):
            return self._problem(kind, error.detail, error.errors)
        logger.exception("Request failed", problem=kind.name)
        return self._problem(kind, "Please try again" if kind.retry_after else "The error has been recorded")

    def _unexpected(self, error: Exception) -> Response[str]:
        logger.exception("Request failed", problem=problem.UNEXPECTED.name)
        return self._problem(problem.UNEXPECTED, "The error has been recorded")

    def _too_large(self, event: dict[str, Any]) -> dict[str, Any]:
        path = event["rawPath"]
        body = self._body(problem.TOO_LARGE, f"At most {MAX_BODY_BYTES} bytes are accepted", path, ())
        return {
            "statusCode": problem.TOO_LARGE.status,
            "headers": {"Content-Type": problem.CONTENT_TYPE},
            "body": body,
            "isBase64Encoded": False,
        }

    def _problem(self, kind: problem.Kind, detail: str, fields: Sequence[FieldError] = ()) -> Response[str]:
        return Response(
            status_code=kind.status,
            content_type=problem.CONTENT_TYPE,
            headers={"Retry-After": str(kind.retry_after)} if kind.retry_after else {},
            body=self._body(kind, detail, self.current_event.path, fields),
        )

    def _body(self, kind: problem.Kind, detail: str, instance: str, fields: Sequence[FieldError]) -> str:
        body = problem.Problem(
            type=problem.TYPE_PREFIX + kind.name,
            title=kind.title,
            status=kind.status,
            detail=detail,
            instance=instance,
            correlation_id=self.correlation_id,
            errors=[problem.ProblemField(pointer=field.pointer, detail=field.detail) for field in fields] or None,
        )
        return json.dumps(body.model_dump(by_alias=True, exclude_none=True), separators=(",", ":"))


def _field_error(detail: Any) -> FieldError:
    place, *path = detail["loc"]
    # Body fields are addressed by RFC 6901; parameters by where they stand.
    steps = path if place == "body" else [place, *path]
    pointer = "#" + "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in steps)
    if detail["type"] == "json_invalid":
        return FieldError("#", _DETAILS["json_invalid"])
    return FieldError(pointer, _DETAILS.get(detail["type"], detail["msg"]))
