"""What Stripe does and localstripe does not, done before localstripe sees a request and after it has responded.

- A POST takes effect once per `Idempotency-Key`: the same parameters get the stored response, others an error, one at
  the same time a conflict. A 5xx is stored like any other (docs.stripe.com/api/idempotent_requests).
- Refunds never exceed the capture. Amounts have the form that Stripe asks for (docs.stripe.com/currencies).
- Parameters that Stripe does not know, or we do not expect, are refused by name.
- Errors have Stripe's types and codes; declines have a decline code and an outcome.
- Disputes, and the events of cancellations, refunds and disputes, which localstripe has none of.
- Faults that a test or an operator asks for, at `/_config/test/…`, where localstripe asks for no key.
"""

import asyncio
import contextlib
import copy
import json
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from aiohttp import web
from localstripe import server as localstripe
from localstripe.errors import UserError
from localstripe.resources import (
    Charge,
    Event,
    List,
    PaymentIntent,
    PaymentMethod,
    Refund,
    StripeObject,
    store,
)
from localstripe.webhooks import schedule_webhook

from tools.stripe.cards import METHODS, Decline, TestCard, behaviour

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Json = dict[str, Any]

LONGEST_KEY: Final = 255
"""Characters of an Idempotency-Key."""
SMALLEST_AMOUNT: Final = {"eur": 50, "usd": 50}
_STEPS: Final = {
    **dict.fromkeys(("isk", "ugx"), 100),
    **dict.fromkeys(("bhd", "jod", "kwd", "omr", "tnd"), 10),
}
"""Amounts in these must be whole multiples."""
_GIVEN_BACK: Final = ("succeeded", "pending")

_INTENTS: Final = "/v1/payment_intents"
_INTENT: Final = re.compile(r"/v1/payment_intents/(?P<id>\w+)(?:/(?P<verb>\w+))?")
_CREATE: Final = {
    "allowed_payment_method_types",
    "amount",
    "capture_method",
    "currency",
    "customer",
    "description",
    "metadata",
    "payment_method",
}
_PARAMETERS: Final = {
    "confirm": {"payment_method", "return_url", "use_stripe_sdk"},
    "cancel": {"cancellation_reason"},
    "refunds": {"amount", "charge", "metadata", "payment_intent", "reason"},
}
# localstripe refuses them, and they change nothing that is looked at.
_UNKNOWN_TO_LOCALSTRIPE: Final = {
    "allowed_payment_method_types",
    "cancellation_reason",
    "description",
    "reason",
    "return_url",
    "use_stripe_sdk",
}


class Fault(StrEnum):
    """What can go wrong with a request."""

    UNAUTHORIZED = "unauthorized"
    """401, no effect."""
    FORBIDDEN = "forbidden"
    """403, no effect: the key has not the right."""
    MISUNDERSTOOD = "misunderstood"
    """400, no effect: a parameter that this version of the API does not have."""
    RATE_LIMITED = "rate_limited"
    """429 with Retry-After, no effect."""
    LOCKED = "locked"
    """429, no effect: another request has this payment. It says nothing about Stripe's health."""
    BROKEN = "broken"
    """500, no effect."""
    BROKEN_AFTER = "broken_after"
    """500, and it took effect."""
    HUNG_UP = "hung_up"
    """The connection ends, no effect."""
    LOST = "lost"
    """It takes effect, and the connection ends without a response."""
    HELD = "held"
    """It takes effect only when it is released, or after so many seconds."""
    SLOW = "slow"
    """It takes effect, and the response comes after so many seconds."""


_NO_EFFECT: Final = {
    Fault.UNAUTHORIZED: (401, "invalid_request_error", "Invalid API Key provided"),
    Fault.FORBIDDEN: (
        403,
        "invalid_request_error",
        "The provided key does not have the required permissions",
    ),
    Fault.MISUNDERSTOOD: (400, "invalid_request_error", "Received unknown parameter"),
    Fault.RATE_LIMITED: (429, "invalid_request_error", "Request rate limit exceeded"),
    Fault.LOCKED: (429, "invalid_request_error", "This object cannot be accessed right now"),
    Fault.BROKEN: (500, "api_error", "An unknown error occurred"),
}


