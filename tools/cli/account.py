"""The commands of an account: `signup`, `confirm`, `login`, `logout` and `token`, by Cognito's calls, as on AWS.

The tokens are kept in a file that only its owner may read. A password is kept nowhere.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Final, TypedDict, cast

import typer
from botocore.exceptions import ClientError

from orders.addresses import deliverable_address
from tools.cloud import aws, local_cloud, stack
from tools.cloud.settings import Settings
from tools.cloud.stack import Stack, sign_in
from tools.console import Console
from tools.errors import LocalCloudError

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp.type_defs import AuthenticationResultTypeTypeDef

app = typer.Typer()
console = Console()


def _deliverable(email: str) -> str:
    try:
        return deliverable_address(email)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


Email = Annotated[str, typer.Argument(metavar="EMAIL", help="The account's address.", callback=_deliverable)]


@app.command()
def signup(email: Email) -> None:
    """Make an account. The password is asked for, or read from standard input."""
    settings = Settings.from_environment()
    client_id = local_cloud.require_up(settings)["user_pool_client_id"]
    password = _password(new=True)
    with _refusals():
        answer = aws.cognito(settings).sign_up(
            ClientId=client_id,
            Username=email,
            Password=password,
            UserAttributes=[{"Name": "email", "Value": email}],
        )
    if answer["UserConfirmed"]:
        console.print(f"{email} has an account. Sign in with: bin/orders login {email}")
    else:
        console.print(f"A code was sent to {email}. Go on with: bin/orders confirm {email} CODE")


@app.command()
def confirm(
    email: Email, code: Annotated[str, typer.Argument(metavar="CODE", help="From the mail.")]
) -> None:
    """Prove with the code from the mail that the address is yours."""
    settings = Settings.from_environment()
    client_id = local_cloud.require_up(settings)["user_pool_client_id"]
    with _refusals():
        aws.cognito(settings).confirm_sign_up(ClientId=client_id, Username=email, ConfirmationCode=code)
    console.print(f"{email} is confirmed. Sign in with: bin/orders login {email}")


@app.command()
def login(email: Email) -> None:
    """Sign in. The password is asked for, or read from standard input."""
    settings = Settings.from_environment()
    _log_in(settings, local_cloud.require_up(settings)["user_pool_client_id"], email, _password(new=False))
    console.print(f"Signed in as {email}. Order with: bin/orders place --user me")


@app.command()
def logout(
    everywhere: Annotated[bool, typer.Option("--everywhere", help="On every other machine too.")] = False,
) -> None:
    """Sign out: the refresh token is revoked. Access tokens end by themselves within 15 minutes."""
    settings = Settings.from_environment()
    local_cloud.require_up(settings)
    console.print(f"{_log_out(settings, everywhere=everywhere)} is signed out.")


@app.command()
def token(
    user: Annotated[
        str | None,
        typer.Option("--user", help="me, customer, other or admin; me if you are signed in, else customer."),
    ] = None,
) -> None:
    """Print an access token, for any HTTP client."""
    settings = Settings.from_environment()
    print(token_of(settings, user or ("me" if settings.session_file.exists() else "customer")))


def token_of(settings: Settings, user: str) -> str:
    """An access token of one of the stack's users, or of whoever is signed in: `me`.

    Raises:
        LocalCloudError: there is no such user, nobody is signed in, or the local cloud is not up.
    """
    stack = local_cloud.require_up(settings)
    if user == "me":
        return _access_token(settings)
    _require(stack, user)
    return sign_in(settings, stack, user).access_token


def address_of(settings: Settings, user: str) -> str:
    """The account's address of one of the stack's users, or of whoever is signed in: `me`.

    Raises:
        LocalCloudError: as for `token_of`.
    """
    if user == "me":
        return _current(settings)["email"]
    stack = local_cloud.require_up(settings)
    _require(stack, user)
    return stack["users"][user]["email"]


def _require(stack: Stack, user: str) -> None:
    if user not in stack["users"]:
        raise LocalCloudError(f"There is no user {user!r}. There are: {', '.join(stack['users'])}, and me.")


def _password(*, new: bool) -> str:
    """Never an argument: those are seen by everybody who lists processes, and kept in the shell's history."""
    if sys.stdin.isatty():
        asked: str = typer.prompt("Password", hide_input=True, confirmation_prompt=new)
        return asked
    return sys.stdin.readline().rstrip("\n")


