"""The command that looks at a deployed stage from outside, after each deploy: `smoke`."""

import asyncio
import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Final
from uuid import uuid4

import httpx
import typer
from rich.console import RenderableType
from rich.text import Text

from orders.contract import API_PREFIX
from orders.domain import OrderStatus
from tools.cli import session
from tools.cli.api import Access, access, address_of
from tools.cli.commands import Commands, current, notes, show
from tools.cli.order_view import picture_of
from tools.cli.target import find_target, say_where
from tools.client.http import ApiError, Problem, open_client, refusals_told
from tools.client.orders_client import NewOrder, OrdersClient, Product, Progress
from tools.cloud.settings import Settings
from tools.errors import LocalCloudError, Misused

app = Commands()

_UNKNOWN_ORIGIN: Final = "https://not-allowed.invalid"
_OF_EVERY_RESPONSE: Final = ("Cache-Control", "Strict-Transport-Security", "X-Content-Type-Options")
_POLL_SECONDS: Final = 0.5


class _Wrong(Exception):
    """The stage is not as it should be; the message says how."""


@dataclass(frozen=True)
class Result:
    check: str
    ok: bool
    detail: str


@app.command()
def smoke(
    origin: Annotated[
        str | None, typer.Option(help="A page's origin that may call the API, e.g. https://shop.example.")
    ] = None,
    place: Annotated[
        bool,
        typer.Option(
            "--place",
            help="Also place an order of one unit, and follow it to its end: it costs what it costs.",
        ),
    ] = False,
    product: Annotated[
        str | None, typer.Option(help="Id of what to order; the first that can be had unless given.")
    ] = None,
    payment_method: Annotated[
        str, typer.Option("--payment-method", "-m", help="How the order is paid.")
    ] = "pm_card_visa",
    email: Annotated[
        str | None, typer.Option(help="Where the order's mails go; needed with --token.")
    ] = None,
    seconds: Annotated[int, typer.Option(min=1, help="How long the order may take.")] = 120,
) -> None:
    """Check that a deployed stage works. With a token it reads, too; with --place it also orders."""
    target = find_target(Settings.from_environment())
    caller = _caller(needed=place)
    address = (email or address_of()) if place else ""
    say_where(target)
    results: list[Result] = []
    with open_client(target.api_url, None) as http:
        with refusals_told():
            http.get("health/live")
        checks: dict[str, Callable[[], str]] = {
            "Lives": lambda: _health(http, "live"),
            "Database": lambda: _health(http, "ready"),
            "Document": lambda: _document(http),
            "Page of the document": lambda: _page(http),
            "No token": lambda: _refused(http, {}),
            "False token": lambda: _refused(http, {"Authorization": "Bearer a.b.c"}),
            "Headers": lambda: _headers(http),
            "Unknown origin": lambda: _unknown_origin(http),
            **({"Origin": lambda: _origin(http, origin)} if origin else {}),
        }
        results += _run(checks)
    if caller:
        with open_client(*caller) as http:
            results += _run({"Catalogue": lambda: _catalogue(http), "Own orders": lambda: _own_orders(http)})
            if place:
                ordered = _Ordered(product, payment_method, address, seconds)
                results += _run({"Order": lambda: asyncio.run(_order(caller, ordered))})
    ok = all(result.ok for result in results)
    show(
        {"apiUrl": target.api_url, "ok": ok, "checks": [dataclasses.asdict(result) for result in results]},
        *_lines(results),
    )
    if not ok:
        raise typer.Exit(1)


def _caller(*, needed: bool) -> Access | None:
    """The API with the token that was given, or that of whoever is signed in there."""
    settings = Settings.from_environment()
    target = find_target(settings)
    if current().token or target.is_local or session.is_signed_in(settings, target):
        return access()
    if needed:
        raise Misused("--place orders as somebody: give --token, or sign in with bin/orders login EMAIL.")
    return None


def _run(checks: dict[str, Callable[[], str]]) -> Iterable[Result]:
    for name, check in checks.items():
        try:
            yield Result(name, True, check())
        except _Wrong as wrong:
            yield Result(name, False, str(wrong))
        except (ApiError, LocalCloudError) as error:
            yield Result(name, False, str(error))
        except httpx.HTTPError as error:
            yield Result(name, False, f"No response: {type(error).__name__}: {error}")


def _expect(response: httpx.Response, status: HTTPStatus) -> httpx.Response:
    if response.status_code != status:
        problem = Problem.of(response)
        raise _Wrong(
            f"{response.request.method} {response.request.url.path} returned {response.status_code} "
            f"{problem.title}, not {status}. {problem.detail}".rstrip()
        )
    return response


def _json(response: httpx.Response) -> Any:
    try:
        body = _expect(response, HTTPStatus.OK).json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise _Wrong(f"{response.request.url.path} returned no object in JSON.")
    return body


