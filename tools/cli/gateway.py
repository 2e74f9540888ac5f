"""The switch of the simulated payment gateway: `gateway down` and `gateway up`."""

from typing import Annotated

import typer
from sqlalchemy import create_engine

from payment_simulator import outages
from tools.cli.commands import Commands, show
from tools.cloud import local_cloud
from tools.cloud.settings import Settings

app = Commands(name="gateway", help="The simulated payment gateway, as a whole.", no_args_is_help=True)


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
    engine = create_engine(local_cloud.require_up(Settings.from_environment())["database_url"])
    try:
        with engine.begin() as connection:
            outages.end(connection)
            if seconds is not None:
                outages.begin(connection, seconds)
    finally:
        engine.dispose()
