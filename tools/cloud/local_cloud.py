"""The local cloud as a whole: up, down, whether it is up, and clouds with a home and a port of their own."""

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

import httpx

from orders.contract import API_PREFIX
from tools.cloud import aws, catalogue, deploy, emulator, postgres, recovery, stack, stripe_server
from tools.cloud.ports import free_port
from tools.cloud.settings import ROOT, STACK_NAME, STRIPE, Settings
from tools.cloud.stack import Stack, StripeFake
from tools.errors import LocalCloudError, Unavailable
from tools.stripe.server import API_KEY, StripeServer
from tools.waiting import wait_until

Report = Callable[[str], None]
"""Takes one line about what has been done."""

_API_KEY_SECRET: Final = f"{STACK_NAME}-stripe-api-key"
WEBHOOK_SECRET: Final = f"{STACK_NAME}-payment-webhook-secret"
_READY_PATH: Final = f"{API_PREFIX}/health/ready"
_READY_SECONDS: Final = 30


@dataclass(frozen=True)
class _Deployment:
    """What the last complete deploy was made from, and where it went."""

    inputs: str
    stack_id: str
    database: str

    @classmethod
    def last(cls, settings: Settings) -> Self | None:
        record = stack.read_json(_record(settings))
        return cls(**record) if record else None


def up(settings: Settings, report: Report) -> Stack:
    """Starts what does not run, deploys what is not deployed, and returns the stack; a second if all is there.

    Raises:
        LocalCloudError: something does not start or deploy.
    """
    with exclusive(settings, report):
        _start(report, "Postgres", lambda: postgres.start(settings))
        last = _Deployment.last(settings)
        database = postgres.identity(settings)
        if last and last.database != database:
            _forget_deployment(settings)
        is_fresh = _start(report, "The emulator", lambda: _start_emulator(settings, database))
        stripe = _start_stripe(settings, report)

        known = None if is_fresh else stack.read(settings)
        if known and known["payment_provider"] != settings.payment_provider:
            report(
                f"Payments go through {settings.payment_provider} from now on; those that were made stay "
                f"with {known['payment_provider']}"
            )
        inputs = deploy.inputs_digest(_context(settings, stripe))
        deployed = None if is_fresh else deploy.stack_id(settings)
        is_current = last == _Deployment(inputs, deployed or "", database)
        if known and deployed and is_current and known.get("stripe") == stripe:
            _connect_stripe(settings, known)
            catalogue.seed(settings)
            report("Nothing to deploy")
            return known

        _record(settings).unlink(missing_ok=True)
        outputs = _deploy(settings, report, is_fresh, _context(settings, stripe))
        new = stack.describe(
            settings,
            outputs,
            stack.ensure_users(settings, outputs["UserPoolId"]),
            postgres.url(settings),
            stripe,
        )
        _connect_stripe(settings, new)
        catalogue.seed(settings)
        if republished := recovery.republish(settings):
            report(f"{republished} events that an earlier emulator took with it are published again")
        aws.functions(settings).invoke(FunctionName=outputs["RelayFunctionName"], InvocationType="Event")
        _await_ready(new)
        stack.write(settings, new)
        stack_id = deploy.stack_id(settings)
        if stack_id:
            stack.write_json(_record(settings), asdict(_Deployment(inputs, stack_id, database)))
        return new


def down(settings: Settings, report: Report) -> None:
    """Stops what `up` started. Orders stay in Postgres's data directory, and whose they are in the emulator's state."""
    with exclusive(settings, report):
        if settings.port is None:
            report(f"The emulator at {settings.endpoint_url} is left as it is")
        else:
            _stop(report, "The emulator", lambda: emulator.stop(settings))
        if stripe_server.stop(settings):
            report("Stripe's fake stopped")
        _stop(report, "Postgres", lambda: postgres.stop(settings))
        _record(settings).unlink(missing_ok=True)
        settings.stack_file.unlink(missing_ok=True)


def require_up(settings: Settings) -> Stack:
    """The stack of a local cloud that is up.

    Raises:
        Unavailable: it is not.
    """
    found = find_up(settings)
    if found is None:
        raise Unavailable("The local cloud is not up. Start it with: make up")
    return found


def find_up(settings: Settings) -> Stack | None:
    """The stack, if everything that it needs is running."""
    if postgres.daemon(settings).find() is None or not emulator.answers(settings):
        return None
    found = stack.read(settings)
    if found and "stripe" in found and not stripe_server.is_running(settings):
        return None
    return found