def _health(http: httpx.Client, kind: str) -> str:
    said = _json(http.get(f"health/{kind}")).get("status")
    if said != kind:
        raise _Wrong(f"health/{kind} says {said!r}.")
    return f"health/{kind} says {said}."


def _document(http: httpx.Client) -> str:
    document = _json(http.get("openapi.json"))
    paths = document.get("paths", {})
    if not str(document.get("openapi", "")).startswith("3.1") or f"{API_PREFIX}/orders" not in paths:
        raise _Wrong(f"openapi.json is no OpenAPI 3.1 document of {API_PREFIX}/orders.")
    return f"OpenAPI {document['openapi']}, {len(paths)} paths."


def _page(http: httpx.Client) -> str:
    kind = _expect(http.get("docs"), HTTPStatus.OK).headers.get("Content-Type", "")
    if not kind.startswith("text/html"):
        raise _Wrong(f"docs is {kind or 'of no type'}, no page.")
    return "docs is a page."


def _refused(http: httpx.Client, headers: dict[str, str]) -> str:
    """An order of nothing: if the API does not ask who it is, nothing is ordered all the same."""
    response = http.post("orders", json={}, headers={"Idempotency-Key": str(uuid4()), **headers})
    _expect(response, HTTPStatus.UNAUTHORIZED)
    return "An order is refused with 401."


def _headers(http: httpx.Client) -> str:
    response = http.get("health/live")
    missing = [name for name in _OF_EVERY_RESPONSE if name not in response.headers]
    if missing:
        raise _Wrong(f"health/live has no {', '.join(missing)}.")
    return f"{', '.join(_OF_EVERY_RESPONSE)} are there."


def _unknown_origin(http: httpx.Client) -> str:
    allowed = _allowed_origin(http, _UNKNOWN_ORIGIN)
    if allowed in {"*", _UNKNOWN_ORIGIN}:
        raise _Wrong(f"A page of any origin may call the API: Access-Control-Allow-Origin is {allowed}.")
    return "A page of another origin may not call the API."


def _origin(http: httpx.Client, origin: str) -> str:
    allowed = _allowed_origin(http, origin)
    if allowed != origin:
        raise _Wrong(f"Pages of {origin} may not call the API: -c allowed_origins does not name it.")
    return f"Pages of {origin} may call the API."


def _allowed_origin(http: httpx.Client, origin: str) -> str | None:
    """What a browser is told before it sends an order from a page of this origin."""
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
    }
    headers: Mapping[str, str] = http.options("orders", headers=asked).headers
    return headers.get("Access-Control-Allow-Origin")


def _catalogue(http: httpx.Client) -> str:
    items = _json(http.get("products")).get("items")
    if not items:
        raise _Wrong(
            "The catalogue is empty: nothing can be ordered. Add something with bin/orders product add."
        )
    return f"{len(items)} products on its first page."


def _own_orders(http: httpx.Client) -> str:
    _json(http.get("orders", params={"limit": 1}))
    return "The token is taken."


@dataclass(frozen=True)
class _Ordered:
    product: str | None
    payment_method: str
    email: str
    seconds: int


async def _order(caller: Access, ordered: _Ordered) -> str:
    async with OrdersClient.connect(*caller) as api:
        chosen = _choose(await api.products(), ordered.product)
        new = NewOrder.of([(chosen.product_id, 1)], chosen.currency, ordered.payment_method, ordered.email)
        accepted = await api.place(new, str(uuid4()))
        # Said before it is followed: whoever interrupts this knows what was ordered.
        notes.print(Text(f"Order {accepted.order_id} accepted: one {chosen.name}"))
        progress: Progress | None = None
        try:
            async with asyncio.timeout(ordered.seconds):
                while progress is None or not progress.status.is_terminal:
                    await asyncio.sleep(_POLL_SECONDS if progress else 0)
                    progress = await api.progress(accepted.order_id)
        except TimeoutError:
            status = progress.status if progress else accepted.status
            raise _Wrong(
                f"Order {accepted.order_id} is {status} after {ordered.seconds} s: is the relay at work?"
            ) from None
    if progress.status is not OrderStatus.CONFIRMED:
        notes.print(picture_of(progress))
        raise _Wrong(f"Order {accepted.order_id} is {progress.status} ({progress.failure_reason}).")
    return f"Order {accepted.order_id} is {progress.status}."


def _choose(products: Iterable[Product], wanted: str | None) -> Product:
    for product in products:
        if str(product.product_id) == wanted or (wanted is None and product.active and product.available > 0):
            return product
    raise _Wrong(f"There is no product {wanted}." if wanted else "No product can be had.")


def _lines(results: Iterable[Result]) -> list[RenderableType]:
    lines: list[RenderableType] = [
        Text.assemble(
            (" ✓ ", "green") if result.ok else (" ✗ ", "red"), (f"{result.check:<21}", "bold"), result.detail
        )
        for result in results
    ]
    failed = sum(not result.ok for result in results)
    lines.append("The stage works." if not failed else f"{failed} checks failed.")
    return lines
