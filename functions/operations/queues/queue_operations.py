"""What operators do with dead letters: look, redrive, discard."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from pydantic import Field

from functions.operations.queues.dead_letters import DeadLetter, DeadLetters, MayGoOn, QueueDepth
from functions.operations.queues.explanation import DeadMessage, explain, is_done
from functions.operations.queues.message_ages import MessageAges
from orders import operator_actions
from orders.db import Database
from orders.errors import MessageNotFound, NothingToRedrive, QueueNotFound
from orders.events import Queue
from orders.http import ApiModel, ApiRequest
from orders.operator_actions import Action, Note, Operator


class QueueState(ApiModel):
    name: Queue
    queue: QueueDepth
    dlq: QueueDepth
    oldest_message_age_seconds: int | None = Field(
        description="Of the queue's oldest message, as CloudWatch had it some minutes ago; null: it has no figure"
    )


class QueueList(ApiModel):
    items: list[QueueState]
    next_cursor: None = None


class DeadMessageList(ApiModel):
    """Some of the messages, in no order: SQS knows none."""

    items: list[DeadMessage]
    next_cursor: None = None


class Redrive(ApiRequest):
    """One message, or all of them."""

    message_id: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    note: Note | None = None


class RedriveResult(ApiModel):
    queue: Queue
    moved: int | None = Field(description="null: SQS has begun to move them by itself")
    failed: int = Field(description="Messages that could not be sent, and are where they were")
    more: bool = Field(description="There was no time for all of them: ask again")


class Discarded(ApiModel):
    queue: Queue
    message_id: str


def parse_queue(name: str) -> Queue:
    """The queue of a name as it stands in an address.

    Raises:
        QueueNotFound: there is none.
    """
    try:
        return Queue(name)
    except ValueError:
        raise QueueNotFound(f"There is no such queue. There are: {', '.join(Queue)}") from None


@dataclass(frozen=True)
class QueueOperations:
    """Each raises ServiceUnavailable or DatabaseUnavailable when it may be tried again."""

    database: Database
    dead_letters: DeadLetters
    ages: MessageAges
    may_go_on: MayGoOn

    def list_queues(self) -> QueueList:
        """Every queue and its dead-letter queue, with their messages counted."""
        ages = self.ages.read()
        return QueueList(
            items=[
                QueueState(name=queue, queue=depth, dlq=dead, oldest_message_age_seconds=ages.get(queue))
                for queue, (depth, dead) in self.dead_letters.depths().items()
            ]
        )

    def list_messages(self, queue: Queue, limit: int) -> DeadMessageList:
        """Up to `limit` dead letters, explained. They stay where they are."""
        letters = self.dead_letters.peek(queue, limit, self.may_go_on)
        return DeadMessageList(items=explain(self.database, queue, letters))

    def redrive_all(self, operator: Operator, queue: Queue) -> RedriveResult:
        """Begins to send every message back to its queue. What has taken effect already does so no second time.

        Raises:
            NothingToRedrive: SQS is moving them already.
        """
        self._record(operator, Action.QUEUE_REDRIVEN, queue)
        self.dead_letters.begin_move(queue)
        return RedriveResult(queue=queue, moved=None, failed=0, more=False)

    def redrive(self, operator: Operator, queue: Queue, message_id: str) -> RedriveResult:
        """Sends one message back to its queue.

        Raises:
            MessageNotFound: it is not there, as far as was looked.
            NothingToRedrive: its event has taken effect already, or its order does not exist.
        """
        with self.dead_letters.in_hand(queue, message_id, self.may_go_on) as letter:
            letter, explained = self._found(queue, letter)
            if is_done(explained):
                raise NothingToRedrive(explained.explanation)
            self._record(operator, Action.MESSAGE_REDRIVEN, queue, explained)
            self.dead_letters.send_back(queue, letter)
        return RedriveResult(queue=queue, moved=1, failed=0, more=False)

    def discard(self, operator: Operator, queue: Queue, message_id: str) -> Discarded:
        """Deletes one message for good. The book keeps what it was.

        Raises:
            MessageNotFound: it is not there, as far as was looked.
        """
        with self.dead_letters.in_hand(queue, message_id, self.may_go_on) as letter:
            letter, explained = self._found(queue, letter)
            self._record(operator, Action.MESSAGE_DISCARDED, queue, explained)
            self.dead_letters.delete(queue, letter)
        return Discarded(queue=queue, message_id=message_id)

    def _found(self, queue: Queue, letter: DeadLetter | None) -> tuple[DeadLetter, DeadMessage]:
        if letter is None:
            raise MessageNotFound("The message is not in the dead-letter queue, or in somebody else's hands")
        (explained,) = explain(self.database, queue, [letter])
        return letter, explained

    def _record(
        self, operator: Operator, action: Action, queue: Queue, message: DeadMessage | None = None
    ) -> None:
        target = f"{queue}/{message.message_id}" if message else str(queue)
        order_id: UUID | None = message.order_id if message else None
        detail = (
            f"cause={message.cause} type={message.event_type} event={message.event_id}" if message else ""
        )
        self.database.transact(
            lambda connection: operator_actions.record(
                connection, operator, action, target, order_id=order_id, detail=detail
            )
        )
        operator_actions.report(operator, action, target)
