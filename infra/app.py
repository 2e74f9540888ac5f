"""Entry of the CDK command line: `cdk synth -c stage=prod`.

Context values: `stage` (local, dev or prod; required), `database` (local only: the database secret's JSON) and
`sender_email` (the verified address that mails come from; dev and prod need one of yours).
"""

import dataclasses
import sys
from typing import Final

from aws_cdk import App, Tags

from infra.assets import AssetError
from infra.stack import OrdersStack
from infra.stages import STAGES, Stage

# CDK believes that this type has tags; CloudFormation's schema, and with it CDK's own check, refuses them.
_UNTAGGABLE: Final = ["AWS::RDS::DBProxyTargetGroup"]


def orders_stack(app: App) -> OrdersStack:
    """The stack of the stage that the app's context names.

    Raises:
        ValueError: the context lacks something, or names a stage that there is not.
    """
    stage = _stage(app)
    stack = OrdersStack(app, stage=stage, local_database=app.node.try_get_context("database"))
    for key, value in {"application": "orders", "stage": stage.name}.items():
        Tags.of(stack).add(key, value, exclude_resource_types=_UNTAGGABLE)
    return stack


def _stage(app: App) -> Stage:
    name = app.node.try_get_context("stage")
    if name not in STAGES:
        raise ValueError(f"choose a stage with -c stage={'|'.join(STAGES)} (it is {name!r})")
    stage = STAGES[name]
    sender_email = app.node.try_get_context("sender_email")
    return dataclasses.replace(stage, sender_email=sender_email) if sender_email else stage


def main() -> None:
    """Synthesizes what the context asks for."""
    app = App()
    try:
        orders_stack(app)
    except (AssetError, ValueError) as error:
        sys.exit(str(error))
    app.synth()


if __name__ == "__main__":
    main()
