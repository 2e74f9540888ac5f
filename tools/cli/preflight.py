"""The command that looks at an AWS account before anything is made there: `preflight`."""

import dataclasses
import os
import tempfile
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import RenderableType
from rich.text import Text

from tools.cli.commands import Commands, show
from tools.errors import Misused

if TYPE_CHECKING:
    import boto3

    from infra.stages import Stage
    from tools.preflight import Preflight

app = Commands()

_SIGNS: Final = {"ok": ("✓", "green"), "missing": ("✗", "red"), "unknown": ("?", "yellow")}


@app.command("preflight", on="anywhere")
def show_preflight(
    stage: Annotated[str, typer.Option("--stage", help="dev or prod.")],
    region: Annotated[
        str | None, typer.Option("--region", help="Unless AWS_REGION or the profile says it.")
    ] = None,
    context: Annotated[
        list[str] | None,
        typer.Option(
            "--context", "-c", help="name=value, as for cdk deploy: sender_email, availability_zones, …"
        ),
    ] = None,
) -> None:
    """Say what an AWS account lacks for a stage; with your AWS credentials, and without changing anything there."""
    from tools.preflight import preflight

    wanted = _stage({"stage": stage} | _context(context or []))
    found = preflight(_session(region), wanted)
    lines = _lines(found, stage)
    show(
        {
            "stage": stage,
            "account": found.account,
            "region": found.region,
            "ready": found.is_ready,
            "checks": [dataclasses.asdict(finding) for finding in found.findings],
        },
        *lines,
    )
    if not found.is_ready:
        raise typer.Exit(1)


def _context(pairs: list[str]) -> dict[str, str]:
    context = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise Misused(f"-c {pair}: it looks like -c name=value.")
        context[name] = value
    return context


def _stage(context: dict[str, str]) -> "Stage":
    """The policy that a deploy with this context would have.

    Raises:
        Misused: it would not synthesize, or is not for AWS.
    """
    from aws_cdk import App

    from infra.app import stage_of

    with tempfile.TemporaryDirectory() as directory:
        try:
            stage = stage_of(App(context=context, outdir=directory))
        except ValueError as error:
            raise Misused(f"{error}.") from None
    if stage.target != "aws":
        raise Misused(f"Stage {stage.name!r} is for this machine, and needs nothing of AWS.")
    return stage


def _session(region: str | None) -> "boto3.Session":
    import boto3
    from botocore.exceptions import ProfileNotFound

    try:
        session = boto3.Session(region_name=region or os.environ.get("AWS_REGION"))
    except ProfileNotFound as error:
        raise Misused(f"{error}.") from None
    if session.region_name is None:
        raise Misused("Say which region, with --region or AWS_REGION.")
    return session


def _lines(found: "Preflight", stage: str) -> list[RenderableType]:
    lines: list[RenderableType] = [Text(f"Account {found.account}, {found.region}, stage {stage}", "bold")]
    for finding in found.findings:
        sign, style = _SIGNS[finding.status]
        lines.append(Text.assemble((f" {sign} ", style), (f"{finding.check:<16}", "bold"), finding.detail))
        if finding.action:
            lines.append(Text(f"   {'':<16}▸ {finding.action}"))
    lines.append(
        "Nothing is missing."
        if found.is_ready
        else "Not ready: do what the lines with ▸ say, then run this again."
    )
    return lines
