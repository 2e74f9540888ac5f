"""Entry of the CDK command line: `cdk synth -c stage=prod`.

Context values: `stage` (local, dev or prod; required), `database` (local only: the database secret's JSON),
`payment_provider` (simulator or stripe; prod needs one that moves money), `stripe_api_base` (local only: where Stripe's
fake is), `sender_email` (the address that mails come from, which SES has verified, or its domain; dev and prod need one
of yours), `create_sender` (true: the stack makes SES's identity of it), `first_deploy` (true: nothing is protected from
deletion yet, so that a first deploy can fail and be given again), `allowed_origins` (whose pages may call the API from
a browser, separated by commas), `alarm_subscribers` (who is told of alarms: e-mail addresses and https URLs, separated
by commas), `login_domain` (the user pool's, where operators sign in to the console), `lambda_quota` (the account's
quota of concurrent executions, as `bin/orders preflight` tells it; without it no function reserves any), and of the
managed database `database_engine_version`, `database_min_capacity`, `database_max_capacity`, `database_readers` and
`availability_zones` (separated by commas).
"""

import dataclasses
import re
import sys
from collections.abc import Callable
from typing import Any, Final

from aws_cdk import App, Tags

from infra.assets import AssetError
from infra.data_stack import DataStack
from infra.payments import PaymentProvider, stripe
from infra.stack import OrdersStack
from infra.stages import STAGES, UNRESERVED_CONCURRENCY, DatabasePolicy, Stage

# CDK believes that this type has tags; CloudFormation's schema, and with it CDK's own check, refuses them.
_UNTAGGABLE: Final = ["AWS::RDS::DBProxyTargetGroup"]

# As a browser writes it, so that it is the same text: no path, no capital letter. Without TLS only for this machine.
_ORIGIN: Final = re.compile(
    r"https://[a-z0-9-]+(\.[a-z0-9-]+)*(:[0-9]+)?|http://(localhost|127\.0\.0\.1)(:[0-9]+)?"
)

_ZONE: Final = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9][a-z]")
_SUBSCRIBER: Final = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+|https://[^\s@]+")


def orders_stack(app: App) -> OrdersStack:
    """The application's stack of the stage that the app's context names, and the stack of its data.

    Raises:
        ValueError: the context lacks something, or names a stage that there is not.
    """
    stage = stage_of(app)
    data = DataStack(app, stage=stage, local_database=app.node.try_get_context("database"))
    stack = OrdersStack(app, stage=stage, data=data)
    for key, value in {"application": "orders", "stage": stage.name}.items():
        Tags.of(app).add(key, value, exclude_resource_types=_UNTAGGABLE)
    return stack


def stage_of(app: App) -> Stage:
    """The policy of the stage that the app's context names, with what else the context chooses.

    Raises:
        ValueError: as for `orders_stack`.
    """
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
    if app.node.try_get_context("first_deploy") == "true":
        changes["is_first_deploy"] = True
    if login_domain := app.node.try_get_context("login_domain"):
        changes["login_domain"] = _login_domain(login_domain)
    if app.node.try_get_context("create_sender") == "true":
        changes["creates_sender"] = True
    if quota := app.node.try_get_context("lambda_quota"):
        changes["lambda_quota"] = _quota(quota, STAGES[name])
    if database := STAGES[name].database:
        changes["database"] = _database(app, database)
    stage = dataclasses.replace(STAGES[name], payments=_payments(app, STAGES[name]), **changes)
    if not stage.sender_email:
        raise ValueError(
            f"stage {name!r} sends mails to customers: say which address they come from, with "
            "-c sender_email=orders@your-domain.example. SES must have verified it, or its domain"
        )
    if not (stage.payments.moves_money or stage.allows_test_payments):
        raise ValueError(
            f"stage {name!r} takes real orders and the {stage.payments.name} moves no money: "
            "choose a provider that does, with -c payment_provider=stripe"
        )
    return stage


