"""The `orders` command line. Every command lives in its own module; here each has one line."""

import sys

import typer

from tools.cli import (
    account,
    audit,
    erasure,
    gateway,
    operations,
    orders,
    products,
    recipients,
    status,
    webhooks,
)
from tools.cloud import local_cloud
from tools.cloud.settings import Settings
from tools.console import Console, visible
from tools.errors import LocalCloudError

app = typer.Typer(
    name="orders",
    help="The order pipeline on this machine: its local cloud and its orders.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(orders.app)
app.add_typer(account.app)
app.add_typer(audit.app)
app.add_typer(operations.app)
app.add_typer(erasure.app)
app.add_typer(webhooks.app, name="webhook")
app.add_typer(recipients.app, name="recipients")
app.add_typer(products.app, name="product")
app.add_typer(gateway.app, name="gateway")
console = Console()


@app.command()
def up() -> None:
    """Start the local cloud and leave it running."""
    stack = local_cloud.up(Settings.from_environment(), console.print)
    console.print(f"\nThe API is {stack['api_url']}/api/v1 (try /products).", soft_wrap=True)
    console.print("Look at it with bin/orders status, stop it with make down.")


@app.command()
def down() -> None:
    """Stop the local cloud; orders stay in its database."""
    local_cloud.down(Settings.from_environment(), console.print)


@app.command("status")
def show_status() -> None:
    """Show processes, orders, queues and functions."""
    if not status.show(Settings.from_environment(), console):
        raise typer.Exit(1)


def main() -> None:
    """Runs a command; what it cannot do is told in a message, not in a traceback."""
    try:
        app(prog_name="orders")
    except LocalCloudError as error:
        sys.exit(f"\n{visible(str(error))}")
    except PermissionError as error:
        sys.exit(f"\nPermission denied: {error.filename}. Did root, or another user, run this before?")


if __name__ == "__main__":
    main()
