"""The HTTP side every API function shares: a resolver that returns errors as problems and carries the correlation id.

Validation, routing and OpenAPI are Powertools'; this adds what the API promises on top of them.
"""

import time
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response, content_types
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2
from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from orders import head, problem
from orders.conditional import without_what_is_known
from orders.contract import ADMIN_GROUP, API_PREFIX
from orders.errors import (
    AddressNotFound,
    AdministratorsOnly,
    FieldError,
    MethodNotAllowed,
    OrdersError,
    RequestRefused,
)
from orders.observability import (
    CORRELATION_HEADER,
    correlate,
    log_failure,
    new_correlation_id,
    record_request,
    shortened,
    valid_correlation_id,
)
from orders.query import QueryValidation
from orders.request_body import parse_object, with_plain_body
from orders.tracing import current_traceparent

# Who may call a route is read off its path, so that no new route can forget to ask.
ADMIN_PATHS: Final = (f"{API_PREFIX}/admin/", f"{API_PREFIX}/health/detailed", f"{API_PREFIX}/metrics")

_HEADERS: Final = {
    # What a route does not declare public concerns its caller only, or is an error.
    "Cache-Control": "no-store",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    # API Gateway adds the CORS headers of the origin that asks.
    "Vary": "Origin, Accept-Encoding",
    "X-Content-Type-Options": "nosniff",
}
"""Of every response, unless its route says otherwise."""

MAX_ERRORS: Final = 20
"""Fields that one problem names. A small body can hold thousands of mistakes."""
MAX_ECHO: Final = 300
"""Characters of one text in a problem: a path, a field's name."""
MAX_DETAIL: Final = 2000

# Pydantic's own wording would speak of Python and of regular expressions.
_DETAILS: Final = {
    "missing": "This field is required",
    "extra_forbidden": "This field is not known",
    "unknown_parameter": "This parameter is not known",
    "repeated_parameter": "This may be given only once",
    "empty_parameter": "This must not be empty",
    "model_type": "This must be an object",
    "model_attributes_type": "This must be an object",
    "list_type": "This must be a list",
    "int_type": "This must be a whole number",
    "int_parsing": "This must be a whole number",
    "int_parsing_size": "This must be a whole number",
    "bool_type": "This must be true or false",
    "string_type": "This must be a string",
    "string_unicode": "This is not valid Unicode text",
    "uuid_type": "This must be a UUID",
    "uuid_parsing": "This must be a UUID",
    "enum": "This must be {expected}",
    "greater_than_equal": "This must be at least {ge}",
    "less_than_equal": "This must be at most {le}",
    "too_short": "At least {min_length} must be given",
    "too_long": "At most {max_length} may be given",
    "error_message": "{message}",
    "literal_error": "This must be {expected}",
}


