"""The tables as the migrations leave them, with the reasons for their indexes and checks; a test compares the two.

The deployed code imports none of this: it writes SQL. Rules that only a table can keep: uniqueness decides idempotency,
checks decide stock.
"""

from enum import StrEnum
from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    TextClause,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.schema import SchemaItem

from orders.domain import (
    Channel,
    MailFeedback,
    NotificationStatus,
    OrderStatus,
    PaymentStatus,
    Priority,
    RefundOrigin,
    RefundStatus,
    ReservationStatus,
    StepStatus,
)
from orders.events import OrderCreated
from orders.webhooks.states import DeliveryStatus, EndpointStatus

metadata: Final = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    }
)


def _table(name: str, *parts: SchemaItem) -> Table:
    return Table(name, metadata, *parts)


def _one_of(column: str, words: type[StrEnum]) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({', '.join(map(repr, map(str, words)))})", name=f"{column}_known")


def _now(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


def _sweepers_only(condition: str) -> TextClause:
    """The condition of an index for statements that look through all rows, written so that no statement about one row
    can choose it. To the planner an index of what is usually nothing looks cheaper than a primary key, also in an
    outage, when it is long."""
    return text(f"CASE WHEN {condition} THEN true ELSE false END")


products: Final = _table(
    "products",
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("unit_price", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("active", Boolean, nullable=False, server_default=text("true")),
    _now("created_at"),
    _now("updated_at"),
    CheckConstraint("unit_price > 0", name="price_positive"),
)
# The shop window, however many products have left it.
Index("products_on_sale", products.c.id, postgresql_where=text("active"))

# Apart from `products`: reservations update this row all day, and readers of the catalogue must not wait for them.
stock: Final = _table(
    "stock",
    Column("product_id", Uuid, ForeignKey("products.id"), primary_key=True),
    Column("stocked", BigInteger, nullable=False),
    Column("available", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False, server_default=text("0")),
    Column("sold", BigInteger, nullable=False, server_default=text("0")),
    Column("low_stock_threshold", BigInteger, nullable=False, server_default=text("10")),
    # Since when the product is known to be low on stock: set by the alert, cleared when there is enough again.
    Column("low_since", DateTime(timezone=True)),
    CheckConstraint("available >= 0 AND reserved >= 0 AND sold >= 0", name="never_negative"),
    CheckConstraint("available + reserved + sold = stocked", name="adds_up"),
)
# Reservations change nothing in it, so it costs them nothing.
Index("stock_low", stock.c.product_id, postgresql_where=text("low_since IS NOT NULL"))

orders: Final = _table(
    "orders",
    Column("id", Uuid, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("status", Text, nullable=False, server_default=text("'PENDING'")),
    Column("currency", Text, nullable=False),
    Column("total_amount", BigInteger, nullable=False),
    # These three are NULL once the order's personal data is erased.
    Column("payment_method", Text),
    Column("contact_email", Text),
    Column("contact_phone", Text),
    Column("locale", Text, nullable=False),
    Column("failure_reason", Text),
    Column("correlation_id", Text, nullable=False),
    Column("priority", Text, nullable=False, server_default=text("'normal'")),
    _now("created_at"),
    _now("updated_at"),
    CheckConstraint("total_amount > 0", name="total_positive"),
    _one_of("priority", Priority),
    _one_of("status", OrderStatus),
)
# What waits for an operator, oldest first.
Index("orders_in_review", orders.c.id, postgresql_where=_sweepers_only("status = 'NEEDS_REVIEW'"))
# What retention looks through: orders that have ended and still say whose they were, longest ended first.
Index(
    "orders_with_contact",
    orders.c.updated_at,
    postgresql_where=_sweepers_only("contact_email IS NOT NULL AND status IN ('CONFIRMED', 'CANCELLED')"),
)
# Ids are UUIDv7, so this is "own orders, newest first".
Index("orders_by_user", orders.c.user_id, orders.c.id.desc())
# The same of one status: to find ten among a customer's hundred thousand by reading those would take a second.
Index("orders_by_user_and_status", orders.c.user_id, orders.c.status, orders.c.id.desc())
# What recovery looks through: orders that are on their way, longest unmoved first.
Index(
    "orders_unfinished",
    orders.c.updated_at,
    postgresql_where=_sweepers_only("status IN ('PENDING', 'PROCESSING')"),
)

# What operators search for. Each ends with the id, so that a page is read in the order of time.
Index("orders_by_status", orders.c.status, orders.c.id.desc())
Index(
    "orders_by_failure_reason",
    orders.c.failure_reason,
    orders.c.id.desc(),
    postgresql_where=text("failure_reason IS NOT NULL"),
)
Index("orders_by_correlation_id", orders.c.correlation_id, orders.c.id.desc())
Index(
    "orders_by_email",
    func.lower(orders.c.contact_email),
    orders.c.id.desc(),
    postgresql_where=text("contact_email IS NOT NULL"),
)
Index(
    "orders_by_phone",
    orders.c.contact_phone,
    orders.c.id.desc(),
    postgresql_where=text("contact_phone IS NOT NULL"),
)

# Customers whose personal data is to be erased as soon as their orders have ended. A row stays until that is done.
erasure_requests: Final = _table(
    "erasure_requests",
    Column("user_id", Text, primary_key=True),
    # Orders and webhooks from after that are none of this request's.
    _now("requested_at"),
)

order_items: Final = _table(
    "order_items",
    Column("order_id", Uuid, ForeignKey("orders.id"), primary_key=True),
    Column("line_no", SmallInteger, primary_key=True),
    Column("product_id", Uuid, ForeignKey("products.id"), nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("unit_price", BigInteger, nullable=False),
    # As it was sold; null in orders from before it was kept.
    Column("product_name", Text),
    UniqueConstraint("order_id", "product_id"),
    CheckConstraint("quantity BETWEEN 1 AND 100", name="quantity_bounded"),
)
Index("order_items_by_product", order_items.c.product_id, order_items.c.order_id.desc())

idempotency_keys: Final = _table(
    "idempotency_keys",
    Column("user_id", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("order_id", Uuid, ForeignKey("orders.id"), nullable=False),
    _now("created_at"),
)
Index("idempotency_keys_by_age", idempotency_keys.c.created_at)
# Operators know the key, and not always whose it is.
Index("idempotency_keys_by_key", idempotency_keys.c.key, idempotency_keys.c.order_id.desc())

# When a user placed their last orders, oldest first. A large limit has several lanes.
order_rates: Final = _table(
    "order_rates",
    Column("user_id", Text, primary_key=True),
    Column("lane", SmallInteger, primary_key=True),
    _now("window_started_at"),
    Column("placed", Integer, nullable=False, server_default=text("1")),
    CheckConstraint("placed > 0", name="placed_positive"),
    # The two columns above are for the release before this one.
    Column("recent", ARRAY(DateTime(timezone=True)), nullable=False, server_default=text("'{}'")),
)

outbox: Final = _table(
    "outbox",
    Column("id", Uuid, primary_key=True),
    Column("type", Text, nullable=False),
    Column("subject", Uuid, nullable=False),
    Column("data", JSONB, nullable=False),
    Column("correlation_id", Text, nullable=False),
    Column("traceparent", Text, nullable=False),
    Column("status", Text, nullable=False, server_default=text("'PENDING'")),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    # The attempts that failed through the event's own fault; an outage is not one of them.
    Column("refusals", Integer, nullable=False, server_default=text("0")),
    Column("priority", Text, nullable=False, server_default=text("'normal'")),
    # The delay that was asked for, if any: an event is as old as the time from which it could be published.
    Column("not_before", DateTime(timezone=True)),
    # Not before this time: the end of a relay's lease, of a back-off, or of a delay asked for.
    Column("available_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("claim_token", Uuid),
    Column("last_error", Text),
    _now("created_at"),
    Column("published_at", DateTime(timezone=True)),
    CheckConstraint("status IN ('PENDING', 'PUBLISHED', 'DEAD')", name="status_known"),
    _one_of("priority", Priority),
)
# The relay's poll reads this index only: published rows, however many, are not in it.
Index(
    "outbox_due",
    outbox.c.priority,
    outbox.c.available_at,
    outbox.c.id,
    postgresql_where=_sweepers_only("status = 'PENDING'"),
)
Index("outbox_dead", outbox.c.id, postgresql_where=_sweepers_only("status = 'DEAD'"))
# The event that starts an order's saga, for whoever has to start it again.
Index("outbox_order_created", outbox.c.subject, postgresql_where=text(f"type = '{OrderCreated.type}'"))

inbox: Final = _table(
    "inbox",
    Column("consumer", Text, primary_key=True),
    Column("event_id", Uuid, primary_key=True),
    _now("processed_at"),
)

saga_steps: Final = _table(
    "saga_steps",
    Column("order_id", Uuid, ForeignKey("orders.id"), primary_key=True),
    Column("step", Text, primary_key=True),
    Column("status", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("1")),
    Column("error", Text),
    _now("at"),
    _one_of("status", StepStatus),
)

reservations: Final = _table(
    "reservations",
    Column("order_id", Uuid, ForeignKey("orders.id"), primary_key=True),
    Column("product_id", Uuid, ForeignKey("products.id"), primary_key=True),
    Column("quantity", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    _now("created_at"),
    _now("updated_at"),
    # Of what was sold; it has come back with refunds.
    Column("returned", Integer, nullable=False, server_default=text("0")),
    CheckConstraint("quantity > 0", name="quantity_positive"),
    CheckConstraint("returned BETWEEN 0 AND quantity", name="returned_within"),
    _one_of("status", ReservationStatus),
)
Index(
    "reservations_expiring", reservations.c.expires_at, postgresql_where=_sweepers_only("status = 'ACTIVE'")
)

stock_movements: Final = _table(
    "stock_movements",
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("product_id", Uuid, ForeignKey("products.id"), nullable=False),
    Column("order_id", Uuid),
    Column("kind", Text, nullable=False),
    Column("quantity", BigInteger, nullable=False),
    _now("created_at"),
    # Of an adjustment: which administrator made it, and why.
    Column("actor", Text),
    Column("reason", Text),
    # Of a return, in place of the order: an order may have several.
    Column("refund_id", Uuid),
    # The last line of defence for I9: a movement of an order's line happens once, whoever repeats it.
    UniqueConstraint("order_id", "product_id", "kind"),
)

Index(
    "stock_movements_of_refund",
    stock_movements.c.refund_id,
    stock_movements.c.product_id,
    unique=True,
    postgresql_where=text("refund_id IS NOT NULL"),
)
Index("stock_movements_by_product", stock_movements.c.product_id, stock_movements.c.id.desc())

# What administrators asked for under which key: a request that is repeated is answered from here. There are few, and
# they stay.
catalogue_requests: Final = _table(
    "catalogue_requests",
    Column("user_id", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("product_id", Uuid, ForeignKey("products.id"), nullable=False),
    Column("movement_id", BigInteger, ForeignKey("stock_movements.id")),
    _now("created_at"),
)

payments: Final = _table(
    "payments",
    Column("order_id", Uuid, ForeignKey("orders.id"), primary_key=True),
    Column("provider_key", Text, nullable=False, unique=True),
    Column("status", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("1")),
    Column("amount", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("provider_payment_id", Text),
    Column("captured", BigInteger, nullable=False, server_default=text("0")),
    Column("refunded", BigInteger, nullable=False, server_default=text("0")),
    _now("created_at"),
    _now("updated_at"),
    CheckConstraint(
        "0 <= refunded AND refunded <= captured AND captured <= amount", name="refund_within_capture"
    ),
    _one_of("status", PaymentStatus),
)
Index(
    "payments_undecided",
    payments.c.updated_at,
    postgresql_where=_sweepers_only("status IN ('PENDING', 'UNKNOWN')"),
)

Index("payments_by_provider_id", payments.c.provider_payment_id)

# What the customer must do at the payment provider, and who waits for it: a state of the saga, by its task token.
payment_actions: Final = _table(
    "payment_actions",
    Column("order_id", Uuid, ForeignKey("orders.id"), primary_key=True),
    Column("type", Text, nullable=False),
    Column("client_secret", Text),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("task_token", Text),
    Column("ended_at", DateTime(timezone=True)),
    _now("created_at"),
)

order_cancellations: Final = _table(
    "order_cancellations",
    Column("order_id", Uuid, ForeignKey("orders.id"), primary_key=True),
    Column("requested_by", Text, nullable=False),
    # Of an order that was confirmed before.
    Column("refund_id", Uuid),
    _now("created_at"),
)

refunds: Final = _table(
    "refunds",
    Column("id", Uuid, primary_key=True),
    Column("order_id", Uuid, ForeignKey("orders.id"), nullable=False),
    Column("origin", Text, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("restock", Boolean, nullable=False),
    Column("status", Text, nullable=False, server_default=RefundStatus.REQUESTED),
    Column("error", Text),
    # As of orders: how often an operator has had it tried again. Each time is an execution of its own.
    Column("resumes", Integer, nullable=False, server_default=text("0")),
    Column("provider_refund_id", Text, unique=True),
    # When the provider has given back the money, and when the stock was put back: each happens once.
    Column("refunded_at", DateTime(timezone=True)),
    Column("restocked_at", DateTime(timezone=True)),
    _now("created_at"),
    _now("updated_at"),
    CheckConstraint("amount > 0", name="amount_positive"),
    _one_of("origin", RefundOrigin),
    _one_of("status", RefundStatus),
)
Index("refunds_by_order", refunds.c.order_id, refunds.c.id)
Index("refunds_open", refunds.c.updated_at, postgresql_where=text("status IN ('REQUESTED', 'NEEDS_REVIEW')"))

refund_lines: Final = _table(
    "refund_lines",
    Column("refund_id", Uuid, ForeignKey("refunds.id"), primary_key=True),
    Column("product_id", Uuid, ForeignKey("products.id"), primary_key=True),
    Column("quantity", Integer, nullable=False),
    CheckConstraint("quantity > 0", name="quantity_positive"),
)

refund_requests: Final = _table(
    "refund_requests",
    Column("user_id", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("refund_id", Uuid, ForeignKey("refunds.id"), nullable=False),
    _now("created_at"),
)

# The customer's bank has taken, or may take, the money back. The provider's record of refunds does not have it.
payment_disputes: Final = _table(
    "payment_disputes",
    Column("provider_dispute_id", Text, primary_key=True),
    Column("order_id", Uuid, ForeignKey("orders.id"), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("status", Text, nullable=False),
    _now("created_at"),
    _now("updated_at"),
    CheckConstraint("amount > 0", name="amount_positive"),
    CheckConstraint("status IN ('OPEN', 'WON', 'LOST')", name="status_known"),
)
Index("payment_disputes_by_order", payment_disputes.c.order_id)

notifications: Final = _table(
    "notifications",
    Column("id", Uuid, primary_key=True),
    # One of the two: an order is refunded more than once, and each time its customer is told.
    Column("order_id", Uuid, ForeignKey("orders.id")),
    Column("refund_id", Uuid, ForeignKey("refunds.id")),
    Column("type", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("1")),
    Column("provider_id", Text),
    Column("error", Text),
    Column("lease_until", DateTime(timezone=True), nullable=False),
    _now("created_at"),
    Column("sent_at", DateTime(timezone=True)),
    UniqueConstraint("order_id", "type", "channel"),
    CheckConstraint("(order_id IS NULL) <> (refund_id IS NULL)", name="of_one"),
    _one_of("status", NotificationStatus),
)
Index(
    "notifications_of_refund",
    notifications.c.refund_id,
    notifications.c.type,
    notifications.c.channel,
    unique=True,
    postgresql_where=text("refund_id IS NOT NULL"),
)
# A bounce or a complaint names the mail as the provider does.
Index(
    "notifications_by_provider_id",
    notifications.c.provider_id,
    postgresql_where=text("provider_id IS NOT NULL"),
)

recipients: Final = _table(
    "recipients",
    Column("id", Uuid, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("channel", Text, nullable=False),
    # In small letters.
    Column("address", Text, nullable=False),
    Column("locale", Text, nullable=False),
    Column("confirmed_at", DateTime(timezone=True)),
    # Counts its codes, which are derived from it and stand nowhere, and which of them was sent.
    Column("code_version", Integer, nullable=False, server_default=text("1")),
    Column("code_sent", Integer, nullable=False, server_default=text("0")),
    Column("code_attempts", SmallInteger, nullable=False, server_default=text("0")),
    Column("code_expires_at", DateTime(timezone=True), nullable=False),
    # The last request for it; the row is its record.
    Column("key", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    _now("created_at"),
    # Of the mail with the last code.
    Column("code_provider_id", Text),
    UniqueConstraint("user_id", "channel", "address"),
    UniqueConstraint("user_id", "key"),
    _one_of("channel", Channel),
)
Index(
    "recipients_by_code_provider_id",
    recipients.c.code_provider_id,
    postgresql_where=text("code_provider_id IS NOT NULL"),
)
Index(
    "recipients_unconfirmed",
    recipients.c.code_expires_at,
    postgresql_where=text("confirmed_at IS NULL"),
)

# Addresses that get no mail any more, until an operator allows them again. They are found by `address_digest`, a
# function in the database, so that an address stays suppressed when it is erased.
suppressed_addresses: Final = _table(
    "suppressed_addresses",
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("digest", Text, nullable=False, unique=True),
    # NULL: erased, with the contact data of its order; or it was the address of a recipient who had not agreed.
    Column("address", Text),
    Column("reason", Text, nullable=False),
    # Whose mail it was; NULL: it was a mail with a code.
    Column("order_id", Uuid, ForeignKey("orders.id")),
    _now("since"),
    _one_of("reason", MailFeedback),
)
Index(
    "suppressed_addresses_by_order",
    suppressed_addresses.c.order_id,
    postgresql_where=text("address IS NOT NULL"),
)

# One row: with it `address_digest` makes digests that are this database's own.
address_salt: Final = _table(
    "address_salt",
    Column("id", SmallInteger, primary_key=True, autoincrement=False, server_default=text("1")),
    Column("salt", Uuid, nullable=False, server_default=func.gen_random_uuid()),
    CheckConstraint("id = 1", name="one_row"),
)

# What Cognito said last of the account's verified address; NULL: it has none.
account_addresses: Final = _table(
    "account_addresses",
    Column("user_id", Text, primary_key=True),
    Column("address", Text),
    Column("asked_at", DateTime(timezone=True), nullable=False),
)
Index("account_addresses_by_age", account_addresses.c.asked_at)

# What is left of limits per hour; without a row it is all there.
allowances: Final = _table(
    "allowances",
    Column("scope", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("full_at", DateTime(timezone=True), nullable=False),
)

webhook_endpoints: Final = _table(
    "webhook_endpoints",
    Column("id", Uuid, primary_key=True),
    Column("user_id", Text, nullable=False),
    # Which of the user's few places it takes: this and its uniqueness are the limit, however many register at once.
    Column("slot", SmallInteger, nullable=False),
    Column("url", Text, nullable=False),
    Column("description", Text),
    # Counts the rotations of its secret, which is derived from it and stands nowhere.
    Column("secret_version", Integer, nullable=False, server_default=text("1")),
    Column("previous_secret_until", DateTime(timezone=True)),
    Column("status", Text, nullable=False, server_default=text("'ENABLED'")),
    Column("disabled_reason", Text),
    Column("disabled_at", DateTime(timezone=True)),
    _now("created_at"),
    # What it is told; NULL is everything.
    Column("event_types", ARRAY(Text)),
    # Whether its last attempt took long: it may then have fewer of them under way.
    Column("is_slow", Boolean, nullable=False, server_default=text("false")),
    # The limit on tests: the time by which those that were sent would be evenly spread.
    Column("tests_until", DateTime(timezone=True)),
    UniqueConstraint("user_id", "slot"),
    CheckConstraint("slot BETWEEN 1 AND 5", name="slot_bounded"),
    _one_of("status", EndpointStatus),
)

webhook_deliveries: Final = _table(
    "webhook_deliveries",
    Column("id", Uuid, primary_key=True),
    Column("endpoint_id", Uuid, ForeignKey("webhook_endpoints.id", ondelete="CASCADE"), nullable=False),
    Column("event_id", Uuid, nullable=False),
    Column("event_type", Text, nullable=False),
    # Of a test, which belongs to no order, its endpoint's id.
    Column("order_id", Uuid, nullable=False),
    # What is sent, byte for byte the same in each attempt.
    Column("body", Text, nullable=False),
    Column("status", Text, nullable=False, server_default=text("'PENDING'")),
    # Attempts whose outcome is known, over all rounds; and the first one of the round that began at `started_at`.
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("first_attempt", Integer, nullable=False, server_default=text("1")),
    _now("started_at"),
    Column("next_attempt_at", DateTime(timezone=True)),
    # Until then the next attempt is under way.
    Column("lease_until", DateTime(timezone=True)),
    Column("last_status", SmallInteger),
    Column("last_error", Text),
    _now("created_at"),
    Column("delivered_at", DateTime(timezone=True)),
    UniqueConstraint("endpoint_id", "event_id"),
    _one_of("status", DeliveryStatus),
)
# Ids are UUIDv7, so this is "an endpoint's deliveries, newest first".
Index("webhook_deliveries_by_endpoint", webhook_deliveries.c.endpoint_id, webhook_deliveries.c.id.desc())
# For the time line of an order.
Index("webhook_deliveries_by_order", webhook_deliveries.c.order_id)
Index(
    "webhook_deliveries_under_way",
    webhook_deliveries.c.endpoint_id,
    postgresql_where=text("lease_until IS NOT NULL"),
)

# Secrets before the previous one that are still signed with: there are any only if secrets were replaced quickly.
webhook_older_secrets: Final = _table(
    "webhook_older_secrets",
    Column("endpoint_id", Uuid, ForeignKey("webhook_endpoints.id", ondelete="CASCADE"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("expires_at", DateTime(timezone=True), nullable=False),
)

# What customers asked for under which key. No references: a request that is repeated after its webhook was deleted must
# not make another one.
webhook_requests: Final = _table(
    "webhook_requests",
    Column("user_id", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("endpoint_id", Uuid, nullable=False),
    # Of the secret that was shown, and is shown again.
    Column("secret_version", Integer),
    Column("delivery_id", Uuid),
    _now("created_at"),
)
Index("webhook_requests_by_age", webhook_requests.c.created_at)

# Only orders that recovery has ever had to look at. `resumes` is the number in the name of the newest execution.
saga_recoveries: Final = _table(
    "saga_recoveries",
    Column("order_id", Uuid, ForeignKey("orders.id"), primary_key=True),
    Column("resumes", Integer, nullable=False, server_default=text("0")),
    Column("next_check_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("resumes >= 0", name="resumes_counted"),
)

# What recovery and reconciliation have done, for operators: written with the repair, never read by code.
repairs: Final = _table(
    "repairs",
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("order_id", Uuid, ForeignKey("orders.id"), nullable=False),
    Column("detail", Text, nullable=False),
    _now("created_at"),
)
Index("repairs_by_order", repairs.c.order_id)

# What operators have asked for, for whoever asks who did it: written before it is done, never read by code.
operator_actions: Final = _table(
    "operator_actions",
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("action", Text, nullable=False),
    # The subject of the operator's token.
    Column("operator", Text, nullable=False),
    # What it was done to: an order's or event's id, a queue, a message of one.
    Column("target", Text, nullable=False),
    # No reference: a poison message may name any order.
    Column("order_id", Uuid),
    Column("note", Text, nullable=False),
    Column("detail", Text, nullable=False),
    _now("created_at"),
    CheckConstraint("length(note) <= 500", name="note_bounded"),
)
Index("operator_actions_by_order", operator_actions.c.order_id)

stock_alerts: Final = _table(
    "stock_alerts",
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("product_id", Uuid, ForeignKey("products.id"), nullable=False),
    Column("available", BigInteger, nullable=False),
    Column("threshold", BigInteger, nullable=False),
    _now("created_at"),
)

# One row for each outside system that is called through a breaker; without a row its circuit is closed.
circuit_breakers: Final = _table(
    "circuit_breakers",
    Column("name", Text, primary_key=True),
    # Of the window that began at `window_started_at`, over all processes.
    Column("failures", Integer, nullable=False, server_default=text("0")),
    # NULL: closed. Past: a probe may go through.
    Column("open_until", DateTime(timezone=True)),
    # The probe that is under way, and when it counts as lost.
    Column("probe", Uuid),
    Column("probe_until", DateTime(timezone=True)),
    _now("updated_at"),
    CheckConstraint("failures >= 0", name="failures_counted"),
    # NULL: there was no failure yet.
    Column("window_started_at", DateTime(timezone=True)),
    Column("calls", Integer, nullable=False, server_default=text("0")),
    # Whose calls failed in the window: a few of them, to know that it is not one.
    Column("failing_keys", ARRAY(Text), nullable=False, server_default=text("'{}'")),
)

# What was counted and is not added up yet. No key and no index: it is read whole, and emptied every minute.
counted: Final = _table(
    "counted",
    Column("counter", Text, nullable=False),
    Column("label", Text, nullable=False),
    # NULL: it has no duration.
    Column("seconds", Double),
)

# Some hundred rows that never go: one for each label, and for each bucket of a histogram.
counters: Final = _table(
    "counters",
    Column("counter", Text, primary_key=True),
    Column("label", Text, primary_key=True),
    # The upper bound in seconds; infinite for what has no duration.
    Column("bucket", Double, primary_key=True),
    Column("events", BigInteger, nullable=False),
    Column("seconds", Double, nullable=False),
)

# Until when something that is counted elsewhere has been taken over.
counter_sources: Final = _table(
    "counter_sources",
    Column("name", Text, primary_key=True),
    Column("counted_until", DateTime(timezone=True), nullable=False),
)