@dataclass
class Armed:
    """A fault that the next requests meet whose method and path fit the pattern."""

    fault: Fault
    pattern: str
    times: int = 1
    seconds: float = 0
    """For HELD and SLOW; for RATE_LIMITED and LOCKED what Retry-After says."""
    payment_method: str | None = None
    """Only what is asked about payments with this test method, by its name."""
    lasts: float | None = None
    """Seconds, after which nothing meets it any more."""
    begun: float = field(default_factory=time.monotonic)

    @property
    def is_over(self) -> bool:
        return self.lasts is not None and time.monotonic() > self.begun + self.lasts


@dataclass(frozen=True)
class Reply:
    """A response before it is one."""

    status: int
    content: Json
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> web.Response:
        return web.json_response(self.content, status=self.status, headers=dict(self.headers))


class Refused(Exception):
    """The request cannot be carried out as it is."""

    def __init__(
        self, message: str, *, status: int = 400, type: str = "invalid_request_error", **rest: Any
    ) -> None:
        super().__init__(message)
        self.reply = Reply(status, {"error": {"type": type, "message": message, **rest}})


class Dispute(StripeObject):  # type: ignore[misc]
    """A dispute of a charge (docs.stripe.com/api/disputes)."""

    object = "dispute"
    _id_prefix = "dp_"

    def __init__(self, charge: Any, amount: int | None, reason: str) -> None:
        super().__init__()
        self.amount = charge.amount if amount is None else amount
        self.charge = charge.id
        self.currency = charge.currency
        self.metadata: Json = {}
        self.payment_intent = charge.payment_intent
        self.reason = reason
        self.status = "needs_response"

    @classmethod
    def _api_list_all(
        cls,
        url: str,
        charge: str | None = None,
        payment_intent: str | None = None,
        limit: str | None = None,
        starting_after: str | None = None,
    ) -> Any:
        disputes = List(url, limit=limit, starting_after=starting_after)
        disputes._list = [
            dispute
            for dispute in _all(cls)
            if charge in (None, dispute.charge) and payment_intent in (None, dispute.payment_intent)
        ]
        return disputes


@dataclass
class Request:
    """What a client has sent."""

    method: str
    path: str
    params: list[tuple[str, str]]
    key: str | None
    card: TestCard | None = None

    def get(self, name: str) -> str | None:
        return dict(self.params).get(name)

    def put(self, name: str, value: str) -> None:
        self.params = [*((known, kept) for known, kept in self.params if known != name), (name, value)]

    def names(self) -> set[str]:
        return {name.partition("[")[0] for name, _ in self.params}

    def expanded(self) -> set[str]:
        return {value for name, value in self.params if name.startswith("expand[")}


