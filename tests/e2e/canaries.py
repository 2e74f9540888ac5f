"""Canaries: data that nobody else has, given to the system on every path, and looked for wherever it writes."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import Engine, text

from tests.support.named_tests import ROOT
from tools.audit import dead_letters
from tools.cloud import aws
from tools.cloud.settings import Settings
from tools.cloud.stack import Stack

EMAIL: Final = "e-mail address"
TELEPHONE: Final = "telephone"
PAYMENT_METHOD: Final = "payment method"
CLIENT_SECRET: Final = "client secret"
CREDENTIAL: Final = "token or password"

Place = tuple[str, str]
"""Where something was found, and what kind of thing."""

DEAD_LETTERS: Final = "dead-letter queues"
_ROW: Final = re.compile(r"^\| (column `[a-z_.]+`|dead-letter queues) \| ([^|]+) \|[^|]+\|$", re.MULTILINE)


def listed() -> set[Place]:
    """The places where docs/security.md says that it may be."""
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    return {
        (place.replace("`", ""), kind.strip())
        for place, kinds in _ROW.findall(page)
        for kind in kinds.split(",")
    }


@dataclass(frozen=True)
class Canaries:
    """Words by the kind of thing that they are. None of them is in anything else that is written."""

    mark: str = field(default_factory=lambda: f"canary{uuid4().hex}")
    words: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.words[EMAIL] = [self.mark]
        self.words[TELEPHONE] = [f"6{uuid4().int % 10**8:08}"]
        self.words[PAYMENT_METHOD] = ["pm_card_", f"pm_{self.mark[:20]}"]
        self.words[CLIENT_SECRET] = [f"pi_secret_{uuid4().hex}"]
        self.words[CREDENTIAL] = [f"Wr0ng!{uuid4().hex}"]

    @property
    def email(self) -> str:
        return f"{self.mark}@example.com"

    @property
    def phone(self) -> str:
        return f"+34{self.words[TELEPHONE][0]}"

    @property
    def payment_method(self) -> str:
        """One that does not exist."""
        return self.words[PAYMENT_METHOD][1]

    @property
    def client_secret(self) -> str:
        return self.words[CLIENT_SECRET][0]

    @property
    def password(self) -> str:
        """A wrong one."""
        return self.words[CREDENTIAL][0]

    @property
    def everything(self) -> dict[str, str]:
        """One of each, and names as telling as values."""
        return {
            "email": self.email,
            "phone": self.phone,
            "paymentMethod": self.payment_method,
            "clientSecret": self.client_secret,
            "token": self.words[CREDENTIAL][-1],
            self.email: self.phone,
        }

    def found(self, written: Iterable[tuple[str, str]]) -> set[Place]:
        """What of them is in texts, each with the place where it was written."""
        return {
            (place, kind)
            for place, said in written
            for kind, words in self.words.items()
            if any(word in said for word in words)
        }


def logs(settings: Settings, since: float) -> Iterator[tuple[str, str]]:
    """Every line of every log group since then (Unix time), metrics among them, and of Postgres."""
    client = aws.logs(settings)
    for groups in client.get_paginator("describe_log_groups").paginate():
        for group in groups["logGroups"]:
            pages = client.get_paginator("filter_log_events").paginate(
                logGroupName=group["logGroupName"], startTime=int(1000 * since)
            )
            for page in pages:
                for event in page["events"]:
                    yield f"log {group['logGroupName']}", event["message"]
    yield "log of Postgres", (settings.logs / "postgres.log").read_text(errors="replace")


def executions(settings: Settings, since: float) -> Iterator[tuple[str, str]]:
    """What Step Functions keeps of each execution since then: input, output, and its history with all data."""
    client = aws.sagas(settings)
    for machine in client.list_state_machines()["stateMachines"]:
        pages = client.get_paginator("list_executions").paginate(stateMachineArn=machine["stateMachineArn"])
        started = (
            one for page in pages for one in page["executions"] if one["startDate"].timestamp() >= since
        )
        for execution in started:
            arn = execution["executionArn"]
            yield f"execution of {machine['name']}", str(client.describe_execution(executionArn=arn))
            for history in client.get_paginator("get_execution_history").paginate(
                executionArn=arn, includeExecutionData=True
            ):
                yield f"history of {machine['name']}", str(history["events"])


def columns(engine: Engine, words: Mapping[str, list[str]]) -> Iterator[tuple[str, str]]:
    """Every value of the database that holds one of the words, by its column. Messages are made of `outbox` alone."""
    patterns = [f"%{word}%" for kind in words.values() for word in kind]
    with engine.connect() as connection:
        tables = connection.execute(
            text(
                "SELECT table_schema, table_name FROM information_schema.tables "
                "WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')"
            )
        ).all()
        for schema, table in tables:
            name = table if schema == "public" else f"{schema}.{table}"
            held = connection.execute(
                text(
                    f"SELECT DISTINCT held.key, held.value FROM {schema}.{table} AS one, "
                    "jsonb_each_text(to_jsonb(one)) AS held WHERE held.value LIKE ANY (CAST(:patterns AS text[]))"
                ),
                {"patterns": patterns},
            )
            for column, value in held:
                yield f"column {name}.{column}", value


def given_up(settings: Settings, stack: Stack) -> Iterator[tuple[str, str]]:
    """The messages in the dead-letter queues."""
    for letter in dead_letters.read(aws.queues(settings), stack):
        yield DEAD_LETTERS, letter.body


def waiting(settings: Settings, stack: Stack) -> Iterator[tuple[str, Any]]:
    """Nothing waits in a queue for long: a message that does is looked at, and stays."""
    sqs = aws.queues(settings)
    for name, queue in stack["queues"].items():
        received = sqs.receive_message(
            QueueUrl=queue["url"],
            MaxNumberOfMessages=10,
            VisibilityTimeout=0,
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        for message in received.get("Messages", []):
            yield f"queue {name}", str(message)
