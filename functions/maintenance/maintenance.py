"""One round: every task once, in the order of what customers wait for, as far as the time goes.

Rounds may overlap. Each task claims what it works on in Postgres, in small batches, and is safe to be cut off anywhere.
"""

from collections.abc import Callable
from datetime import timedelta

from functions.maintenance.counting import fold_counters
from functions.maintenance.deadline import Deadline
from functions.maintenance.outbox_watch import watch_outbox
from functions.maintenance.payments import settle_payments
from functions.maintenance.personal_data import erase_personal_data
from functions.maintenance.retention import remove_old_rows
from functions.maintenance.stock import expire_reservations, rearm_alerts
from functions.maintenance.stuck_orders import StuckOrders
from functions.maintenance.stuck_refunds import StuckRefunds
from orders.contract import Metric
from orders.db import Database
from orders.executions import Executions
from orders.observability import count, logger
from orders.payments.gateway import PaymentGateway


class Maintenance:
    """What a round works with. The executions are asked for when they are needed: most rounds find nothing stuck."""

    def __init__(
        self,
        database: Database,
        executions: Callable[[], Executions],
        refund_executions: Callable[[], Executions],
        gateway: PaymentGateway,
        contact_retention: timedelta,
    ) -> None:
        self._database = database
        self._executions = executions
        self._refund_executions = refund_executions
        self._gateway = gateway
        self._contact_retention = contact_retention

    def run(self, deadline: Deadline) -> dict[str, int]:
        """Returns how much each task has put right, and how many events wait for the relay. A task that fails costs the
        others nothing but its time: it is logged and counted here, and tried again in the next round."""
        database = self._database
        tasks: dict[str, Callable[[], int]] = {
            "events_due": lambda: watch_outbox(database),
            "orders": StuckOrders(database, self._executions, deadline).resume,
            "refunds": StuckRefunds(database, self._refund_executions, deadline).resume,
            "reservations": lambda: expire_reservations(database, deadline),
            "payments": lambda: settle_payments(database, self._gateway, deadline),
            "alerts": lambda: rearm_alerts(database, deadline),
            "rows": lambda: remove_old_rows(database, deadline),
            "counters": lambda: fold_counters(database, deadline),
            "personal_data": lambda: erase_personal_data(database, self._contact_retention, deadline),
        }
        counts = {}
        for name, task in tasks.items():
            try:
                counts[name] = task()
            except Exception:
                count(Metric.MAINTENANCE_FAILED)
                logger.exception("Maintenance task failed", task=name)
        return counts
