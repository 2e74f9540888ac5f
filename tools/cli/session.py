"""Somebody's own account: signing up, in and out by Cognito's calls, which are the same on AWS.

The tokens are kept in a file that only its owner may read. A password is kept nowhere.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypedDict, cast

from botocore.exceptions import ClientError

from tools.cloud import aws, stack
from tools.cloud.settings import Settings
from tools.errors import LocalCloudError

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp.type_defs import AuthenticationResultTypeTypeDef

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


def sign_up(settings: Settings, client_id: str, email: str, password: str) -> bool:
    """Makes an account. False: Cognito has sent a code to the address, and `confirm` wants it.

    Raises:
        LocalCloudError: refused, e.g. a weak password, or an address that has an account.
    """
    with _refusals():
        answer = aws.cognito(settings).sign_up(
            ClientId=client_id,
            Username=email,
            Password=password,
            UserAttributes=[{"Name": "email", "Value": email}],
        )
    return answer["UserConfirmed"]


def confirm(settings: Settings, client_id: str, email: str, code: str) -> None:
    """Proves that the address is the account's owner's.

    Raises:
        LocalCloudError: the code is wrong or too old.
    """
    with _refusals():
        aws.cognito(settings).confirm_sign_up(ClientId=client_id, Username=email, ConfirmationCode=code)


def log_in(settings: Settings, client_id: str, email: str, password: str) -> None:
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


def log_out(settings: Settings, *, everywhere: bool = False) -> str:
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


def access_token(settings: Settings) -> str:
    """An access token of whoever is signed in, renewed if it is about to end.

    Raises:
        LocalCloudError: nobody is, or no more.
    """
    return _fresh(settings, _current(settings))["access_token"]


def is_signed_in(settings: Settings) -> bool:
    return settings.session_file.exists()


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
