"""A local cloud that takes payments through Stripe: its fake, Stripe's own library, and the same demonstration."""

from collections.abc import Iterator
from io import StringIO
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, create_engine, text

from tests.e2e.canaries import CLIENT_SECRET, CREDENTIAL, PAYMENT_METHOD, Canaries, columns, executions, logs
from tests.e2e.test_api import ORDER, Caller, await_end
from tools.audit.evidence import gather, judge
from tools.audit.verdict import broken
from tools.cloud import aws, customers, deploy, local_cloud, stripe_server
from tools.cloud.local_cloud import WEBHOOK_SECRET, new_sandbox
from tools.cloud.settings import STRIPE, Settings
from tools.cloud.stack import Stack, sign_in
from tools.console import Console
from tools.demo import cards
from tools.demo.run import run_demo
from tools.stripe.server import API_KEY
from tools.waiting import wait_until

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    settings = new_sandbox("test-stripe", STRIPE).settings
    yield settings
    local_cloud.down(settings, print)
    assert not stripe_server.is_running(settings)


@pytest.fixture(scope="module")
def stack(settings: Settings) -> Stack:
    return local_cloud.up(settings, print)


@pytest.fixture(scope="module")
def engine(stack: Stack) -> Iterator[Engine]:
    engine = create_engine(stack["database_url"])
    yield engine
    engine.dispose()


def test_the_demonstration_ends_as_it_does_with_the_simulator(settings: Settings, stack: Stack) -> None:
    report = run_demo(settings, stack, Console(file=StringIO()))

    assert report.failures == ()


def test_every_promise_holds_by_stripes_own_records(settings: Settings, stack: Stack, engine: Engine) -> None:
    verdicts = judge(gather(settings, stack, engine))

    assert broken(verdicts) == ()
    assert {verdict.promise: verdict.checked > 0 for verdict in verdicts}["I2"]
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM stripe.payments")) > 0
        assert connection.scalar(text("SELECT to_regnamespace('gateway')")) is None


def test_the_key_is_in_no_template_and_in_no_file_of_the_deploy(settings: Settings, stack: Stack) -> None:
    templates = [*deploy.assembly_directory(settings).glob("*.template.json")]

    assert len(templates) == 2
    assert not [path for path in templates if API_KEY in path.read_text()]


def test_the_secret_of_a_payment_that_waits_for_its_customer_is_theirs_alone(
    settings: Settings, stack: Stack, engine: Engine
) -> None:
    customer = Caller(stack["api_url"], sign_in(settings, stack, "customer").access_token)
    method = cards.method(cards.Card.NEEDS_ITS_CUSTOMER, STRIPE)
    order_id = customer.post({**ORDER, "paymentMethod": method}).body["orderId"]

    def action() -> Any:
        return customer.get(f"/orders/{order_id}/status").body["nextAction"]

    assert wait_until(lambda: action() is not None, 120, every=0.2)
    canaries = Canaries()
    canaries.words.clear()
    signing = aws.secrets(settings).get_secret_value(SecretId=WEBHOOK_SECRET)["SecretString"].split()
    canaries.words[CLIENT_SECRET] = [action()["clientSecret"]]
    canaries.words[CREDENTIAL] = [API_KEY, *signing]
    canaries.words[PAYMENT_METHOD] = ["pm_card_"]
    meanwhile = canaries.found(columns(engine, canaries.words))

    assert customers.act_on(engine, settings, stack, UUID(order_id), customers.Act.COMPLETE)
    assert await_end(customer, order_id)["status"] == "CONFIRMED"

    kept = {("column orders.payment_method", PAYMENT_METHOD)}
    assert meanwhile == {("column payment_actions.client_secret", CLIENT_SECRET), *kept}
    assert canaries.found(columns(engine, canaries.words)) == kept
    # The demonstration has been here as well, with every way in which Stripe fails.
    for written in (logs(settings, since=0), executions(settings, since=0)):
        assert canaries.found(written) == set()


def test_started_a_second_time_there_is_nothing_to_do(settings: Settings, stack: Stack) -> None:
    lines: list[str] = []

    assert local_cloud.up(settings, lines.append) == stack
    assert lines == [
        "Postgres is running",
        "The emulator is running",
        "Stripe's fake is running",
        "Nothing to deploy",
    ]


def test_without_its_fake_the_cloud_is_not_up_and_starting_it_mends_that(
    settings: Settings, stack: Stack
) -> None:
    process = stripe_server.daemon(settings).find()
    assert process is not None
    process.kill()
    process.wait()
    assert local_cloud.find_up(settings) is None

    assert local_cloud.up(settings, print) == stack
