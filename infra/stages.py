"""What differs between the stages: policy, as numbers with names. What the system is made of differs nowhere."""

from dataclasses import dataclass
from typing import Final

from aws_cdk import RemovalPolicy
from aws_cdk import aws_logs as logs

from infra.assets import Target
from infra.payments import PaymentProvider, simulator
from orders.domain import SagaStep

UNRESERVED_CONCURRENCY: Final = 100
"""What Lambda keeps of an account's quota for functions that reserve nothing; it refuses a reservation beyond that."""


@dataclass(frozen=True)
class DatabasePolicy:
    """Sizes of the managed database and of the network it needs."""

    min_capacity: float
    """Aurora capacity units kept when idle. The relay polls all the time, so pausing (0) would never happen."""
    max_capacity: float
    readers: int
    """Standby instances in other zones: failover takes seconds with one, minutes without."""
    backup_days: int
    nat_gateways: int
    """One is cheapest and dies with its zone; one per zone outlives a zone."""
    storage_limit_gb: int = 500
    """Beyond it somebody is told: Aurora takes as much as there is to write, and bills it."""
    engine_version: str = "17.5"
    """Of Aurora PostgreSQL. AWS withdraws minor versions: then a new cluster needs a later one."""
    zones: tuple[str, ...] = ()
    """The availability zones, at least two, e.g. `us-east-1a`: not every zone has RDS Proxy. None: the first two."""


@dataclass(frozen=True)
class HourlyLimits:
    """How much of something a stage sends in an hour; `orders.allowances` says what that promises."""

    recipient: int
    """To one recipient, whoever causes it."""
    user: int
    """Caused by one user."""
    stage: int
    """In all."""


@dataclass(frozen=True)
class MessageLimits(HourlyLimits):
    """Of mails or of text messages."""

    unconfirmed: int = 0
    """To one recipient who has not agreed: neither the account's own address nor confirmed by a code."""


@dataclass(frozen=True)
class Stage:
    """The policy of one stage."""

    name: str
    target: Target
    database: DatabasePolicy | None
    """None: the database is brought along, as its secret's content in the context value `database`."""
    keeps_data: bool
    """Whether users, orders and their keys survive the deletion of the stack."""
    payments: PaymentProvider
    """Unless the deploy chooses another one: `infra.app`."""
    log_retention: logs.RetentionDays
    requests_per_second: int
    request_burst: int
    orders_per_minute: int
    """Of one user, in any 60 seconds; a request that is refused for it costs one look at the database."""
    step_concurrency: int
    """Processes of one saga step, and of the refunds' steps, at a time: what a storm of orders may take of the
    database. These two are reserved where there is enough to reserve from: `reserves_concurrency`."""
    payment_concurrency: int
    """The same for ProcessPayment, which spends its time waiting for the gateway."""
    consumer_concurrency: int
    """Processes of one queue consumer at a time (SQS allows no less than 2)."""
    webhook_concurrency: int
    """Webhooks that are being sent at one time. One endpoint has two of them at most, or one while it is slow."""
    mails: MessageLimits
    texts: MessageLimits
    codes: HourlyLimits
    """Codes that confirm recipients; they count neither as mails nor as texts."""
    redeliveries_per_hour: int
    """Webhook deliveries that one user may have sent again."""
    sms_monthly_usd: int | None
    """What the account's text messages may cost in a month: SNS sends none beyond it. None: as it is. Without a support
    case AWS allows 1."""
    consumer_timeout_seconds: int = 30
    """What one batch may take. A failed message is tried again after six times that, and five times in all: long
    enough to sit out an outage where there are some, short enough to watch where somebody does."""
    lambda_quota: int | None = None
    """The account's quota of concurrent executions in the region. None: nobody told, and nothing is reserved. A new
    account may have 10."""
    allowed_origins: tuple[str, ...] = ()
    """Pages of these origins may call the API from a browser, e.g. `https://shop.example.com`. API Gateway compares the
    whole text; the local cloud also takes `:*` for any port."""
    login_domain: str = ""
    """Where operators sign in to the console: a domain of the user pool that there is, e.g.
    `https://orders.auth.us-east-1.amazoncognito.com`. None: on the page itself, with their password."""
    alarm_subscribers: tuple[str, ...] = ()
    """Who is told of alarms: e-mail addresses, which have to confirm it, and https URLs."""
    sender_email: str = ""
    """The address that mails come from, or a deploy has to say it. SES has verified it, or its domain."""
    is_first_deploy: bool = False
    """Whether nothing is protected from deletion yet: what a failed first deploy made could not be removed."""
    creates_sender: bool = False
    """Whether the stack makes SES's identity of that address, which must not be there yet."""
    sms_sender_id: str = "Orders"
    """The name that text messages come from: up to 11 letters and digits. Some countries want it registered, and some
    (the United States, Canada) show none and need a number of ours."""
    sms_origination_number: str = ""
    """That number, in E.164 form."""
    webhook_retry_seconds: tuple[float, ...] = (5, 30, 300, 1_800, 7_200, 18_000, 28_800, 28_800)
    """The waits between the attempts to deliver a webhook: nearly a day. After the last one it is given up."""
    allows_test_payments: bool = True
    """Whether a provider will do that moves no money, and test methods of one that does."""
    allows_loopback_webhooks: bool = False
    """Whether webhooks may lead to this machine, by http and to any port: never where there are others to reach."""
    contact_retention_days: int = 90
    """How long after its end an order keeps the customer's address and payment token: returns and disputes take
    weeks."""
    cancellation_window_minutes: int = 30
    """How long after its confirmation customers may cancel an order themselves: until it is packed. Before the
    confirmation they always may."""
    reservation_ttl_seconds: int = 900
    """How long stock waits for its payment. Longer than the retries of a payment that succeeds in the end."""

    @property
    def removal_policy(self) -> RemovalPolicy:
        """What happens to data when the stack goes. What a failed first deploy made goes in either case, so that it can
        be repeated."""
        return RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE if self.keeps_data else RemovalPolicy.DESTROY

    @property
    def is_protected(self) -> bool:
        """Whether nobody deletes the data before they have switched that off: the stack, the database, the users."""
        return self.keeps_data and not self.is_first_deploy

    @property
    def reserves_concurrency(self) -> bool:
        """Whether the steps' functions get concurrency of their own. The local cloud has no quota."""
        return self.target == "local" or self.lambda_quota is not None

    @property
    def reserved_concurrency(self) -> int:
        """What the steps of sagas and refunds reserve together, if they do."""
        saga_steps_but_payment = len(SagaStep) - 1
        return (saga_steps_but_payment + 1) * self.step_concurrency + self.payment_concurrency

    def resource_name(self, name: str) -> str:
        """The name of a resource of this stage, e.g. `orders-dev-create-order`."""
        return f"orders-{self.name}-{name}"