class Front:
    """The front of one localstripe, which lives in this process."""

    def __init__(self, api_key: str) -> None:
        self._api_key = api_key
        self._replies: dict[str, tuple[tuple[str, str, tuple[tuple[str, str], ...]], Reply]] = {}
        self._in_progress: set[str] = set()
        self._faults: list[Armed] = []
        self._seen: list[Json] = []
        self._released = asyncio.Event()

    def install(self, app: web.Application) -> None:
        """Puts it before localstripe."""
        app.middlewares.insert(0, self._serve)  # type: ignore[arg-type]
        app.router.add_get("/v1/disputes", localstripe.api_list_all(Dispute, "/v1/disputes"))
        app.router.add_get("/v1/disputes/{id}", localstripe.api_retrieve(Dispute, "/v1/disputes"))
        app.router.add_post("/_config/test/faults", self._arm)
        app.router.add_delete("/_config/test/faults", self._disarm)
        app.router.add_post("/_config/test/release", self._release)
        app.router.add_delete("/_config/test/idempotency_keys", self._forget_keys)
        app.router.add_get("/_config/test/requests", self._show_requests)
        app.router.add_post("/_config/test/disputes", self._dispute)
        app.router.add_post("/_config/test/disputes/{id}/close", self._close_dispute)
        app.router.add_post("/_config/test/refunds/{id}/fail", self._fail_refund)

    def state(self) -> Json:
        """What must outlive the process, besides localstripe's own store."""
        return {"replies": self._replies}

    def restore(self, state: Json) -> None:
        self._replies = state["replies"]

    @web.middleware
    async def _serve(self, http: web.Request, handler: Handler) -> web.StreamResponse:
        if not http.path.startswith("/v1/"):
            return await handler(http)
        request = await _read(http)
        self._seen.append(
            {
                "method": request.method,
                "path": request.path,
                "key": request.key,
                "params": dict(request.params),
                "version": http.headers.get("Stripe-Version"),
            }
        )
        armed = self._strike(request)
        if armed and armed.fault is Fault.HUNG_UP:
            return _hang_up(http)
        reply = await self._reply(http, handler, request, armed)
        if armed and armed.fault is Fault.LOST:
            return _hang_up(http)
        if armed and armed.fault is Fault.SLOW:
            await asyncio.sleep(armed.seconds)
        return reply.response()

    def _strike(self, request: Request) -> Armed | None:
        self._faults = [armed for armed in self._faults if not armed.is_over]
        for armed in self._faults:
            if armed.payment_method not in (None, _method_of(request)):
                continue
            if re.search(armed.pattern, f"{request.method} {request.path}"):
                armed.times -= 1
                if not armed.times:
                    self._faults.remove(armed)
                return armed
        return None

    async def _reply(
        self, http: web.Request, handler: Handler, request: Request, armed: Armed | None
    ) -> Reply:
        if not request.path.endswith("/_authenticate") and (
            http.headers.get("Authorization") != f"Bearer {self._api_key}"
        ):
            return _error(*_NO_EFFECT[Fault.UNAUTHORIZED])
        if armed and armed.fault in (Fault.UNAUTHORIZED, Fault.FORBIDDEN, Fault.MISUNDERSTOOD):
            return _error(*_NO_EFFECT[armed.fault])
        if armed and armed.fault in (Fault.RATE_LIMITED, Fault.LOCKED):
            code = "lock_timeout" if armed.fault is Fault.LOCKED else "rate_limit"
            headers = {"Retry-After": f"{armed.seconds:g}"}
            return _error(*_NO_EFFECT[armed.fault], headers=headers, code=code)
        if request.method != "POST" or request.key is None:
            return await self._carry_out(http, handler, request, armed)
        return await self._once(http, handler, request, request.key, armed)

    async def _once(
        self, http: web.Request, handler: Handler, request: Request, key: str, armed: Armed | None
    ) -> Reply:
        if len(key) > LONGEST_KEY:
            return _error(
                400, "invalid_request_error", f"An idempotency key has up to {LONGEST_KEY} characters"
            )
        if key in self._in_progress:
            return _error(
                409,
                "idempotency_error",
                "There is currently another in-progress request using this Idempotency Key",
                code="idempotency_key_in_use",
            )
        asked = (request.method, request.path, tuple(request.params))
        if key in self._replies:
            earlier, reply = self._replies[key]
            if earlier != asked:
                return _error(
                    400,
                    "idempotency_error",
                    "Keys for idempotent requests can only be used with the same parameters they were first used with",
                )
            return Reply(reply.status, reply.content, {"Idempotent-Replayed": "true"})
        self._in_progress.add(key)
        try:
            reply = await self._carry_out(http, handler, request, armed)
        finally:
            self._in_progress.discard(key)
        # Only what was begun is kept, so that a mended request may come under the same key.
        if reply.status not in (400, 404) or "code" in reply.content["error"]:
            self._replies[key] = asked, reply
        return reply

    async def _carry_out(
        self, http: web.Request, handler: Handler, request: Request, armed: Armed | None
    ) -> Reply:
        if armed and armed.fault is Fault.BROKEN:
            return _error(*_NO_EFFECT[armed.fault])
        if armed and armed.fault is Fault.HELD:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._released.wait(), armed.seconds)
        try:
            self._prepare(request)
            if _is_about_no_charge(request):
                return Reply(200, {"object": "list", "url": request.path, "data": [], "has_more": False})
            _put_back(http, request)
            response = await handler(http)
        except Refused as refused:
            return refused.reply
        assert isinstance(response, web.Response), "localstripe responds with JSON at once"
        reply = Reply(response.status, json.loads(response.text or "{}"))
        reply = self._finish(request, reply)
        if armed and armed.fault is Fault.BROKEN_AFTER:
            return _error(*_NO_EFFECT[Fault.BROKEN])
        return reply

    def _prepare(self, request: Request) -> None:
        """Checks what localstripe does not, and says it in localstripe's terms."""
        if request.method != "POST":
            return
        intent = _INTENT.fullmatch(request.path)
        if request.path == _INTENTS:
            _allow(request, _CREATE)
            _check_amount(request)
            _use_method(request)
        elif intent and intent["verb"] in _PARAMETERS:
            _allow(request, _PARAMETERS[intent["verb"]])
            self._check_state(intent["id"], intent["verb"])
        elif request.path == "/v1/refunds":
            _allow(request, _PARAMETERS["refunds"])
            _check_refund(request)
        elif request.path == "/v1/payment_methods" and (number := request.get("card[number]")):
            request.card = behaviour(number.replace(" ", ""))
            request.put("card[number]", request.card.number)

    def _check_state(self, intent_id: str, verb: str) -> None:
        intent = _find(PaymentIntent, intent_id, "intent", status=404)
        fitting = {
            "confirm": ("requires_confirmation",),
            "cancel": ("requires_payment_method", "requires_confirmation", "requires_action"),
        }[verb]
        if intent.status not in fitting:
            raise Refused(
                f"You cannot {verb} this PaymentIntent because it has a status of {intent.status}.",
                code="payment_intent_unexpected_state",
                payment_intent=_as_stripe(intent._export(), set()),
            )

    def _finish(self, request: Request, reply: Reply) -> Reply:
        """Completes what localstripe has responded, and tells of what it does not."""
        intent = _INTENT.fullmatch(request.path)
        if intent and request.method == "POST" and intent["verb"]:
            self._tell(intent["verb"], _find(PaymentIntent, intent["id"], "intent"))
        if reply.status == 402 and intent:
            return Reply(402, {"error": _decline(_find(PaymentIntent, intent["id"], "intent"))})
        if reply.status >= 400:
            message = reply.content.get("error", {}).get("message", "Bad request")
            rest: Json = {"code": "resource_missing"} if reply.status == 404 else {}
            return _error(reply.status, "invalid_request_error", message, **rest)
        if request.method == "POST" and request.path == "/v1/refunds":
            refund = _find(Refund, reply.content["id"], "refund")
            charge = Charge._api_retrieve(refund.charge)
            refund.payment_intent = charge.payment_intent
            reply.content["payment_intent"] = charge.payment_intent
            _send("refund.created", refund)
            _send("charge.refunded", charge)
        if request.card:
            PaymentMethod._api_retrieve(reply.content["id"])._decline = request.card.decline
        return Reply(reply.status, _as_stripe(reply.content, request.expanded()))

    def _tell(self, verb: str, intent: Any) -> None:
        if intent.latest_charge:
            intent.latest_charge.metadata = copy.deepcopy(intent.metadata)
        if verb == "cancel" and intent.status == "canceled":
            _send("payment_intent.canceled", intent)
        elif verb == "confirm" and intent.status == "requires_action":
            _send("payment_intent.requires_action", intent)
        elif verb == "_authenticate" and intent._authentication_failed:
            _send("payment_intent.payment_failed", intent)

    async def _release(self, http: web.Request) -> web.Response:
        self._released.set()
        return web.json_response({})

    async def _arm(self, http: web.Request) -> web.Response:
        order = await http.json()
        self._released.clear()
        self._faults.append(Armed(Fault(order.pop("fault")), order.pop("pattern"), **order))
        return web.json_response({})

    async def _disarm(self, http: web.Request) -> web.Response:
        self._faults.clear()
        return web.json_response({})

    async def _forget_keys(self, http: web.Request) -> web.Response:
        self._replies.clear()
        return web.json_response({})

    async def _show_requests(self, http: web.Request) -> web.Response:
        return web.json_response(self._seen)

    async def _dispute(self, http: web.Request) -> web.Response:
        order = await http.json()
        charge = _charge_of(_find(PaymentIntent, order["payment_intent"], "payment_intent"))
        dispute = Dispute(charge, order.get("amount"), order.get("reason", "fraudulent"))
        _send("charge.dispute.created", dispute)
        return web.json_response(dispute._export())

    async def _close_dispute(self, http: web.Request) -> web.Response:
        dispute = _find(Dispute, http.match_info["id"], "dispute")
        dispute.status = (await http.json())["status"]
        _send("charge.dispute.closed", dispute)
        return web.json_response(dispute._export())

    async def _fail_refund(self, http: web.Request) -> web.Response:
        refund = _find(Refund, http.match_info["id"], "refund")
        refund.status, refund.failure_reason = "failed", "lost_or_stolen_card"
        _send("refund.failed", refund)
        return web.json_response(refund._export())


