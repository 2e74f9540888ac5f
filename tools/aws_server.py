"""Small HTTP servers that speak AWS's JSON protocol, for callers that are AWS's own SDK.

`SqsServer` does as much as `SendMessageBatch` and Secrets Manager's `GetSecretValue` need. It responds after a delay
of its choosing, remembers what it accepted, and can be told to refuse: whole calls, single entries, or everything. Run
as a module it prints its URL and serves until its input ends: a benchmark must not share its interpreter with what it
measures.
"""

import abc
import asyncio
import contextlib
import json
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Self

Headers = dict[str, str]
Response = tuple[int, Headers, bytes]
"""Status, headers and body."""


class AwsServer(abc.ABC):
    """A server on a port of its own, which handles the requests of a connection one after the other."""

    url: str = ""

    @abc.abstractmethod
    async def respond(self, path: str, headers: Headers, body: bytes) -> Response:
        """The response to a POST; the names of headers are in lower case.

        Raises:
            OSError: the connection ends without a response.
        """

    @contextlib.contextmanager
    def serving(self) -> Iterator[Self]:
        """Serves from a thread of this process, until the block ends."""
        started = threading.Event()
        loop = asyncio.new_event_loop()

        def serve() -> None:
            asyncio.set_event_loop(loop)
            listener = loop.run_until_complete(self.listen())
            started.set()
            loop.run_forever()
            listener.close()
            pending = asyncio.all_tasks(loop)
            for task in pending:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
            loop.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        assert started.wait(timeout=10)
        try:
            yield self
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()

    async def listen(self) -> asyncio.Server:
        listener = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        return listener

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Also a caller that was killed in the middle of its request.
        closed = (asyncio.IncompleteReadError, asyncio.CancelledError, OSError)
        with contextlib.suppress(*closed), contextlib.closing(writer):
            while True:
                request, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                fields = (line.partition(": ") for line in lines if line)
                headers = {name.lower(): value for name, _, value in fields}
                body = await reader.readexactly(int(headers["content-length"]))
                status, answered, content = await self.respond(request.split()[1], headers, body)
                answered = {**answered, "Content-Length": str(len(content))}
                head = "".join(f"{name}: {value}\r\n" for name, value in answered.items())
                writer.write(f"HTTP/1.1 {status} -\r\n{head}\r\n".encode() + content)
                await writer.drain()


Entry = dict[str, Any]


@dataclass(frozen=True)
class CallRefused:
    """A response that is an error for the whole call."""

    code: str
    status: int = 400


@dataclass(frozen=True)
class EntryRefused:
    """A response that is an error for one entry."""

    code: str
    sender_fault: bool


Refusals = Callable[[list[Entry]], CallRefused | dict[str, EntryRefused]]


def accept_everything(entries: list[Entry]) -> dict[str, EntryRefused]:
    return {}


@dataclass
class SqsServer(AwsServer):
    """What the server does, and what it has seen."""

    delay_seconds: float = 0.0
    refusals: Refusals = accept_everything
    accepted: list[tuple[str, Entry]] = field(default_factory=list)
    """Queue URL and entry, in order of acceptance."""
    calls: int = 0
    most_at_once: int = 0
    _at_once: int = 0

    def queue_url(self, name: str) -> str:
        return f"{self.url}/000000000000/{name}"

    @property
    def accepted_ids(self) -> list[str]:
        return [entry["Id"] for _, entry in self.accepted]

    async def respond(self, path: str, headers: Headers, body: bytes) -> Response:
        request = json.loads(body)
        if headers["x-amz-target"] == "secretsmanager.GetSecretValue":
            # A secret is its own id: whoever names its content is given it.
            status, content = 200, {"Name": "database", "SecretString": request["SecretId"]}
        else:
            status, content = await self._send_batch(request)
        return status, {"Content-Type": "application/x-amz-json-1.0"}, json.dumps(content).encode()

    async def _send_batch(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.calls += 1
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            if self.delay_seconds:
                await asyncio.sleep(self.delay_seconds)
            entries: list[Entry] = body["Entries"]
            refused = self.refusals(entries)
            if isinstance(refused, CallRefused):
                return refused.status, {"__type": f"com.amazonaws.sqs#{refused.code}", "message": "refused"}
            taken = [entry for entry in entries if entry["Id"] not in refused]
            self.accepted += [(body["QueueUrl"], entry) for entry in taken]
            return 200, {
                "Successful": [
                    {"Id": entry["Id"], "MessageId": entry["Id"], "MD5OfMessageBody": ""} for entry in taken
                ],
                "Failed": [
                    {"Id": entry_id, "Code": why.code, "SenderFault": why.sender_fault}
                    for entry_id, why in refused.items()
                ],
            }
        finally:
            self._at_once -= 1


async def _main(delay_seconds: float) -> None:
    server = SqsServer(delay_seconds)
    async with await server.listen():
        print(server.url, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_main(float(sys.argv[1])))
