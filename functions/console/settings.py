"""What the page has to know of its stage."""

import json

from orders.settings import SignInSettings


class Settings(SignInSettings):
    """Where operators sign in, and where executions are."""

    state_machine_arn: str
    login_domain: str | None = None
    """The user pool's. None: operators sign in on the page itself."""

    @property
    def configuration(self) -> str:
        """JSON for the page; nothing in it is secret."""
        return json.dumps(
            {
                **self.sign_in,
                "loginDomain": self.login_domain,
                # Emulators have no console to lead to.
                "stateMachineArn": None if self.aws_endpoint_url else self.state_machine_arn,
            }
        )

    @property
    def page_policy(self) -> str:
        """The page may load what this API serves, and talk to this API and to Cognito. Nobody may frame it, and no
        script or style stands in the page itself."""
        asked = ["'self'", self.sign_in["endpoint"], *filter(None, [self.login_domain])]
        return (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
            f"connect-src {' '.join(asked)}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
            "require-trusted-types-for 'script'; trusted-types 'none'"
        )
