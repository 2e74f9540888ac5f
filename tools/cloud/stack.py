"""`stack.json`: everything a client of the local cloud needs to know."""

import json
import os
from pathlib import Path
from typing import Any, Final, TypedDict, cast

from orders.events import Queue
from tools.cloud.settings import Settings
from tools.cloud.users import User

_OWNER_ONLY: Final = 0o600


class QueueUrls(TypedDict):
    url: str
    dlq_url: str


class Stack(TypedDict):
    """The content of the file; a contract."""

    region: str
    endpoint_url: str
    api_url: str
    database_url: str
    state_machine_arn: str
    user_pool_id: str
    user_pool_client_id: str
    queues: dict[str, QueueUrls]
    users: dict[str, User]
    console_url: str


def describe(settings: Settings, outputs: dict[str, str], users: dict[str, User], database_url: str) -> Stack:
    """The stack from the outputs of its deploy."""
    return Stack(
        region=outputs["Region"],
        endpoint_url=settings.endpoint_url,
        api_url=f"{settings.endpoint_url}/_aws/execute-api/{outputs['ApiId']}",
        database_url=database_url,
        state_machine_arn=outputs["StateMachineArn"],
        user_pool_id=outputs["UserPoolId"],
        user_pool_client_id=outputs["UserPoolClientId"],
        queues={name: _queue(outputs, name) for name in Queue},
        users=users,
        # Emulators have no console; this page tells which services run.
        console_url=f"{settings.endpoint_url}/_localstack/health",
    )


def read(settings: Settings) -> Stack | None:
    """The stack that was written last, if there is one."""
    content = read_json(settings.stack_file)
    return cast(Stack, content) if content else None


def write(settings: Settings, stack: Stack) -> None:
    write_json(settings.stack_file, stack)


def read_json(path: Path) -> Any:
    """The file's content; None if there is no such file."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None


def write_json(path: Path, content: Any) -> None:
    """Writes the file whole or not at all, for its owner's eyes only."""
    unfinished = path.with_suffix(f".{os.getpid()}")
    unfinished.touch(_OWNER_ONLY)
    unfinished.write_text(json.dumps(content, indent=2) + "\n")
    unfinished.replace(path)


def _queue(outputs: dict[str, str], name: str) -> QueueUrls:
    prefix = "".join(word.capitalize() for word in name.split("-"))
    return QueueUrls(url=outputs[f"{prefix}QueueUrl"], dlq_url=outputs[f"{prefix}DlqUrl"])
