"""The command that checks the promises: `audit`."""

from dataclasses import asdict
from typing import Annotated, Final

import typer
from rich.text import Text

from tools.audit import REST_SECONDS
from tools.audit.verdict import Verdict, broken, promise_table
from tools.cli.commands import Commands, current, show
from tools.cloud import local_cloud
from tools.cloud.settings import Settings
from tools.console import CROSS, MOST_SHOWN, WARNING, console_of_width

app = Commands()

# A file or a pipe has no width of its own; in it a promise is one line.
_UNSEEN_WIDTH: Final = 140


@app.command("audit", on="local")
def audit_promises(
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds that orders under way are given to end.")
    ] = REST_SECONDS,
) -> None:
    """Check every promise for every order of the local cloud. Exit code 0 only if none is broken."""
    from sqlalchemy import create_engine

    from tools.audit.database import await_rest
    from tools.audit.evidence import gather, judge

    settings = Settings.from_environment()
    stack = local_cloud.require_up(settings)
    engine = create_engine(stack["database_url"])
    try:
        under_way = await_rest(engine, seconds=wait)
        verdicts = judge(gather(settings, stack, engine))
    finally:
        engine.dispose()
    violations = broken(verdicts)
    promises = [asdict(verdict) for verdict in verdicts]
    show({"ok": not violations, "underWay": under_way, "promises": promises})
    if not current().as_json:
        _show(verdicts, under_way, violations)
    if violations:
        raise typer.Exit(1)


def _show(verdicts: list[Verdict], under_way: list[str], violations: tuple[str, ...]) -> None:
    console = console_of_width(_UNSEEN_WIDTH)
    console.print(promise_table("Promises, checked everywhere that something is on record", verdicts))
    for remark in [remark for verdict in verdicts for remark in verdict.remarks][:MOST_SHOWN]:
        console.print(WARNING, remark.subject, remark.problem, soft_wrap=True)
    for thing in under_way[:MOST_SHOWN]:
        console.print(WARNING, f"not at rest: {thing}", soft_wrap=True)
    for violation in violations[:MOST_SHOWN]:
        console.print(CROSS, violation, soft_wrap=True)
    if len(violations) > MOST_SHOWN:
        console.print(f"  … and {len(violations) - MOST_SHOWN} more")
    console.print(
        Text("A promise is broken.", "red bold") if violations else Text("Every promise held.", "green bold")
    )
