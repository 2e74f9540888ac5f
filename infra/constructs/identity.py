"""Who a caller is: a Cognito user pool, its client, and the groups that may do more than others."""

from typing import Final

from aws_cdk import Duration
from aws_cdk import aws_cognito as cognito
from constructs import Construct

from infra.findings import accept
from infra.stages import Stage
from orders.contract import ADMIN_GROUP, PRIORITY_GROUP

ACCESS_TOKEN_SCOPE: Final = "aws.cognito.signin.user.admin"
"""In every access token that Cognito hands out for a password, and in no ID token: requiring it keeps ID tokens,
which carry personal data and are not for APIs, out."""
# Signing out revokes the refresh token. The API cannot see that, so access tokens are short-lived.
_ACCESS: Final = Duration.minutes(15)


class Identity(Construct):
    """Customers sign up with their e-mail address; operators are members of a group."""

    def __init__(self, scope: Construct, id: str, *, stage: Stage) -> None:
        super().__init__(scope, id)
        self.user_pool = cognito.UserPool(
            self,
            "UserPool",
            user_pool_name=stage.resource_name("users"),
            sign_in_aliases=cognito.SignInAliases(email=True),
            sign_in_case_sensitive=False,
            self_sign_up_enabled=True,
            auto_verify=cognito.AutoVerifiedAttrs(email=True),
            account_recovery=cognito.AccountRecovery.EMAIL_ONLY,
            password_policy=cognito.PasswordPolicy(
                min_length=12,
                require_lowercase=True,
                require_uppercase=True,
                require_digits=True,
                require_symbols=True,
                temp_password_validity=Duration.days(1),
            ),
            mfa=cognito.Mfa.OPTIONAL,
            mfa_second_factor=cognito.MfaSecondFactor(otp=True, sms=False),
            deletion_protection=stage.is_protected,
            removal_policy=stage.removal_policy,
        )
        self.client = self.user_pool.add_client(
            "Client",
            auth_flows=cognito.AuthFlow(user_password=True, user_srp=True),
            disable_o_auth=True,
            generate_secret=False,
            prevent_user_existence_errors=True,
            enable_token_revocation=True,
            access_token_validity=_ACCESS,
            id_token_validity=_ACCESS,
            refresh_token_validity=Duration.days(7),
        )
        accept(self.user_pool, "Customers choose whether to use a second factor.", "COG2")
        accept(
            self.user_pool, "The plus plan multiplies the price of a user; throttling limits guesses.", "COG8"
        )
        self.user_pool.add_group(
            "Admin", group_name=ADMIN_GROUP, description="Operators of the order pipeline"
        )
        self.user_pool.add_group(
            "Priority", group_name=PRIORITY_GROUP, description="Customers whose orders may be urgent"
        )


class ConsoleClient(Construct):
    """The client by which the console's page has Cognito's managed login sign operators in: with a code and PKCE, for
    the scope that the API asks for. It is the application's, since it knows the API's address."""

    def __init__(self, scope: Construct, id: str, *, identity: Identity) -> None:
        super().__init__(scope, id)
        self.client = cognito.UserPoolClient(
            self,
            "Client",
            user_pool=identity.user_pool,
            generate_secret=False,
            prevent_user_existence_errors=True,
            enable_token_revocation=True,
            access_token_validity=_ACCESS,
            id_token_validity=_ACCESS,
        )

    def return_to(self, page: str) -> None:
        """Where people come back to once they have signed in: the page's address."""
        client = self.client.node.default_child
        assert isinstance(client, cognito.CfnUserPoolClient)
        client.allowed_o_auth_flows_user_pool_client = True
        client.allowed_o_auth_flows = ["code"]
        client.allowed_o_auth_scopes = ["openid", "email", ACCESS_TOKEN_SCOPE]
        client.callback_ur_ls = [page]
        client.supported_identity_providers = ["COGNITO"]