async def _read(http: web.Request) -> Request:
    body = (await http.read()).decode()
    params = parse_qsl(body if http.method == "POST" else http.query_string, keep_blank_values=True)
    return Request(http.method, http.path, params, http.headers.get("Idempotency-Key"))


def _put_back(http: web.Request, request: Request) -> None:
    """As what localstripe will read of it."""
    if request.method == "POST":
        kept = [
            (name, value)
            for name, value in request.params
            if name.partition("[")[0] not in _UNKNOWN_TO_LOCALSTRIPE
        ]
        http._read_bytes = urlencode(kept).encode()


def _hang_up(http: web.Request) -> web.Response:
    if http.transport:
        http.transport.abort()
    return web.Response()


def _error(
    status: int, type: str, message: str, *, headers: Mapping[str, str] | None = None, **rest: Any
) -> Reply:
    return Reply(status, {"error": {"type": type, "message": message, **rest}}, headers or {})


def _all(kind: type[Any]) -> list[Any]:
    return [found for name, found in store.items() if name.startswith(f"{kind.object}:")]


def _find(kind: type[Any], id: str, param: str, *, status: int = 400) -> Any:
    try:
        return kind._api_retrieve(id)
    except UserError:
        raise Refused(
            f"No such {kind.object}: '{id}'", status=status, code="resource_missing", param=param
        ) from None


