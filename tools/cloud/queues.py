"""How much a queue holds."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_WAITING: Final = "ApproximateNumberOfMessages"
_IN_FLIGHT: Final = "ApproximateNumberOfMessagesNotVisible"


@dataclass(frozen=True)
class Depth:
    """Messages in a queue."""

    waiting: int
    in_flight: int

    @property
    def total(self) -> int:
        return self.waiting + self.in_flight


def depth(client: "SQSClient", url: str) -> Depth:
    """The messages in the queue, as SQS counts them."""
    found = client.get_queue_attributes(QueueUrl=url, AttributeNames=[_WAITING, _IN_FLIGHT])["Attributes"]
    return Depth(int(found[_WAITING]), int(found[_IN_FLIGHT]))