class ApiModel(BaseModel):
    """Base of request and response bodies: camelCase outside, no silent conversions. A response may gain fields."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        alias_generator=to_camel,
        populate_by_name=True,
        # At the first use: a cold start imports all bodies of an API, and serves one request.
        defer_build=True,
    )

    @classmethod
    def of(cls, row: Mapping[Any, Any], **others: object) -> Self:
        """The model from those of a database row's columns that have its fields' names, and from `others`.

        The database has its own types for enumerations and the like, so these are converted.
        """
        columns = {name: value for name, value in row.items() if name in cls.model_fields}
        return cls.model_validate({**columns, **others}, strict=False)


Body = TypeVar("Body", bound=ApiModel)


class ApiRequest(ApiModel):
    """Base of request bodies: a field has one name, the camelCase one, and unknown fields are refused."""

    model_config = ConfigDict(populate_by_name=False, extra="forbid")


@dataclass(frozen=True)
class ErrorMessage:
    """Annotates a field with what to say of any value that it refuses, e.g. `This must be an e-mail address`."""

    message: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.custom_error_schema(
            handler(source),
            custom_error_type="error_message",
            custom_error_message=self.message,
            custom_error_context={"message": self.message},
        )


def invalid_value(message: str) -> PydanticCustomError:
    """What a validator raises to say itself what is wrong with the value."""
    return PydanticCustomError("error_message", "{message}", {"message": message})


class Api(APIGatewayHttpResolver):
    """One function's routes under `/api/v1`.

    The function that is called where there is no route gives `methods_of`: which methods the API takes at a path. It
    reads no bodies. With `takes_raw_bodies` its routes read them byte by byte: they are no JSON of our clients.
    """

    def __init__(
        self,
        methods_of: Callable[[str], Sequence[str]] | None = None,
        *,
        takes_raw_bodies: bool = False,
    ) -> None:
        super().__init__(
            enable_validation=True,
            # Without it a response of ours that breaks its own model would be blamed on the client.
            response_validation_error_http_code=HTTPStatus.INTERNAL_SERVER_ERROR,
            json_body_deserializer=parse_object,
        )
        self._request_validation_middleware = QueryValidation()  # type: ignore[no-untyped-call]  # Powertools' own gap
        self.correlation_id = ""
        self.traceparent = ""
        self._instance = ""
        self._methods_of = methods_of
        self._takes_plain_bodies = not methods_of and not takes_raw_bodies
        self.exception_handler(NotFoundError)(self._no_route)
        self.exception_handler(RequestValidationError)(self._invalid)
        self.exception_handler(OrdersError)(self._refused)
        self.exception_handler(Exception)(self._unexpected)

    def resolve(self, event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        started = time.monotonic()
        try:
            return self._resolved(event, context)
        finally:
            record_request(event["routeKey"], 1000 * (time.monotonic() - started))

    def _resolved(self, event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
        self.correlation_id = (
            valid_correlation_id(headers.get(CORRELATION_HEADER.lower())) or new_correlation_id()
        )
        self.traceparent = current_traceparent(headers)
        self._instance = event["rawPath"]
        correlate(self.correlation_id, self.traceparent)
        method = event["requestContext"]["http"]["method"]
        if method == "HEAD":
            event = head.as_get(event)
        try:
            # Where there is no route, everybody is told so: the API's document, which anybody may read, says the same.
            if not self._methods_of:
                _refuse_strangers(event)
            _refuse_control_characters(self._instance)
            response = super().resolve(with_plain_body(event) if self._takes_plain_bodies else event, context)
        except RequestRefused as refusal:
            response = _before_routing(self._refused(refusal))
        response["headers"] = {**_HEADERS, CORRELATION_HEADER: self.correlation_id, **response["headers"]}
        if method in {"GET", "HEAD"}:
            response = without_what_is_known(response, headers.get("if-none-match"))
        return head.without_content(response) if method == "HEAD" else response

    @property
    def user_id(self) -> str:
        """The caller, as the gateway's JWT authorizer verified them."""
        return caller(self.current_event)

    def is_member(self, groups: Container[str]) -> bool:
        """Whether the caller belongs to one of the groups, by the token that the gateway verified."""
        return any(group in groups for group in _groups(self.current_event.raw_event))

    def _no_route(self, error: NotFoundError) -> Response[str]:
        allowed = self._methods_of(self._instance) if self._methods_of else ()
        # With an allowed method it is here because a segment has characters that no id or name of ours has.
        is_wrong_method = allowed and self.current_event.http_method not in allowed
        return self._refused(MethodNotAllowed(allowed) if is_wrong_method else AddressNotFound())

    def _invalid(self, error: RequestValidationError) -> Response[str]:
        fields = [_field_error(detail) for detail in error.errors()]
        named = ", ".join(shortened(field.pointer, MAX_ECHO) for field in fields[:MAX_ERRORS])
        unnamed = f" and {len(fields) - MAX_ERRORS} more" if len(fields) > MAX_ERRORS else ""
        return self._problem(problem.INVALID, f"Refused: {named}{unnamed}", fields[:MAX_ERRORS])

    def _refused(self, error: OrdersError) -> Response[str]:
        kind = problem.kind_of(error)
        if isinstance(error, RequestRefused):
            return self._problem(kind, error.detail, error.errors, error.headers, error.members)
        log_failure("Request failed", error, problem=kind.name)
        return self._problem(kind, "Please try again" if kind.retry_after else "The error has been recorded")

    def _unexpected(self, error: Exception) -> Response[str]:
        log_failure("Request failed", error, problem=problem.UNEXPECTED.name)
        return self._problem(problem.UNEXPECTED, "The error has been recorded")

    def _problem(
        self,
        kind: problem.Kind,
        detail: str,
        fields: Sequence[FieldError] = (),
        headers: Mapping[str, str] = MappingProxyType({}),
        members: Mapping[str, Any] = MappingProxyType({}),
    ) -> Response[str]:
        body = problem.Problem(
            type=problem.TYPE_PREFIX + kind.name,
            title=kind.title,
            status=kind.status,
            detail=shortened(detail, MAX_DETAIL),
            instance=shortened(self._instance, MAX_ECHO),
            correlation_id=self.correlation_id,
            errors=[
                problem.ProblemField(
                    pointer=shortened(field.pointer, MAX_ECHO), detail=shortened(field.detail, MAX_ECHO)
                )
                for field in fields[:MAX_ERRORS]
            ]
            or None,
            **members,
        )
        return Response(
            status_code=kind.status,
            content_type=problem.CONTENT_TYPE,
            headers={**headers, **({"Retry-After": str(kind.retry_after)} if kind.retry_after else {})},
            body=body.model_dump_json(by_alias=True, exclude_none=True),
        )


