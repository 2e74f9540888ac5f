"""The switch of the local cloud's payment gateway: `gateway down` and `gateway up`."""

from typing import Annotated, Final

import typer

from tools.cli.commands import Commands, show
from tools.cloud import local_cloud
from tools.cloud.settings import STRIPE, Settings
from tools.cloud.stack import Stack
from tools.stripe.server import StripeServer

_EVERY_ONE: Final = 1_000_000
# So long that no step waits for it.
_RETRY_AFTER_SECONDS: Final = 60

app = Commands(
    name="gateway", help="The payment gateway of the local cloud, as a whole.", no_args_is_help=True
)


@app.command(on="local")
def down(
    seconds: Annotated[float, typer.Option(min=1, help="It comes back by itself after so long.")] = 60,
) -> None:
    """Take the payment gateway of the local cloud down: every call to it is refused."""
    _switch(seconds)
    show(
        {"up": False, "seconds": seconds},
        f"The payment gateway is down for {seconds:g} s; bin/orders gateway up ends that.",
    )


@app.command(on="local")
def up() -> None:
    """Bring it back. Orders that wait go on when the circuit breaker has probed it."""
    _switch(None)
    show({"up": True}, "The payment gateway is up.")


def _switch(seconds: float | None) -> None:
    stack = local_cloud.require_up(Settings.from_environment())
    if stack["payment_provider"] == STRIPE:
        _switch_stripe(StripeServer(stack["stripe"]["url"]), seconds)
    else:
        _switch_simulator(stack, seconds)


def _switch_stripe(server: StripeServer, seconds: float | None) -> None:
    server.heal()
    if seconds is not None:
        server.fail("rate_limited", on="", times=_EVERY_ONE, seconds=_RETRY_AFTER_SECONDS, lasts=seconds)


def _switch_simulator(stack: Stack, seconds: float | None) -> None:
    from sqlalchemy import create_engine

    from payment_simulator import outages

    engine = create_engine(stack["database_url"])
    try:
        with engine.begin() as connection:
            outages.end(connection)
            if seconds is not None:
                outages.begin(connection, seconds)
    finally:
        engine.dispose()