_SPARE_SECONDS: Final = 30
"""A token that ends sooner than this is renewed before it is used."""


class Session(TypedDict):
    """The content of the file."""

    email: str
    user_pool_client_id: str
    access_token: str
    refresh_token: str
    expires_at: float
    """Of the access token, as `time.time()`."""


def _log_in(settings: Settings, client_id: str, email: str, password: str) -> None:
    """Signs in and keeps the tokens.

    Raises:
        LocalCloudError: refused.
    """
    with _refusals():
        answer = aws.cognito(settings).initiate_auth(
            AuthFlow="USER_PASSWORD_AUTH",
            ClientId=client_id,
            AuthParameters={"USERNAME": email, "PASSWORD": password},
        )
    if "AuthenticationResult" not in answer:
        raise LocalCloudError(f"Cognito asks for more than a password: {answer['ChallengeName']}.")
    result = answer["AuthenticationResult"]
    _keep(settings, email, client_id, result, result["RefreshToken"])


def _log_out(settings: Settings, *, everywhere: bool = False) -> str:
    """Revokes the refresh token, or all that this account has anywhere, and forgets the tokens. Returns the e-mail
    address. The access token stays good for its last minutes: the API cannot see that it was revoked.

    Raises:
        LocalCloudError: nobody is signed in.
    """
    session = _current(settings)
    cognito = aws.cognito(settings)
    try:
        with _refusals():
            if everywhere:
                cognito.global_sign_out(AccessToken=_fresh(settings, session)["access_token"])
            cognito.revoke_token(Token=session["refresh_token"], ClientId=session["user_pool_client_id"])
    finally:
        # Whatever Cognito says, they are not wanted here any more.
        settings.session_file.unlink(missing_ok=True)
    return session["email"]


def _access_token(settings: Settings) -> str:
    """An access token of whoever is signed in, renewed if it is about to end.

    Raises:
        LocalCloudError: nobody is, or no more.
    """
    return _fresh(settings, _current(settings))["access_token"]


def _fresh(settings: Settings, session: Session) -> Session:
    if time.time() < session["expires_at"] - _SPARE_SECONDS:
        return session
    with _refusals():
        answer = aws.cognito(settings).initiate_auth(
            AuthFlow="REFRESH_TOKEN_AUTH",
            ClientId=session["user_pool_client_id"],
            AuthParameters={"REFRESH_TOKEN": session["refresh_token"]},
        )
    result = answer["AuthenticationResult"]
    # Cognito returns a new refresh token only where they rotate.
    refresh_token = result.get("RefreshToken", session["refresh_token"])
    return _keep(settings, session["email"], session["user_pool_client_id"], result, refresh_token)


def _keep(
    settings: Settings,
    email: str,
    client_id: str,
    result: "AuthenticationResultTypeTypeDef",
    refresh_token: str,
) -> Session:
    session = Session(
        email=email,
        user_pool_client_id=client_id,
        access_token=result["AccessToken"],
        refresh_token=refresh_token,
        expires_at=time.time() + result["ExpiresIn"],
    )
    settings.session_file.parent.mkdir(parents=True, exist_ok=True)
    stack.write_json(settings.session_file, session)
    return session


def _current(settings: Settings) -> Session:
    content = stack.read_json(settings.session_file)
    if content is None:
        raise LocalCloudError("Nobody is signed in. Sign in with: bin/orders login EMAIL")
    return cast(Session, content)


@contextmanager
def _refusals() -> Iterator[None]:
    """Cognito's own words, without a traceback; they name no password and no token."""
    try:
        yield
    except ClientError as error:
        raise LocalCloudError(f"Cognito answered: {error.response['Error']['Message']}") from None
