"""Where the local cloud lives and how it is reached. Nothing else under `tools/cloud/` reads the environment."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

from tools.errors import LocalCloudError
from tools.loopback import is_loopback

ROOT: Final = Path(__file__).resolve().parents[2]
STAGE: Final = "local"
STACK_NAME: Final = f"orders-{STAGE}"
DATA_STACK_NAME: Final = f"{STACK_NAME}-data"
REGION: Final = "us-east-1"
ACCOUNT: Final = "000000000000"
# Emulators check signatures against no account, but every SDK wants something to sign with.
ACCESS_KEY: Final = "test"

LOOPBACK: Final = "127.0.0.1"
_DEFAULT_PORT: Final = "4566"

STRIPE: Final = "stripe"
PAYMENT_PROVIDERS: Final = ("simulator", STRIPE)
"""As `orders.payments.provider` names them; that imports a database's driver, which most commands do not need."""

IDENTITY_FILE: Final = "identity.json"
"""In the emulator's state: ids, users and secrets, see `kept_identity`."""


def is_local(url: str, settings: "Settings") -> bool:
    """Whether the URL leads to the local cloud of these settings."""
    try:
        asked, ours = urlsplit(url), urlsplit(settings.endpoint_url)
        same_host = asked.hostname == ours.hostname or (
            is_loopback(url) and is_loopback(settings.endpoint_url)
        )
        return same_host and (asked.scheme, asked.port) == (ours.scheme, ours.port)
    except ValueError:
        return False


@dataclass(frozen=True)
class Settings:
    """One local cloud. Two of them, with different homes and ports, run side by side."""

    home: Path
    """Holds everything the local cloud writes: data, logs, pidfiles, stack.json."""
    endpoint_url: str
    port: int | None
    """Where to start the emulator; None when an emulator that is already there is used."""
    inherited: dict[str, str]
    """The little that child processes take over from this one's environment."""
    payment_provider: str = "simulator"
    """What `up` deploys the stage with."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Reads ORDERS_HOME (default `.local`), ORDERS_PORT (4566), EMULATOR (ministack, or localstack) and
        PAYMENT_PROVIDER (simulator, or stripe).

        Raises LocalCloudError for a value that cannot be used.
        """
        home = Path(environment.get("ORDERS_HOME") or ROOT / ".local").expanduser().resolve()
        emulator = environment.get("EMULATOR") or "ministack"
        inherited = {name: environment[name] for name in ("PATH", "HOME", "LANG") if name in environment}
        provider = environment.get("PAYMENT_PROVIDER") or cls.payment_provider
        if provider not in PAYMENT_PROVIDERS:
            raise LocalCloudError(
                f"PAYMENT_PROVIDER is {provider!r}; it can be {' or '.join(PAYMENT_PROVIDERS)}."
            )
        if emulator == "localstack":
            # Honours AWS_ENDPOINT_URL and LOCALSTACK_HOST. Imported here: it imports the SDK.
            from localstack_client.config import get_service_endpoint

            return cls(home, str(get_service_endpoint("lambda")), None, inherited, provider)
        if emulator != "ministack":
            raise LocalCloudError(f"EMULATOR is {emulator!r}; it can be 'ministack' or 'localstack'.")
        given = environment.get("ORDERS_PORT") or _DEFAULT_PORT
        if not given.isdecimal() or not 0 < int(given) < 65536:
            raise LocalCloudError(f"ORDERS_PORT is {given!r}; it must be a port number from 1 to 65535.")
        return cls(home, f"http://{LOOPBACK}:{given}", int(given), inherited, provider)

    @property
    def run(self) -> Path:
        """Pidfiles and records of what runs."""
        return self.home / "run"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def temporary(self) -> Path:
        """Scratch space of the emulator and of the CDK CLI; nothing in it outlives them."""
        return self.home / "tmp"

    @property
    def stack_file(self) -> Path:
        return self.home / "stack.json"

    @property
    def session_file(self) -> Path:
        """The tokens of whoever signed in to the local cloud with `orders login`."""
        return self.home / "session.json"

    def session_file_of(self, api_url: str) -> Path:
        """The tokens of whoever signed in to an API elsewhere: each in a file of its own."""
        return self.home / "sessions" / f"{hashlib.sha256(api_url.encode()).hexdigest()[:16]}.json"

    @property
    def emulator_state(self) -> Path:
        """What outlives an emulator, and belongs to the database: the keys that it signs tokens with, ids, users and
        their passwords, secrets."""
        return self.home / "identity"

    def aws_environment(self) -> dict[str, str]:
        """The environment of a child process that must see this local cloud, and no real account whatever happens."""
        return self.inherited | {
            "TMPDIR": str(self.temporary),
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": ACCESS_KEY,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ENDPOINT_URL_S3": self.endpoint_url,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
