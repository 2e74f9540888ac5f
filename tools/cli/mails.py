"""The command that shows what the local cloud sent: `mails`."""

import re
from typing import Annotated, Final

import typer

from tools.audit import mailbox
from tools.cli.commands import Commands, listing, show
from tools.cloud import local_cloud
from tools.cloud.settings import Settings

app = Commands()

_CODE: Final = re.compile(r"(?<![\w-])\d{6}(?![\w-])")
_COLUMNS: Final = {"To": "to", "Channel": "channel", "Code": "code", "Subject": "subject"}


@app.command(on="local")
def mails(
    to: Annotated[str | None, typer.Option(help="Only those to this address or number.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many of the newest.")] = 20,
    body: Annotated[bool, typer.Option("--body", help="With their text.")] = False,
) -> None:
    """Show the mails and text messages that the local cloud sent since it started, codes among them, newest last."""
    settings = Settings.from_environment()
    local_cloud.require_up(settings)
    messages = [
        *(
            _message("e-mail", ", ".join(mail.to), mail.subject, mail.body)
            for mail in mailbox.read(settings) or []
        ),
        *(_message("text", text.to, text.body, text.body) for text in mailbox.read_texts(settings)),
    ]
    wanted = [message for message in messages if to is None or to in (message["to"] or "").split(", ")][
        -limit:
    ]
    lines = [listing(wanted, _COLUMNS)] if wanted else ["Nothing was sent."]
    if body:
        lines = [f"To {message['to']}: {message['subject']}\n\n{message['body']}\n" for message in wanted]
    show({"items": wanted}, *lines)


def _message(channel: str, to: str, subject: str, body: str) -> dict[str, str | None]:
    code = _CODE.search(body)
    return {"channel": channel, "to": to, "subject": subject, "code": code[0] if code else None, "body": body}
