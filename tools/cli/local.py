"""The commands that start, stop and show the local cloud: `up`, `down` and `status`."""

import typer

from orders.contract import API_PREFIX
from tools.cli import status
from tools.cli.commands import Commands, console, show
from tools.cloud import local_cloud
from tools.cloud.settings import Settings

app = Commands()


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
