"""All five consumers on one database, with fakes for what lies outside."""

import importlib
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest

from functions.start_saga.start_saga import StateMachines
from orders.confirmation_codes import ConfirmationCodes
from orders.db import Database
from orders.events import CloudEvent, EventData, Queue
from orders.executions import Executions, Subject
from payment_simulator.gateway import SimulatedGateway
from tests.integration.deliver_webhooks.webhook_setup import WebhookSetup
from tests.integration.notify.fake_sender import FakeSender, permission
from tests.integration.start_saga.test_messages import ARN, FakeStepFunctions
from tests.support.api import lambda_context
from tests.support.consumers import FakeDeadLetterQueue, batch, cloud_event, failed, published
from tests.support.factories import add_order, execute, rows
from tests.support.payments import BEHAVIOUR
from tests.support.webhooks import add_endpoint

_ENVIRONMENT = {
    "SENDER_EMAIL": "orders@example.com",
    "MAIL_CONFIGURATION_SET": "orders-test-mails",
    "SMS_SENDER_ID": "",
    "SMS_ORIGINATION_NUMBER": "",
    "MESSAGE_LIMITS": "{}",
    "USER_POOL_ID": "pool",
    "CODE_KEY_ID": "key",
    "WEBHOOK_KEY_ID": "key",
    "WEBHOOK_RETRY_SECONDS": "[1, 2]",
}
_TABLES = (
    "orders",
    "payments",
    "reservations",
    "stock",
    "stock_alerts",
    "notifications",
    "webhook_deliveries",
    "recipients",
    "outbox",
    "inbox",
    "repairs",
    "gateway.entries",
)


@dataclass
class Consumers:
    """The functions behind the queues, and all that could come of a message."""

    database: Database
    dead_letters: FakeDeadLetterQueue
    webhooks: WebhookSetup
    mails: FakeSender = field(default_factory=FakeSender)
    step_functions: FakeStepFunctions = field(default_factory=FakeStepFunctions)
    handlers: dict[Queue, Any] = field(default_factory=dict)

    @classmethod
    def installed(
        cls, database: Database, dead_letters: FakeDeadLetterQueue, monkeypatch: pytest.MonkeyPatch
    ) -> "Consumers":
        for name, value in _ENVIRONMENT.items():
            monkeypatch.setenv(name, value)
        consumers = cls(database, dead_letters, WebhookSetup(database))
        machines = StateMachines(
            Executions(consumers.step_functions, ARN),  # type: ignore[arg-type]
            Executions(consumers.step_functions, ARN, Subject.REFUND),  # type: ignore[arg-type]
        )
        functions: tuple[tuple[Queue, str, dict[str, Any]], ...] = (
            (Queue.ORDER_PROCESSING, "start_saga", {"state_machines": lambda: machines}),
            (Queue.PAYMENT_PROCESSING, "payment_events", {"gateway": SimulatedGateway(database, BEHAVIOUR)}),
            (Queue.INVENTORY_MANAGEMENT, "inventory_events", {}),
            (
                Queue.NOTIFICATION_SENDING,
                "notify",
                {
                    "sender": lambda channel: consumers.mails,
                    "permission": permission,
                    "codes": ConfirmationCodes(lambda: "key"),
                },
            ),
            (Queue.WEBHOOK_DELIVERY, "deliver_webhooks", {"delivery": consumers.webhooks.delivery}),
        )
        for queue, function, others in functions:
            module = importlib.import_module(f"functions.{function}.handler")
            monkeypatch.setattr(module, "database", database, raising=False)
            for name, fake in others.items():
                monkeypatch.setattr(module, name, fake)
            consumers.handlers[queue] = module.handler
        return consumers

    def deliver(self, queue: Queue, *bodies: str, tracing_header: str | None = None) -> list[str]:
        """One batch of one invocation; returns the ids of the messages that go back to the queue."""
        delivered = batch(*bodies, tracing_header=tracing_header)
        return failed(self.handlers[queue](delivered, lambda_context(remaining_ms=30_000)))

    def order(self, status: str) -> UUID:
        """An order of the customer's that has come as far as `status`, paid and reserved as far as that needs it."""
        order_id = add_order(self.database)
        steps = {"PENDING": [], "PROCESSING": ["PROCESSING"]}.get(status, ["PROCESSING", status])
        for step in steps:
            execute(
                self.database, "UPDATE orders SET status = :status WHERE id = :id", status=step, id=order_id
            )
        execute(
            self.database,
            "INSERT INTO payments (order_id, provider_key, status, amount, currency, captured) "
            "SELECT id, 'order-' || id, 'CAPTURED', total_amount, currency, total_amount FROM orders WHERE id = :id",
            id=order_id,
        )
        return order_id

    def written(self, order_id: UUID, data: EventData) -> CloudEvent:
        """An event that our own code has written, and its relay has sent."""
        event = cloud_event(order_id, data)
        published(self.database, event.model_dump_json())
        return event

    def add_webhook(self) -> None:
        add_endpoint(self.database)

    def everything(self) -> dict[str, Any]:
        """All that is on record, and all that has left."""
        found: dict[str, Any] = {
            table: sorted(
                (
                    str(row["row"])
                    for row in rows(self.database, f"SELECT CAST({alias} AS text) AS row FROM {table}")
                ),
            )
            for table in _TABLES
            for alias in [table.rpartition(".")[2]]
        }
        return found | {
            "mails": list(self.mails.sent),
            "webhooks": list(self.webhooks.sender.sent),
            "executions": dict(self.step_functions.executions),
        }


@pytest.fixture
def consumers(
    database: Database, dead_letters: FakeDeadLetterQueue, monkeypatch: pytest.MonkeyPatch
) -> Consumers:
    return Consumers.installed(database, dead_letters, monkeypatch)
