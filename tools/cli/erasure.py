"""The command that erases a customer's personal data: `erase-customer`. docs/security.md says what that is."""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from tools.cli.api import client
from tools.cli.commands import Commands, show
from tools.cli.operations import Note
from tools.cli.target import find_target
from tools.cloud import aws, local_cloud
from tools.cloud.settings import Settings
from tools.errors import LocalCloudError, Misused

app = Commands()


@app.command("erase-customer")
def erase_customer(
    customer: Annotated[
        str,
        typer.Argument(metavar="CUSTOMER", help="Their id (the token's sub), or here their e-mail address."),
    ],
    note: Note,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")] = False,
) -> None:
    """Erase a customer's contact data, payment tokens and webhooks. Their orders are kept."""
    user_id = _id_of(customer) if "@" in customer else customer
    if not yes:
        typer.confirm(f"Erase the personal data of customer {user_id}? It cannot be brought back", abort=True)
    with client(default="admin") as api:
        erased = api.post(f"admin/customers/{quote(user_id, safe='')}/erasure", note=note)
    show(erased, *summary(erased))


def summary(erased: dict[str, Any]) -> list[str]:
    """What the API says it did, in words."""
    lines = [f"Orders erased: {erased['ordersErased']}; webhooks removed: {erased['webhooksRemoved']}"]
    if not erased["complete"]:
        lines.append(
            f"Orders left: {erased['ordersLeft']}. Maintenance erases each once it has ended and its messages are out."
        )
    lines.append("The account itself is Cognito's; docs/security.md says how to delete it.")
    return lines


def _id_of(email: str) -> str:
    """The id of the account with this address, by the local cloud's user pool."""
    settings = Settings.from_environment()
    if not find_target(settings).is_local:
        raise Misused("Another stage's accounts are not known here: name the customer by their id (sub).")
    pool = local_cloud.require_up(settings)["user_pool_id"]
    for page in aws.cognito(settings).get_paginator("list_users").paginate(UserPoolId=pool):
        for user in page["Users"]:
            attributes = {attribute["Name"]: attribute.get("Value") for attribute in user["Attributes"]}
            if (attributes.get("email") or "").lower() == email.lower():
                return str(attributes["sub"])
    raise LocalCloudError(f"No account has the address {email}.")