def _database(app: App, policy: DatabasePolicy) -> DatabasePolicy:
    changes: dict[str, Any] = {}
    for context, (field, parse) in _OF_THE_DATABASE.items():
        if text := app.node.try_get_context(context):
            try:
                changes[field] = parse(text)
            except ValueError as error:
                raise ValueError(f"{context}: {text!r} {error}") from None
    changed = dataclasses.replace(policy, **changes)
    if changed.min_capacity > changed.max_capacity:
        name, other = "database_min_capacity", "database_max_capacity"
        if not app.node.try_get_context(name):
            name, other = other, name
        raise ValueError(
            f"{name}: {app.node.try_get_context(name)!r} does not go with {other}, "
            f"{changed.min_capacity:g} to {changed.max_capacity:g}"
        )
    return changed


def _engine_version(text: str) -> str:
    if not re.fullmatch(r"[0-9]+\.[0-9]+", text):
        raise ValueError("is no version of Aurora PostgreSQL, e.g. 17.5")
    return text


def _capacity(text: str) -> float:
    """Aurora capacity units: steps of a half."""
    if not re.fullmatch(r"[0-9]+(\.[05])?", text) or not 0.5 <= float(text) <= 256:
        raise ValueError("is no capacity: 0.5 to 256, in steps of 0.5")
    return float(text)


def _readers(text: str) -> int:
    if not re.fullmatch(r"[0-9]+", text) or int(text) > 15:
        raise ValueError("is no number of readers: 0 to 15")
    return int(text)


def _zones(text: str) -> tuple[str, ...]:
    zones = tuple(text.split(","))
    if len({*zones}) < max(2, len(zones)) or not all(map(_ZONE.fullmatch, zones)):
        raise ValueError("are not two zones or more, e.g. us-east-1a,us-east-1b")
    return zones


_OF_THE_DATABASE: Final[dict[str, tuple[str, Callable[[str], object]]]] = {
    "database_engine_version": ("engine_version", _engine_version),
    "database_min_capacity": ("min_capacity", _capacity),
    "database_max_capacity": ("max_capacity", _capacity),
    "database_readers": ("readers", _readers),
    "availability_zones": ("zones", _zones),
}
"""Fields of the stage's `DatabasePolicy` that a deploy may choose."""


def _payments(app: App, stage: Stage) -> PaymentProvider:
    api_base = app.node.try_get_context("stripe_api_base")
    if api_base and stage.target != "local":
        raise ValueError("stripe_api_base is where Stripe's fake is, for the local stage alone")
    match app.node.try_get_context("payment_provider"):
        case None:
            return stage.payments
        case "stripe":
            return stripe(api_key_secret=stage.resource_name("stripe-api-key"), api_base=api_base)
        case name if name == stage.payments.name:
            return stage.payments
        case name:
            raise ValueError(f"there is no payment provider {name!r}: choose {stage.payments.name} or stripe")


def _quota(text: str, stage: Stage) -> int:
    if not re.fullmatch(r"[0-9]+", text):
        raise ValueError(f"lambda_quota: {text!r} is no number of concurrent executions, e.g. 1000")
    quota, needed = int(text), stage.reserved_concurrency + UNRESERVED_CONCURRENCY
    if quota < needed:
        raise ValueError(
            f"lambda_quota: {quota} is too little for stage {stage.name!r}. Its steps reserve "
            f"{stage.reserved_concurrency}, and Lambda keeps {UNRESERVED_CONCURRENCY} for functions that reserve "
            f"nothing. Ask AWS for {needed} or more, or leave lambda_quota out: nothing is reserved then"
        )
    return quota


def _origin(text: str) -> str:
    if not _ORIGIN.fullmatch(text):
        raise ValueError(f"allowed_origins: {text!r} is no origin, e.g. https://shop.example.com")
    return text


def _login_domain(text: str) -> str:
    if not _ORIGIN.fullmatch(text):
        raise ValueError(
            f"login_domain: {text!r} is no origin, e.g. https://orders.auth.us-east-1.amazoncognito.com"
        )
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
