"""The commands of an account: `signup`, `confirm`, `login`, `logout` and `token`."""

import sys
from typing import Annotated

import typer
from rich.console import Console

from tools.cli import session
from tools.cloud import local_cloud
from tools.cloud.settings import Settings
from tools.cloud.users import sign_in
from tools.errors import LocalCloudError

app = typer.Typer()
console = Console(highlight=False)

Email = Annotated[str, typer.Argument(metavar="EMAIL", help="The account's address.")]


@app.command()
def signup(email: Email) -> None:
    """Make an account. The password is asked for, or read from standard input."""
    settings = Settings.from_environment()
    client_id = local_cloud.require_up(settings)["user_pool_client_id"]
    if session.sign_up(settings, client_id, email, _password(new=True)):
        console.print(f"{email} has an account. Sign in with: bin/orders login {email}")
    else:
        console.print(f"A code was sent to {email}. Go on with: bin/orders confirm {email} CODE")


@app.command()
def confirm(
    email: Email, code: Annotated[str, typer.Argument(metavar="CODE", help="From the mail.")]
) -> None:
    """Prove with the code from the mail that the address is yours."""
    settings = Settings.from_environment()
    session.confirm(settings, local_cloud.require_up(settings)["user_pool_client_id"], email, code)
    console.print(f"{email} is confirmed. Sign in with: bin/orders login {email}")


@app.command()
def login(email: Email) -> None:
    """Sign in. The password is asked for, or read from standard input."""
    settings = Settings.from_environment()
    session.log_in(
        settings, local_cloud.require_up(settings)["user_pool_client_id"], email, _password(new=False)
    )
    console.print(f"Signed in as {email}. Order with: bin/orders place --user me")


@app.command()
def logout(
    everywhere: Annotated[bool, typer.Option("--everywhere", help="On every other machine too.")] = False,
) -> None:
    """Sign out: the refresh token is revoked. Access tokens end by themselves within 15 minutes."""
    settings = Settings.from_environment()
    local_cloud.require_up(settings)
    console.print(f"{session.log_out(settings, everywhere=everywhere)} is signed out.")


@app.command()
def token(
    user: Annotated[
        str | None,
        typer.Option("--user", help="me, customer, other or admin; me if you are signed in, else customer."),
    ] = None,
) -> None:
    """Print an access token, for any HTTP client."""
    settings = Settings.from_environment()
    print(token_of(settings, user or ("me" if session.is_signed_in(settings) else "customer")))


def token_of(settings: Settings, user: str) -> str:
    """An access token of one of the stack's users, or of whoever is signed in: `me`.

    Raises:
        LocalCloudError: there is no such user, nobody is signed in, or the local cloud is not up.
    """
    stack = local_cloud.require_up(settings)
    if user == "me":
        return session.access_token(settings)
    if user not in stack["users"]:
        raise LocalCloudError(f"There is no user {user!r}. There are: {', '.join(stack['users'])}, and me.")
    return sign_in(settings, stack, user).access_token


def _password(*, new: bool) -> str:
    """Never an argument: those are seen by everybody who lists processes, and kept in the shell's history."""
    if sys.stdin.isatty():
        asked: str = typer.prompt("Password", hide_input=True, confirmation_prompt=new)
        return asked
    return sys.stdin.readline().rstrip("\n")
