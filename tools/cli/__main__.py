"""The `orders` command line. Every command lives in its own module; here each has one line."""

import tomllib
from typing import Annotated

import typer

from orders.contract import API_PREFIX
from tools.cli import (
    account,
    addresses,
    audit,
    commands,
    erasure,
    gateway,
    logs,
    mails,
    operations,
    orders,
    payment,
    places,
    preflight,
    products,
    recipients,
    refunds,
    search,
    smoke,
    status,
    webhook_listen,
    webhooks,
)
from tools.cli.commands import Commands, console, show
from tools.cloud import local_cloud
from tools.cloud.settings import ROOT, Settings

app = Commands(
    name="orders",
    help="The order pipeline: its local cloud, its orders, and what operators do.",
    epilog=" ".join(commands.EXIT_CODES.split()),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(orders.app)
app.add_typer(account.app)
app.add_typer(audit.app)
app.add_typer(mails.app)
app.add_typer(places.app)
app.add_typer(preflight.app)
app.add_typer(smoke.app)
app.add_typer(operations.app)
app.add_typer(search.app)
app.add_typer(logs.app)
app.add_typer(refunds.app)
app.add_typer(erasure.app)
app.add_typer(addresses.app, name="addresses")
app.add_typer(webhooks.app, name="webhook")
webhooks.app.add_typer(webhook_listen.app)
app.add_typer(recipients.app, name="recipients")
app.add_typer(products.app, name="product")
app.add_typer(gateway.app)
app.add_typer(payment.app)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"orders {tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']['version']}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """The order pipeline: its local cloud, its orders, and what operators do."""


@app.command(on="local")
def up() -> None:
    """Start the local cloud and leave it running."""
    settings = Settings.from_environment()
    stack = local_cloud.up(settings, console.print)
    api_url = f"{stack['api_url']}{API_PREFIX}"
    show(
        {"apiUrl": stack["api_url"], "docsUrl": f"{api_url}/docs", "stackFile": str(settings.stack_file)},
        f"\nThe API is {stack['api_url']}: {api_url}/products, and {api_url}/docs to try it.",
        f"Operators look at {stack['console_url']}.",
        "Look at it with bin/orders status, stop it with make down.",
    )


@app.command(on="local")
def down() -> None:
    """Stop the local cloud; orders and accounts stay in its database."""
    local_cloud.down(Settings.from_environment(), console.print)
    show({"up": False})


@app.command("status", on="local")
def show_status() -> None:
    """Show processes, orders, queues and functions."""
    if not status.show_status(Settings.from_environment()):
        raise typer.Exit(1)


def main() -> None:
    """Runs a command."""
    commands.run(app)


if __name__ == "__main__":
    main()