@contextlib.contextmanager
def exclusive(settings: Settings, report: Report) -> Iterator[None]:
    """Lets one command at a time change the local cloud; the kernel frees the lock when its holder dies."""
    settings.run.mkdir(parents=True, exist_ok=True)
    with (settings.run / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("Waiting for another command that starts or stops the local cloud")
            fcntl.flock(lock, fcntl.LOCK_EX)
        # A deploy inherits it: should we be killed, the next command waits until our deploy has ended, too.
        os.set_inheritable(lock.fileno(), True)
        yield


def _context(settings: Settings, stripe: StripeFake | None) -> dict[str, str]:
    takes_payments = settings.payment_provider == STRIPE
    return deploy.context(
        postgres.credentials(settings),
        settings.payment_provider,
        stripe["url"] if stripe and takes_payments else None,
    )


def _deploy(settings: Settings, report: Report, is_fresh: bool, context: Mapping[str, str]) -> dict[str, str]:
    """Deploys; returns the outputs. An emulator that a killed deploy left half-way is given a new start."""
    try:
        return _deploy_once(settings, report, context)
    except LocalCloudError:
        if is_fresh or settings.port is None:
            raise
    report("The deploy failed on the running emulator; once more on a new one")
    emulator.stop(settings)
    _start_emulator(settings, postgres.identity(settings))
    return _deploy_once(settings, report, context)


def _deploy_once(settings: Settings, report: Report, context: Mapping[str, str]) -> dict[str, str]:
    started = time.monotonic()
    with ThreadPoolExecutor(max_workers=1) as pool:
        synthesis = pool.submit(deploy.synthesize, settings, context)
        deploy.bootstrap(settings)
        assembly = synthesis.result()
    report(f"Synthesized and bootstrapped ({time.monotonic() - started:.1f} s)")
    started = time.monotonic()
    outputs = deploy.deploy(settings, assembly)
    deploy.apply_reserved_concurrency(settings, assembly)
    deploy.tell_of_mails(settings, assembly, outputs["MailFeedbackTopicArn"])
    report(f"Deployed ({time.monotonic() - started:.1f} s)")
    return outputs


def _start_stripe(settings: Settings, report: Report) -> StripeFake | None:
    """Stripe's fake, if payments are made through it, or were: an audit asks it for those."""
    if settings.payment_provider != STRIPE and not stripe_server.has_records(settings):
        return None
    _start(report, "Stripe's fake", lambda: stripe_server.start(settings))
    return StripeFake(url=stripe_server.url(settings), api_key=API_KEY)


def _connect_stripe(settings: Settings, deployed: Stack) -> None:
    """Gives the stage its key, as an operator does, and Stripe's fake the address and the secret of its webhooks, which
    it forgets when it ends."""
    if settings.payment_provider != STRIPE:
        return
    secrets = aws.secrets(settings)
    secrets.put_secret_value(SecretId=_API_KEY_SECRET, SecretString=deployed["stripe"]["api_key"])
    signing_secret = secrets.get_secret_value(SecretId=WEBHOOK_SECRET)["SecretString"]
    StripeServer(deployed["stripe"]["url"]).send_webhooks_to(
        f"{deployed['api_url']}{API_PREFIX}/webhooks/payments/{STRIPE}", signing_secret
    )


def _start_emulator(settings: Settings, database: str) -> bool:
    def prepare() -> None:
        if recovery.is_another_database(settings, database):
            # It would write what it knows of the old one at its end.
            stripe_server.stop(settings)
        recovery.forget_executions(settings)
        recovery.forget_identities_of_another_database(settings, database)

    return emulator.start(settings, before=prepare)


def _forget_deployment(settings: Settings) -> None:
    """A new database needs all migrations, and they run in a deploy that changes them: it must be the first one.

    Raises LocalCloudError for an emulator that is not ours to restart.
    """
    if settings.port is None:
        raise LocalCloudError("The database is new, but the stack was deployed before. Restart LocalStack.")
    emulator.stop(settings)


def _start(report: Report, name: str, start: Callable[[], bool]) -> bool:
    started = time.monotonic()
    is_new = start()
    report(f"{name} started ({time.monotonic() - started:.1f} s)" if is_new else f"{name} is running")
    return is_new


def _stop(report: Report, name: str, stop: Callable[[], bool]) -> None:
    report(f"{name} stopped" if stop() else f"{name} was not running")


def _await_ready(deployed: Stack) -> None:
    """Waits until the API says that it can take an order; this also warms the function that answers."""

    def look() -> httpx.Response:
        return httpx.get(deployed["api_url"] + _READY_PATH, timeout=_READY_SECONDS)

    if not wait_until(lambda: look().is_success, _READY_SECONDS):
        last = look()
        raise LocalCloudError(f"The API is not ready: {last.status_code} {last.text[:500]}")


def _record(settings: Settings) -> Path:
    return settings.run / "deployment.json"


@dataclass(frozen=True)
class Sandbox:
    """A local cloud with a home and a port of its own: the developer's is left alone."""

    settings: Settings
    environment: dict[str, str]
    """For commands that are to find it."""


def new_sandbox(name: str, payment_provider: str = Settings.payment_provider) -> Sandbox:
    """A home below `.local` without any state, and a free port. What a killed run left there is stopped and removed
    first; what was synthesized from the same inputs is kept."""
    home = ROOT / ".local" / name
    own = {
        "ORDERS_HOME": str(home),
        "ORDERS_PORT": str(free_port()),
        "EMULATOR": "ministack",
        "PAYMENT_PROVIDER": payment_provider,
    }
    environment = os.environ | own
    settings = Settings.from_environment(environment)
    if home.exists():
        down(settings, print)
        for path in home.iterdir():
            if path.is_dir() and path != deploy.assembly_directory(settings):
                shutil.rmtree(path)
            elif path.is_file():
                path.unlink()
    return Sandbox(settings, environment)
