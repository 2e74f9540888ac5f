"""The message move tasks of SQS, which MiniStack lacks: a dead-letter queue is redriven by SQS itself.

The API is that of AWS (Amazon SQS API Reference, StartMessageMoveTask, ListMessageMoveTasks, CancelMessageMoveTask) for
standard queues.
"""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

Request = dict[str, Any]
Response = dict[str, Any]
Queue = dict[str, Any]
"""As MiniStack keeps it."""

MAX_LISTED: Final = 10
"""Tasks of one queue that are remembered."""


@dataclass
class _Task:
    """One task. Fields that are None are left out of the list, as on AWS."""

    handle: str
    source_arn: str
    destination_arn: str | None
    per_second: int | None
    to_move: int
    started_ms: int
    status: str = "RUNNING"
    moved: int = 0
    failure: str | None = None
    runner: "asyncio.Task[None] | None" = None
    """Kept here because asyncio itself does not keep what it runs."""

    def described(self) -> Response:
        fields = {
            "TaskHandle": self.handle if self.status == "RUNNING" else None,
            "Status": self.status,
            "SourceArn": self.source_arn,
            "DestinationArn": self.destination_arn,
            "MaxNumberOfMessagesPerSecond": self.per_second,
            "ApproximateNumberOfMessagesMoved": self.moved,
            "ApproximateNumberOfMessagesToMove": self.to_move,
            "FailureReason": self.failure,
            "StartedTimestamp": self.started_ms,
        }
        return {name: value for name, value in fields.items() if value is not None}


class MessageMoves:
    """The tasks of one emulator, newest first for each queue. `sqs` is MiniStack's module."""

    def __init__(self, sqs: Any) -> None:
        self._sqs = sqs
        self._tasks: dict[str, list[_Task]] = {}

    def handlers(self) -> dict[str, Callable[[Request, str], Response]]:
        """By action, as MiniStack registers them."""
        return {
            "StartMessageMoveTask": self._start,
            "ListMessageMoveTasks": self._list,
            "CancelMessageMoveTask": self._cancel,
        }

    def _start(self, request: Request, _: str) -> Response:
        source_arn, destination_arn = request["SourceArn"], request.get("DestinationArn")
        source = self._queue(source_arn)
        if destination_arn is not None:
            self._queue(destination_arn)
        if not self._is_dead_letter_queue(source_arn):
            raise self._sqs._Err("UnsupportedOperation", "The source queue is no dead-letter queue.")
        tasks = self._tasks.setdefault(source_arn, [])
        if any(task.status == "RUNNING" for task in tasks):
            raise self._sqs._Err("UnsupportedOperation", "There is already a task running for the queue.")
        self._sqs._refresh_counts(source)
        task = _Task(
            handle=str(uuid4()),
            source_arn=source_arn,
            destination_arn=destination_arn,
            per_second=request.get("MaxNumberOfMessagesPerSecond"),
            to_move=int(source["attributes"]["ApproximateNumberOfMessages"]),
            started_ms=int(1000 * time.time()),
        )
        task.runner = asyncio.get_running_loop().create_task(self._run(task, source))
        tasks.insert(0, task)
        del tasks[MAX_LISTED:]
        return {"TaskHandle": task.handle}

    def _list(self, request: Request, _: str) -> Response:
        self._queue(request["SourceArn"])
        newest = self._tasks.get(request["SourceArn"], [])[: request.get("MaxResults", 1)]
        return {"Results": [task.described() for task in newest]}

    def _cancel(self, request: Request, _: str) -> Response:
        for tasks in self._tasks.values():
            for task in tasks:
                if task.handle == request["TaskHandle"]:
                    if task.status != "RUNNING":
                        raise self._sqs._Err("UnsupportedOperation", f"The task is {task.status}.")
                    task.status = "CANCELLED"
                    return {"ApproximateNumberOfMessagesMoved": task.moved}
        raise self._sqs._Err("ResourceNotFoundException", "There is no such task.", 404)

    async def _run(self, task: _Task, source: Queue) -> None:
        """Moves what was visible at the start. What comes back meanwhile is left for another task."""
        pause = 1 / task.per_second if task.per_second else 0
        try:
            while task.moved < task.to_move and self._move_one(task, source):
                task.moved += 1
                await asyncio.sleep(pause)
                if task.status != "RUNNING":
                    return
        except self._sqs._Err as error:
            task.status = "FAILED"
            task.failure = self._sqs._QUERY_COMPAT_CODES.get(error.code, error.code)
        else:
            task.status = "COMPLETED"

    def _move_one(self, task: _Task, source: Queue) -> bool:
        """False: no message is visible. A moved message is a new one, which was never received."""
        # A thread of the emulator hands messages to functions meanwhile.
        with self._sqs._queues_lock:
            now = time.time()
            message = next((each for each in source["messages"] if each["visible_at"] <= now), None)
            if message is None:
                return False
            arn = task.destination_arn or message["sys"].get("DeadLetterQueueSourceArn")
            if arn is None:
                raise self._sqs._Err("CouldNotDetermineMessageSource", "It was not moved here by SQS.")
            destination = self._sqs._queue_by_arn(arn)
            if destination is None:
                raise self._sqs._Err("QueueDoesNotExist", "The queue was deleted.")
            request = {
                "QueueUrl": destination["url"],
                "MessageBody": message["body"],
                "MessageAttributes": message["message_attributes"],
            }
            self._sqs._act_send_message(request, request["QueueUrl"])
            source["messages"] = [each for each in source["messages"] if each is not message]
        return True

    def _queue(self, arn: str) -> Queue:
        queue: Queue | None = self._sqs._queue_by_arn(arn)
        if queue is None:
            raise self._sqs._Err("ResourceNotFoundException", f"There is no queue {arn}.", 404)
        return queue

    def _is_dead_letter_queue(self, arn: str) -> bool:
        policies = (queue["attributes"].get("RedrivePolicy") for _, queue in self._sqs._queues.all_items())
        return any(json.loads(policy)["deadLetterTargetArn"] == arn for policy in policies if policy)