def _charge_of(intent: Any) -> Any:
    """The charge that took the money."""
    if intent.latest_charge is None or intent.latest_charge.status != "succeeded":
        raise Refused(
            f"This PaymentIntent ({intent.id}) does not have a successful charge.", code="charge_missing"
        )
    return intent.latest_charge


def _allow(request: Request, names: set[str]) -> None:
    for name in request.names() - names - {"expand"}:
        raise Refused(f"Received unknown parameter: {name}", param=name)


def _check_amount(request: Request) -> None:
    currency, amount = request.get("currency") or "", int(request.get("amount") or 0)
    if amount < SMALLEST_AMOUNT.get(currency, 1):
        raise Refused("Amount is too small", code="amount_too_small", param="amount")
    if amount > 99_999_999:
        raise Refused("Amount is too large", code="amount_too_large", param="amount")
    if amount % _STEPS.get(currency, 1):
        raise Refused(f"Invalid amount of {currency}", code="parameter_invalid_integer", param="amount")


def _is_about_no_charge(request: Request) -> bool:
    """Whether refunds are asked for of an intent that has no charge yet, which localstripe does not expect."""
    intent_id = request.get("payment_intent")
    if (request.method, request.path) != ("GET", "/v1/refunds") or intent_id is None:
        return False
    return _find(PaymentIntent, intent_id, "payment_intent").latest_charge is None


def _use_method(request: Request) -> None:
    """A test method's name becomes a card of its kind, as it does at Stripe."""
    name = request.get("payment_method")
    if name is None:
        return
    if name in METHODS:
        card = behaviour(METHODS[name])
        method = PaymentMethod(
            type="card", card={"number": card.number, "exp_month": "12", "exp_year": "2034", "cvc": "123"}
        )
        method._decline = card.decline
        method._name = name
        request.put("payment_method", method.id)
    elif f"payment_method:{name}" not in store:
        raise Refused(f"No such PaymentMethod: '{name}'", code="resource_missing", param="payment_method")


