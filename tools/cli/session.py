"""Who is signed in to which API, by Cognito's calls, as on AWS.

The tokens are kept in a file for each API, which only its owner may read. A password is kept nowhere.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypedDict, cast

from tools.cli.target import Target
from tools.cloud import aws, local_cloud, stack
from tools.cloud.settings import Settings
from tools.cloud.stack import sign_in
from tools.errors import LocalCloudError, Misused, Refused, Unavailable

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient
    from mypy_boto3_cognito_idp.type_defs import AuthenticationResultTypeTypeDef

ME: Final = "me"
"""Whoever is signed in."""

_SPARE_SECONDS: Final = 30
"""A token that ends sooner than this is renewed before it is used."""


class Pool(NamedTuple):
    """The users of an API: its Cognito user pool, by the client that signs them in."""

    client_id: str
    region: str | None
    """None: the local cloud's."""

    def cognito(self, settings: Settings) -> "CognitoIdentityProviderClient":
        return aws.cognito(settings) if self.region is None else aws.cognito_of_region(self.region)


class Session(TypedDict):
    """The content of the file."""

    email: str
    api_url: str
    region: str | None
    user_pool_client_id: str
    access_token: str
    refresh_token: str
    expires_at: float
    """Of the access token, as `time.time()`."""


def find_pool(settings: Settings, target: Target, client_id: str | None, region: str | None) -> Pool:
    """The user pool of an API: the local cloud's, or the one that is named.

    Raises:
        LocalCloudError: it is not named, or there is no local cloud.
    """
    if target.is_local:
        return Pool(local_cloud.require_up(settings)["user_pool_client_id"], None)
    if not client_id or not region:
        raise Misused(
            f"Say who signs in to {target.api_url}: --client-id and --region are the outputs UserPoolClientId and "
            "Region of its stack."
        )
    return Pool(client_id, region)


def token_of(settings: Settings, target: Target, user: str) -> str:
    """An access token of one of the local cloud's users, or of whoever is signed in: `me`.

    Raises:
        LocalCloudError: there is no such user there, nobody is signed in, or the local cloud is not up.
    """
    if user == ME:
        return _fresh(settings, target, _current(settings, target))["access_token"]
    if not target.is_local:
        raise Misused(
            f"{user!r} is a user of the local cloud, which {target.api_url} is not. "
            "Sign in there with bin/orders login EMAIL, or give a token with --token or ORDERS_TOKEN."
        )
    known = local_cloud.require_up(settings)
    if user not in known["users"]:
        raise Misused(f"There is no user {user!r}. There are: {', '.join(known['users'])}, and {ME}.")
    return sign_in(settings, known, user).access_token


def address_of(settings: Settings, target: Target, user: str) -> str:
    """The address of the account of one of the local cloud's users, or of whoever is signed in: `me`.

    Raises:
        LocalCloudError: nobody is signed in, or there is no such user there.
    """
    if user == ME:
        return _current(settings, target)["email"]
    return local_cloud.require_up(settings)["users"][user]["email"]


def is_signed_in(settings: Settings, target: Target) -> bool:
    return _file(settings, target).exists()


def log_in(settings: Settings, target: Target, pool: Pool, email: str, password: str) -> None:
    """Signs in and keeps the tokens.

    Raises:
        LocalCloudError: refused.
    """
    with refusals():
        answer = pool.cognito(settings).initiate_auth(
            AuthFlow="USER_PASSWORD_AUTH",
            ClientId=pool.client_id,
            AuthParameters={"USERNAME": email, "PASSWORD": password},
        )
    if "AuthenticationResult" not in answer:
        raise LocalCloudError(f"Cognito asks for more than a password: {answer['ChallengeName']}.")
    result = answer["AuthenticationResult"]
    _keep(settings, target, email, pool, result, result["RefreshToken"])


def log_out(settings: Settings, target: Target, *, everywhere: bool = False) -> str:
    """Revokes the refresh token, or all that this account has anywhere, and forgets the tokens. Returns the e-mail
    address. The access token stays good for its last minutes: the API cannot see that it was revoked.

    Raises:
        LocalCloudError: nobody is signed in.
    """
    session = _current(settings, target)
    cognito = _pool(session).cognito(settings)
    try:
        with refusals():
            if everywhere:
                cognito.global_sign_out(AccessToken=_fresh(settings, target, session)["access_token"])
            cognito.revoke_token(Token=session["refresh_token"], ClientId=session["user_pool_client_id"])
    finally:
        # Whatever Cognito says, they are not wanted here any more.
        _file(settings, target).unlink(missing_ok=True)
    return session["email"]


@contextmanager
def refusals() -> Iterator[None]:
    """Cognito's own words, without a traceback; they name no password and no token.

    Raises:
        Refused, Unavailable: what Cognito said, or that it does not answer.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        raise Refused(f"Cognito answered: {error.response['Error']['Message']}") from None
    except BotoCoreError as error:
        raise Unavailable(f"Cognito does not answer: {error}") from None


def _fresh(settings: Settings, target: Target, session: Session) -> Session:
    if time.time() < session["expires_at"] - _SPARE_SECONDS:
        return session
    pool = _pool(session)
    with refusals():
        answer = pool.cognito(settings).initiate_auth(
            AuthFlow="REFRESH_TOKEN_AUTH",
            ClientId=pool.client_id,
            AuthParameters={"REFRESH_TOKEN": session["refresh_token"]},
        )
    result = answer["AuthenticationResult"]
    # Cognito returns a new refresh token only where they rotate.
    refresh_token = result.get("RefreshToken", session["refresh_token"])
    return _keep(settings, target, session["email"], pool, result, refresh_token)


def _keep(
    settings: Settings,
    target: Target,
    email: str,
    pool: Pool,
    result: "AuthenticationResultTypeTypeDef",
    refresh_token: str,
) -> Session:
    session = Session(
        email=email,
        api_url=target.api_url,
        region=pool.region,
        user_pool_client_id=pool.client_id,
        access_token=result["AccessToken"],
        refresh_token=refresh_token,
        expires_at=time.time() + result["ExpiresIn"],
    )
    file = _file(settings, target)
    file.parent.mkdir(parents=True, exist_ok=True)
    stack.write_json(file, session)
    return session


def _current(settings: Settings, target: Target) -> Session:
    content = stack.read_json(_file(settings, target))
    if content is None:
        raise Refused(f"Nobody is signed in to {target.api_url}. Sign in with: bin/orders login EMAIL")
    session = cast(Session, content)
    if (
        target.is_local
        and session["user_pool_client_id"] != find_pool(settings, target, None, None).client_id
    ):
        raise Refused("Who was signed in was so to an earlier local cloud. Sign in: bin/orders login EMAIL")
    return session


def _pool(session: Session) -> Pool:
    return Pool(session["user_pool_client_id"], session["region"])


def _file(settings: Settings, target: Target) -> Path:
    return settings.session_file if target.is_local else settings.session_file_of(target.api_url)
