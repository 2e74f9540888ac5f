"""A small HTTP server that speaks as much of SQS's JSON protocol as `SendMessageBatch` needs.

It responds after a delay of its choosing, remembers what it accepted, and can be told to refuse: whole calls, single
entries, or everything. Run as a module it prints its URL and serves until its input ends: a benchmark must not share
its interpreter with what it measures.
"""

import asyncio
import contextlib
import json
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Self

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
class SqsServer:
    """What the server does, and what it has seen."""

    delay_seconds: float = 0.0
    refusals: Refusals = accept_everything
    accepted: list[tuple[str, Entry]] = field(default_factory=list)
    """Queue URL and entry, in order of acceptance."""
    calls: int = 0
    most_at_once: int = 0
    url: str = ""
    _at_once: int = 0

    @classmethod
    @contextlib.contextmanager
    def running(cls, delay_seconds: float = 0.0, refusals: Refusals = accept_everything) -> Iterator[Self]:
        """A server in a thread of this process."""
        server = cls(delay_seconds, refusals)
        started = threading.Event()
        loop = asyncio.new_event_loop()

        def serve() -> None:
            asyncio.set_event_loop(loop)
            listener = loop.run_until_complete(server.listen())
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
            yield server
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()

    async def listen(self) -> asyncio.Server:
        listener = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        return listener

    def queue_url(self, name: str) -> str:
        return f"{self.url}/000000000000/{name}"

    @property
    def accepted_ids(self) -> list[str]:
        return [entry["Id"] for _, entry in self.accepted]

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        closed = (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError)
        with contextlib.suppress(*closed), contextlib.closing(writer):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                (length,) = (
                    line.split(":")[1] for line in head.splitlines() if line.startswith("content-length:")
                )
                body = json.loads(await reader.readexactly(int(length)))
                status, answer = await self._respond(body)
                content = json.dumps(answer).encode()
                writer.write(
                    f"HTTP/1.1 {status} -\r\nContent-Type: application/x-amz-json-1.0\r\n"
                    f"Content-Length: {len(content)}\r\n\r\n".encode()
                    + content
                )
                await writer.drain()

    async def _respond(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
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
