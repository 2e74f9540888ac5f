"""Where callers of this stage sign in."""

from orders.settings import FunctionSettings


class Settings(FunctionSettings):
    """A user pool's id begins with its region."""

    user_pool_id: str
    user_pool_client_id: str
    aws_endpoint_url: str | None = None
    """The local cloud's. On AWS Cognito has its own."""

    @property
    def sign_in(self) -> dict[str, str]:
        """What a client needs to call Cognito's `InitiateAuth`."""
        region = self.user_pool_id.partition("_")[0]
        return {
            "endpoint": self.aws_endpoint_url or f"https://cognito-idp.{region}.amazonaws.com",
            "region": region,
            "userPoolId": self.user_pool_id,
            "clientId": self.user_pool_client_id,
        }
