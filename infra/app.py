"""Entry of the CDK command line: `cdk synth -c stage=prod`.

Context values: `stage` (local, dev or prod; required), `database` (local only: the database secret's JSON),
`sender_email` (the verified address that mails come from; dev and prod need one of yours), `allowed_origins` (whose
pages may call the API from a browser, separated by commas) and `alarm_subscribers` (who is told of alarms: e-mail
addresses and https URLs, separated by commas).
"""

import dataclasses
import re
import sys
from typing import Any, Final

from aws_cdk import App, Tags

from infra.assets import AssetError
from infra.stack import OrdersStack
from infra.stages import STAGES, Stage

# CDK believes that this type has tags; CloudFormation's schema, and with it CDK's own check, refuses them.
_UNTAGGABLE: Final = ["AWS::RDS::DBProxyTargetGroup"]

# As a browser writes it, so that it is the same text: no path, no capital letter. Without TLS only for this machine.
_ORIGIN: Final = re.compile(
    r"https://[a-z0-9-]+(\.[a-z0-9-]+)*(:[0-9]+)?|http://(localhost|127\.0\.0\.1)(:[0-9]+)?"
)

_SUBSCRIBER: Final = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+|https://[^\s@]+")


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
    changes: dict[str, Any] = {}
    if sender_email := app.node.try_get_context("sender_email"):
        changes["sender_email"] = sender_email
    if origins := app.node.try_get_context("allowed_origins"):
        changes["allowed_origins"] = tuple(map(_origin, origins.split(",")))
    if subscribers := app.node.try_get_context("alarm_subscribers"):
        changes["alarm_subscribers"] = tuple(map(_subscriber, subscribers.split(",")))
    return dataclasses.replace(STAGES[name], **changes)


def _origin(text: str) -> str:
    if not _ORIGIN.fullmatch(text):
        raise ValueError(f"allowed_origins: {text!r} is no origin, e.g. https://shop.example.com")
    return text


def _subscriber(text: str) -> str:
    if not _SUBSCRIBER.fullmatch(text):
        raise ValueError(f"alarm_subscribers: {text!r} is neither an e-mail address nor an https URL")
    return text


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