LOCAL: Final = Stage(
    name="local",
    target="local",
    database=None,
    keeps_data=False,
    payments=simulator(latency_min_ms=0, latency_max_ms=50),
    log_retention=logs.RetentionDays.ONE_DAY,
    requests_per_second=1_000,
    request_burst=1_000,
    # Demonstrations and load tests order as one user: as many as the API takes requests.
    orders_per_minute=60_000,
    step_concurrency=3,
    payment_concurrency=20,
    consumer_concurrency=2,
    webhook_concurrency=12,
    mails=MessageLimits(recipient=100_000, user=100_000, stage=1_000_000, unconfirmed=5),
    texts=MessageLimits(recipient=100_000, user=100_000, stage=1_000_000, unconfirmed=2),
    codes=HourlyLimits(recipient=5, user=20, stage=1_000),
    redeliveries_per_hour=60,
    # The emulator has no such limit.
    sms_monthly_usd=None,
    sender_email="orders@example.com",
    creates_sender=True,
    webhook_retry_seconds=(1, 1, 2, 5, 10, 30, 60),
    allows_loopback_webhooks=True,
    allowed_origins=tuple(
        f"{scheme}://{host}:*" for scheme in ("http", "https") for host in ("localhost", "127.0.0.1", "[::1]")
    ),
)

DEV: Final = Stage(
    name="dev",
    target="aws",
    database=DatabasePolicy(min_capacity=0.5, max_capacity=2, readers=0, backup_days=1, nat_gateways=1),
    keeps_data=False,
    payments=simulator(latency_min_ms=100, latency_max_ms=2_000),
    log_retention=logs.RetentionDays.ONE_WEEK,
    requests_per_second=50,
    request_burst=100,
    orders_per_minute=60,
    step_concurrency=5,
    payment_concurrency=10,
    consumer_concurrency=2,
    webhook_concurrency=12,
    sender_email="orders@example.com",
    # Where the usual development servers serve a page that is being written.
    allowed_origins=("http://localhost:3000", "http://localhost:5173"),
    mails=MessageLimits(recipient=20, user=60, stage=500),
    texts=MessageLimits(recipient=5, user=10, stage=20),
    codes=HourlyLimits(recipient=5, user=10, stage=100),
    redeliveries_per_hour=60,
    sms_monthly_usd=1,
)

PROD: Final = Stage(
    name="prod",
    target="aws",
    database=DatabasePolicy(min_capacity=1, max_capacity=16, readers=1, backup_days=14, nat_gateways=2),
    keeps_data=True,
    payments=simulator(latency_min_ms=100, latency_max_ms=2_000),
    allows_test_payments=False,
    log_retention=logs.RetentionDays.THREE_MONTHS,
    requests_per_second=200,
    request_burst=400,
    orders_per_minute=60,
    step_concurrency=20,
    payment_concurrency=100,
    consumer_concurrency=20,
    webhook_concurrency=40,
    mails=MessageLimits(recipient=20, user=120, stage=20_000),
    texts=MessageLimits(recipient=10, user=30, stage=5_000),
    codes=HourlyLimits(recipient=5, user=10, stage=2_000),
    redeliveries_per_hour=60,
    sms_monthly_usd=200,
)

STAGES: Final = {stage.name: stage for stage in (LOCAL, DEV, PROD)}
