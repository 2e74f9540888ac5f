"""What is not ours: the payment gateway, SQS, Step Functions, and who sends mails and texts. Each call is a gate."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any, Final, ParamSpec, TypeVar
from uuid import UUID, uuid4

from botocore.exceptions import ReadTimeoutError

from functions.notify import rendering, sending
from functions.outbox_relay.messages import Batch
from functions.outbox_relay.outcomes import EventRefused, Outcome, Published, Undelivered
from orders.errors import PaymentGatewayTimeout
from orders.events import Queue, Trace
from orders.executions import Executions, ExecutionStatus, Subject
from orders.payments.gateway import Charge, GatewayDispute, GatewayPayment, GatewayRefund, PaymentGateway
from tests.integration.model.processes import LOSE_ANSWER, Invocation
from tests.support.asl import TaskTokens

T = TypeVar("T")
P = ParamSpec("P")


class OutsideGateway:
    """A gateway with a database of its own: what it has done stays done, whatever becomes of us."""

    def __init__(self, gateway: PaymentGateway) -> None:
        self._gateway = gateway

    def capture(self, key: str, charge: Charge) -> GatewayPayment:
        return self._call(lambda: self._gateway.capture(key, charge))

    def find(self, key: str) -> GatewayPayment | None:
        return self._call(lambda: self._gateway.find(key))

    def void(self, key: str, charge: Charge) -> GatewayPayment:
        return self._call(lambda: self._gateway.void(key, charge))

    def refund(self, key: str) -> GatewayPayment:
        return self._call(lambda: self._gateway.refund(key))

    def refund_part(self, key: str, refund_key: str, amount: int) -> GatewayPayment:
        return self._call(lambda: self._gateway.refund_part(key, refund_key, amount))

    def find_refunds(self, key: str) -> Sequence[GatewayRefund]:
        return self._call(lambda: self._gateway.find_refunds(key))

    def find_disputes(self, key: str) -> Sequence[GatewayDispute]:
        return self._call(lambda: self._gateway.find_disputes(key))

    def _call(self, call: Callable[[], T]) -> T:
        answer = call()
        if Invocation.current_one().gate() == LOSE_ANSWER:
            raise PaymentGatewayTimeout("the answer was lost")
        return answer


@dataclass
class Message:
    """One event in a queue. A queue may deliver it at any time, and again."""

    queue: Queue
    body: str
    deliveries: int = 0
    is_done: bool = False
    """A consumer has succeeded, and the queue has deleted it: as far as one can rely on that."""


class Delivery:
    """What becomes of a message that the relay sends."""

    SENT: Final = "sent"
    SENT_TWICE: Final = "sent twice"
    ANSWER_LOST: Final = "sent, but nobody knows"
    UNDELIVERED: Final = "undelivered"
    REFUSED: Final = "refused"


@dataclass
class Queues:
    """SQS: it remembers what was sent, and forgets nothing."""

    messages: list[Message] = field(default_factory=list)
    sent: set[UUID] = field(default_factory=set)
    """Ids of events that SQS has confirmed or could have."""

    def publisher(self, deliveries: Iterable[str]) -> "Publisher":
        return Publisher(self, cycle(deliveries))


@dataclass
class Publisher:
    """The relay's way to SQS for one run."""

    queues: Queues
    deliveries: Iterator[str]

    def send(self, batch: Batch) -> list[Outcome]:
        outcomes = [self._send(batch, message) for message in batch.messages]
        if Invocation.current_one().gate() == LOSE_ANSWER:
            return [Undelivered(message.event, "ReadTimeoutError") for message in batch.messages]
        return outcomes

    def _send(self, batch: Batch, message: Any) -> Outcome:
        delivery = next(self.deliveries)
        if delivery == Delivery.UNDELIVERED:
            return Undelivered(message.event, "ServiceUnavailable")
        if delivery == Delivery.REFUSED:
            return EventRefused(message.event, "InvalidMessageContents")
        for _ in range(2 if delivery == Delivery.SENT_TWICE else 1):
            self.queues.messages.append(Message(batch.queue, message.body))
        self.queues.sent.add(message.event.id)
        if delivery == Delivery.ANSWER_LOST:
            return Undelivered(message.event, "ReadTimeoutError")
        return Published(message.event)


class InTurn(Executor):
    """Does everything at once, in the thread that asks for it."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


class ShortTime:
    """A clock on which any pause takes a run of the relay to its end."""

    def __init__(self) -> None:
        self._now = 0.0

    def monotonic(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += max(seconds, 1.0)


class Notice:
    """What becomes of a mail or a text message."""

    SENT: Final = "sent"
    ANSWER_LOST: Final = "sent, but nobody knows"
    NOT_SENT: Final = "not sent"
    REFUSED: Final = "refused"


@dataclass
class Provider:
    """Who sends one notification."""

    name: str
    """Of the notification: order, type and channel."""
    received: list[str]
    """By their names, those that customers got."""
    becomes: str

    def send(self, message: rendering.RenderedMessage) -> str:
        if self.becomes == Notice.NOT_SENT:
            raise sending.NotSent("Throttling")
        if self.becomes == Notice.REFUSED:
            raise sending.NotificationRefused("MessageRejected")
        self.received.append(self.name)
        if Invocation.current_one().gate() == LOSE_ANSWER or self.becomes == Notice.ANSWER_LOST:
            raise ConnectionResetError("the answer was lost")
        return str(uuid4())


class StepFunctions(Executions):
    """Step Functions as the functions know it. `launch` begins an execution, `status_of` tells of one by its name."""

    def __init__(
        self,
        launch: Callable[[UUID, str], None],
        statuses: Callable[[], dict[str, ExecutionStatus]],
        live: Callable[[], set[UUID]],
        subject: Subject = Subject.ORDER,
    ) -> None:
        self._subject = subject
        self._launch = launch
        self._statuses = statuses
        self._live = live

    def start(self, subject_id: UUID, trace: Trace, resumes: int = 0) -> bool:
        name = self.name(subject_id, resumes)
        status = self._statuses().get(name)
        if status is None:
            self._launch(subject_id, name)
        _answer()
        # With the same input a running one is answered as if it had just been started.
        return status is None or status.is_live

    def status(self, subject_id: UUID, resumes: int = 0) -> ExecutionStatus:
        status = self._statuses().get(self.name(subject_id, resumes), ExecutionStatus.GONE)
        _answer()
        return status

    def live(self, may_go_on: Callable[[], bool]) -> set[UUID]:
        live = self._live()
        _answer()
        return live


class OutsideTokens(TaskTokens):
    """Step Functions as those know it who wake an execution."""

    def send_task_success(self, *, taskToken: str, output: str) -> None:  # noqa: N803
        super().send_task_success(taskToken=taskToken, output=output)
        _answer()


def _answer() -> None:
    if Invocation.current_one().gate() == LOSE_ANSWER:
        raise ReadTimeoutError(endpoint_url="states")
