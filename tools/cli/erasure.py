"""The command that erases a customer's personal data: `erase-customer`. docs/security.md says what that is."""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from tools.cli.operations import ApiUrl, Note, Token, connect
from tools.cloud import aws, local_cloud
from tools.cloud.settings import Settings
from tools.console import Console
from tools.errors import LocalCloudError

app = typer.Typer()
console = Console(soft_wrap=True)


@app.command("erase-customer")
def erase_customer(
    customer: Annotated[
        str,
        typer.Argument(metavar="CUSTOMER", help="Their id (the token's sub), or here their e-mail address."),
    ],
    note: Note,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")] = False,
    api_url: ApiUrl = None,
    token: Token = None,
) -> None:
    """Erase a customer's contact data, payment tokens and webhooks. Their orders are kept."""
    user_id = _id_of(customer, api_url) if "@" in customer else customer
    if not yes:
        typer.confirm(f"Erase the personal data of customer {user_id}? It cannot be brought back", abort=True)
    with connect(api_url, token) as client:
        erased = client.post(f"admin/customers/{quote(user_id, safe='')}/erasure", note=note)
    for line in summary(erased):
        console.print(line)


def summary(erased: dict[str, Any]) -> list[str]:
    """What the API says it did, in words."""
    lines = [f"Orders erased: {erased['ordersErased']}; webhooks removed: {erased['webhooksRemoved']}"]
    if not erased["complete"]:
        lines.append(
            f"Orders left: {erased['ordersLeft']}. Maintenance erases each once it has ended and its messages are out."
        )
    lines.append("The account itself is Cognito's; docs/security.md says how to delete it.")
    return lines


def _id_of(email: str, api_url: str | None) -> str:
    """The id of the account with this address, by the local cloud's user pool."""
    if api_url is not None:
        raise LocalCloudError(
            "Another stage's accounts are not known here: name the customer by their id (sub)."
        )
    settings = Settings.from_environment()
    pool = local_cloud.require_up(settings)["user_pool_id"]
    for page in aws.cognito(settings).get_paginator("list_users").paginate(UserPoolId=pool):
        for user in page["Users"]:
            attributes = {attribute["Name"]: attribute.get("Value") for attribute in user["Attributes"]}
            if (attributes.get("email") or "").lower() == email.lower():
                return str(attributes["sub"])
    raise LocalCloudError(f"No account has the address {email}.")
