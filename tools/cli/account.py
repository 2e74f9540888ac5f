"""The commands of an account: `signup`, `confirm`, `login`, `logout` and `token`."""

import sys
from typing import Annotated

import typer

from orders.addresses import deliverable_address
from tools.cli import api, session
from tools.cli.commands import Commands, current, show
from tools.cli.session import Pool, find_pool, refusals
from tools.cli.target import Target, find_target, say_where
from tools.cloud.settings import Settings

app = Commands()


def _deliverable(email: str) -> str:
    try:
        return deliverable_address(email)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


Email = Annotated[str, typer.Argument(metavar="EMAIL", help="The account's address.", callback=_deliverable)]
ClientId = Annotated[
    str | None, typer.Option(envvar="ORDERS_CLIENT_ID", help="The user pool's client, for an API elsewhere.")
]
Region = Annotated[str | None, typer.Option(envvar="ORDERS_REGION", help="Of that user pool.")]


@app.command()
def signup(email: Email, client_id: ClientId = None, region: Region = None) -> None:
    """Make an account. The password is asked for, or read from standard input."""
    settings, _, pool = _users(client_id, region)
    password = _password(new=True)
    with refusals():
        answer = pool.cognito(settings).sign_up(
            ClientId=pool.client_id,
            Username=email,
            Password=password,
            UserAttributes=[{"Name": "email", "Value": email}],
        )
    is_confirmed = answer["UserConfirmed"]
    show(
        {"email": email, "confirmed": is_confirmed},
        f"{email} has an account. Sign in with: bin/orders login {email}"
        if is_confirmed
        else f"A code was sent to {email}. Go on with: bin/orders confirm {email} CODE",
    )


@app.command()
def confirm(
    email: Email,
    code: Annotated[str, typer.Argument(metavar="CODE", help="From the mail; locally: bin/orders mails.")],
    client_id: ClientId = None,
    region: Region = None,
) -> None:
    """Prove with the code from the mail that the address is yours."""
    settings, _, pool = _users(client_id, region)
    with refusals():
        pool.cognito(settings).confirm_sign_up(ClientId=pool.client_id, Username=email, ConfirmationCode=code)
    show({"email": email, "confirmed": True}, f"{email} is confirmed. Sign in with: bin/orders login {email}")


@app.command()
def login(email: Email, client_id: ClientId = None, region: Region = None) -> None:
    """Sign in. The password is asked for, or read from standard input."""
    settings, target, pool = _users(client_id, region)
    session.log_in(settings, target, pool, email, _password(new=False))
    show(
        {"email": email, "apiUrl": target.api_url},
        f"Signed in as {email}. Order with: bin/orders place --user {session.ME}",
    )


@app.command()
def logout(
    everywhere: Annotated[bool, typer.Option("--everywhere", help="On every other machine too.")] = False,
) -> None:
    """Sign out: the refresh token is revoked. Access tokens end by themselves within 15 minutes."""
    settings = Settings.from_environment()
    target = find_target(settings)
    say_where(target)
    email = session.log_out(settings, target, everywhere=everywhere)
    show({"email": email}, f"{email} is signed out.")


@app.command()
def token(
    user: Annotated[
        str | None,
        typer.Option("--user", help="me, customer, other or admin; me if you are signed in, else customer."),
    ] = None,
) -> None:
    """Print an access token, for any HTTP client."""
    settings = Settings.from_environment()
    is_signed_in = current().token is None and session.is_signed_in(settings, find_target(settings))
    access_token = api.access(user, default=session.ME if is_signed_in else "customer").token
    show({"accessToken": access_token}, access_token)


def _users(client_id: str | None, region: str | None) -> tuple[Settings, Target, Pool]:
    settings = Settings.from_environment()
    target = find_target(settings)
    say_where(target)
    return settings, target, find_pool(settings, target, client_id, region)


def _password(*, new: bool) -> str:
    """Never an argument: those are seen by everybody who lists processes, and kept in the shell's history."""
    if sys.stdin.isatty():
        asked: str = typer.prompt("Password", hide_input=True, confirmation_prompt=new)
        return asked
    return sys.stdin.readline().rstrip("\n")
