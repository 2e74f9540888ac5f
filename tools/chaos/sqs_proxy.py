"""An endpoint between the relay and SQS, which can fail a part of a batch, and remembers what was sent."""

import asyncio
import contextlib
import http.client
import json
import math
from collections import defaultdict, deque
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from tools.aws_server import AwsServer, Headers, Response
from tools.cloud.settings import STAGE

_BATCH: Final = "AmazonSQS.SendMessageBatch"
_REMEMBERED: Final = 20
_TIMEOUT_SECONDS: Final = 30
# What AWS answers for an entry that it failed to store: nobody's fault but its own.
_FAILURE: Final = {"Code": "InternalError", "Message": "Injected", "SenderFault": False}
_NOT_PASSED_ON: Final = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "date", "server"}
)

Struck = Callable[[str], None]
"""Is told what was hit."""


class SqsProxy(AwsServer):
    """Passes every request on, unless it is told otherwise."""

    def __init__(self, endpoint_url: str) -> None:
        self._endpoint = urlsplit(endpoint_url)
        self._armed: deque[tuple[int, Struck]] = deque()
        self._sent: defaultdict[str, deque[str]] = defaultdict(lambda: deque(maxlen=_REMEMBERED))

    def fail_part(self, percent: int, struck: Struck) -> None:
        """Of the next batch of several messages so many are not stored: one at least, and never all."""
        self._armed.append((percent, struck))

    def disarm(self) -> None:
        self._armed.clear()

    @property
    def armed(self) -> int:
        """How many batches are still to fail in part."""
        return len(self._armed)

    def last_sent(self, queue: str) -> str | None:
        """The body of the message that went to the queue last."""
        sent = self._sent[queue]
        return sent[-1] if sent else None

    async def respond(self, path: str, headers: Headers, body: bytes) -> Response:
        if headers.get("x-amz-target") != _BATCH:
            return await asyncio.to_thread(self._forward, path, headers, body)
        batch = json.loads(body)
        failed = self._take_part(batch)
        status, answered, content = await asyncio.to_thread(
            self._forward, path, headers, json.dumps(batch).encode()
        )
        if status == HTTPStatus.OK:
            self._sent[_queue_of(batch)].extend(entry["MessageBody"] for entry in batch["Entries"])
            if failed:
                answer = json.loads(content)
                answer["Failed"] = [*answer.get("Failed", []), *({"Id": name, **_FAILURE} for name in failed)]
                content = json.dumps(answer).encode()
        return status, answered, content

    def _take_part(self, batch: dict[str, Any]) -> list[str]:
        """Takes the entries that are to fail out of the batch; returns their ids."""
        entries = batch["Entries"]
        if len(entries) < 2:
            return []
        try:
            percent, struck = self._armed.popleft()
        except IndexError:
            return []
        number = min(max(1, math.floor(len(entries) * percent / 100)), len(entries) - 1)
        batch["Entries"] = entries[number:]
        struck(f"{number} of {len(entries)} to {_queue_of(batch)}")
        return [entry["Id"] for entry in entries[:number]]

    def _forward(self, path: str, headers: Headers, body: bytes) -> Response:
        """Raises OSError when SQS is not there, or hangs up."""
        assert self._endpoint.hostname is not None, "it is a URL of this machine"
        connection = http.client.HTTPConnection(
            self._endpoint.hostname, self._endpoint.port, timeout=_TIMEOUT_SECONDS
        )
        with contextlib.closing(connection):
            try:
                connection.request("POST", path, body, _passed_on(headers))
                response = connection.getresponse()
                return response.status, _passed_on(dict(response.getheaders())), response.read()
            except http.client.HTTPException as error:
                raise ConnectionError from error


def _queue_of(batch: dict[str, Any]) -> str:
    return str(batch["QueueUrl"]).rsplit("/", 1)[-1].removeprefix(f"orders-{STAGE}-")


def _passed_on(headers: Headers) -> Headers:
    return {name: value for name, value in headers.items() if name.lower() not in _NOT_PASSED_ON}
