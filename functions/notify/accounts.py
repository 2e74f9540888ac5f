"""The verified address of a user's account, from Cognito: access tokens carry none."""

from typing import TYPE_CHECKING, Final, Protocol

from orders import aws

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient

READ_TIMEOUT_SECONDS: Final = 2
_ATTEMPTS: Final = 1


class Accounts(Protocol):
    """Who knows the accounts."""

    def verified_address(self, user_id: str) -> str | None:
        """The e-mail address of the user's account; None if it has none that is verified, or is gone.

        Raises:
            ServiceUnavailable: try again later.
        """
        ...


class CognitoAccounts:
    """A user pool. `user_id` is a token's subject, by which Cognito finds a user as well as by the name."""

    def __init__(self, client: "CognitoIdentityProviderClient", user_pool_id: str) -> None:
        self._client = client
        self._user_pool_id = user_pool_id

    @classmethod
    def connect(cls, user_pool_id: str) -> "CognitoAccounts":
        client = aws.connect("cognito-idp", read_timeout_seconds=READ_TIMEOUT_SECONDS, attempts=_ATTEMPTS)
        return cls(client, user_pool_id)

    def verified_address(self, user_id: str) -> str | None:
        """See `Accounts`."""
        with aws.sdk_calls("Cognito"):
            try:
                found = self._client.admin_get_user(UserPoolId=self._user_pool_id, Username=user_id)
            except self._client.exceptions.UserNotFoundException:
                return None
        attributes = {each["Name"]: each.get("Value", "") for each in found["UserAttributes"]}
        return attributes.get("email") if attributes.get("email_verified") == "true" else None