def _method_of(request: Request) -> str | None:
    """The name of the test method that a request is about, if it is about one."""
    if name := request.get("payment_method"):
        return name
    intent = _INTENT.fullmatch(request.path)
    found = store.get(f"payment_intent:{intent['id']}") if intent else None
    method = store.get(f"payment_method:{found.payment_method}") if found else None
    return getattr(method, "_name", None)


def _check_refund(request: Request) -> None:
    if intent_id := request.get("payment_intent"):
        charge = _charge_of(_find(PaymentIntent, intent_id, "payment_intent"))
    else:
        charge = _find(Charge, request.get("charge") or "", "charge")
    left = charge.amount - _given_back(charge.id)
    if left == 0:
        raise Refused(f"Charge {charge.id} has already been refunded.", code="charge_already_refunded")
    if request.get("amount") is None:
        request.put("amount", str(left))
    if not 0 < int(request.get("amount") or 0) <= left:
        raise Refused("Refund amount is greater than unrefunded amount on charge", param="amount")


def _given_back(charge_id: str) -> int:
    refunds = [refund for refund in _all(Refund) if refund.charge == charge_id]
    return sum(refund.amount for refund in refunds if refund.status in _GIVEN_BACK)


def _decline_of(method_id: str) -> Decline | None:
    """How a card refuses a charge; None if it does not."""
    return getattr(PaymentMethod._api_retrieve(method_id), "_decline", None)


def _decline(intent: Any) -> Json:
    """The error of a declined charge (docs.stripe.com/declines/codes)."""
    charge = intent.latest_charge
    decline = _decline_of(charge.payment_method) or Decline("card_declined", "generic_decline")
    return {
        "type": "card_error",
        "code": decline.code,
        "decline_code": decline.decline_code,
        "message": "Your card was declined.",
        "charge": charge.id,
        "payment_intent": _as_stripe(intent._export(), set()),
    }


def _as_stripe(content: Any, expanded: set[str]) -> Any:
    """What localstripe exports, with what Stripe adds and without what it leaves out."""
    if isinstance(content, list):
        return [_as_stripe(item, expanded) for item in content]
    if not isinstance(content, dict):
        return content
    if content.get("object") == "list":
        return {
            **content,
            "data": _as_stripe(content["data"], {name.removeprefix("data.") for name in expanded}),
        }
    if content.get("object") == "charge":
        return _charge(content)
    if content.get("object") == "payment_intent":
        return _intent(content, expanded)
    return content


def _intent(content: Json, expanded: set[str]) -> Json:
    intent = {name: value for name, value in content.items() if name not in ("charges", "invoice")}
    charge = intent["latest_charge"]
    intent["amount_received"] = intent["amount"] if intent["status"] == "succeeded" else 0
    if charge:
        intent["latest_charge"] = _charge(charge) if "latest_charge" in expanded else charge["id"]
    if intent["status"] == "requires_payment_method":
        intent["payment_method"] = None
        if intent["last_payment_error"]:
            intent["last_payment_error"] = {"type": "card_error", **intent["last_payment_error"]}
            decline = _decline_of(charge["payment_method"]) if charge else None
            if decline:
                intent["last_payment_error"] |= {"code": decline.code, "decline_code": decline.decline_code}
    return intent


def _charge(content: Json) -> Json:
    charge = {name: value for name, value in content.items() if name != "refunds"}
    decline = _decline_of(charge["payment_method"])
    charge["amount_refunded"] = _given_back(charge["id"])
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    charge["disputed"] = any(dispute.charge == charge["id"] for dispute in _all(Dispute))
    charge["outcome"] = {"type": "authorized"}
    if decline and charge["status"] == "failed":
        charge["outcome"] = {"type": decline.outcome, "reason": decline.decline_code}
    return charge


def _send(type: str, thing: Any) -> None:
    event = Event(type, thing)
    event.data = _as_stripe_event(event.data)
    schedule_webhook(event)


def _as_stripe_event(data: Json) -> Json:
    return {"object": _as_stripe(data["object"], set())}