def json_response(
    body: Body, status: HTTPStatus = HTTPStatus.OK, headers: Mapping[str, str] = MappingProxyType({})
) -> Response[Body]:
    """A response with a body of ours in JSON."""
    return Response(
        status_code=status,
        content_type=content_types.APPLICATION_JSON,
        headers={**headers},
        body=body,
    )


def caller(event: APIGatewayProxyEventV2) -> str:
    """Who sent a request: the subject of the token that the gateway's JWT authorizer verified."""
    return str(event.request_context.authorizer.jwt_claim["sub"])


def _refuse_strangers(event: Mapping[str, Any]) -> None:
    """Raises AdministratorsOnly where the path is theirs and the caller is not one of them."""
    if event["rawPath"].startswith(ADMIN_PATHS) and ADMIN_GROUP not in _groups(event):
        raise AdministratorsOnly(f"Only members of the group {ADMIN_GROUP!r} may do this")


def _refuse_control_characters(path: str) -> None:
    """Raises AddressNotFound for a path that no address of ours has: a trailing newline would match its route."""
    if not path.isprintable():
        raise AddressNotFound


def _groups(event: Mapping[str, Any]) -> Sequence[str]:
    """The caller's groups, none of which is missing or made up: a claim of any other form names no group.

    API Gateway passes the list on as one string, its items in brackets with a space between them: `[admin support]`.
    A group's name in Cognito (CreateGroup) has no spaces, but it may have commas and brackets of its own.
    """
    claims = event["requestContext"].get("authorizer", {}).get("jwt", {}).get("claims", {})
    claim = claims.get("cognito:groups")
    if isinstance(claim, str) and len(claim) > 2 and claim[0] == "[" and claim[-1] == "]":
        return claim[1:-1].split(" ")
    return claim if isinstance(claim, list) else ()


def _before_routing(response: Response[str]) -> dict[str, Any]:
    return {
        "statusCode": response.status_code,
        "headers": dict(response.headers),
        "body": response.body,
        "isBase64Encoded": False,
    }


def _field_error(error: Mapping[str, Any]) -> FieldError:
    place, *path = error["loc"]
    # Body fields are addressed by RFC 6901; parameters by where they stand.
    steps = path if place == "body" else [place, *path]
    detail = _DETAILS.get(error["type"], "This value is not acceptable")
    return FieldError(_pointer(steps), detail.format_map(error.get("ctx") or {}))


def _pointer(steps: Sequence[str | int]) -> str:
    """A JSON Pointer (RFC 6901, section 6) as the fragment of a URI."""
    escaped = (str(step).replace("~", "~0").replace("/", "~1") for step in steps)
    return "#" + "".join("/" + quote(step, safe="~!$&'()*+,;=:@", errors="replace") for step in escaped)
