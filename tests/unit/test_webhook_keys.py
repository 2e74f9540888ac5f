"""The secrets of webhooks: derived from one key, each its own, and never without the key."""

import base64
from collections.abc import Iterator
from uuid import UUID, uuid4

import boto3
import pytest
from moto import mock_aws

from orders.errors import ServiceUnavailable
from orders.webhooks.keys import SigningKeys

KEY = "k" * 64
ENDPOINT = UUID("018f3f7e-0000-7000-8000-000000000001")
OTHER = UUID("018f3f7e-0000-7000-8000-000000000002")


@pytest.fixture
def name() -> Iterator[str]:
    """A name for a secret. Powertools remembers secrets by name, so each test has its own."""
    with mock_aws():
        yield f"key-{uuid4()}"


def test_a_secret_is_what_the_standard_asks_for() -> None:
    secret = SigningKeys(lambda: KEY).secret(ENDPOINT, 1)

    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32


def test_it_is_the_same_each_time_it_is_asked_for_and_another_for_each_endpoint_version_and_key() -> None:
    keys = SigningKeys(lambda: KEY)

    assert keys.secret(ENDPOINT, 1) == keys.secret(ENDPOINT, 1)
    others = [
        keys.secret(ENDPOINT, 2),
        keys.secret(OTHER, 1),
        SigningKeys(lambda: "x" * 64).secret(ENDPOINT, 1),
    ]
    assert len({keys.secret(ENDPOINT, 1), *others}) == 4


def test_what_customers_have_been_given_stays_valid() -> None:
    """A change of how secrets are derived would invalidate every customer's."""
    assert (
        SigningKeys(lambda: KEY).secret(ENDPOINT, 1) == "whsec_zqR4AhD219YoY7V/OGWhxMuLh+W7bp2/ITaA6jIaaRI="
    )


def test_the_key_comes_from_secrets_manager(name: str) -> None:
    boto3.client("secretsmanager").create_secret(Name=name, SecretString=KEY)

    assert SigningKeys.from_secret(name).secret(ENDPOINT, 1) == SigningKeys(lambda: KEY).secret(ENDPOINT, 1)


def test_without_the_key_there_is_no_secret(name: str) -> None:
    with pytest.raises(ServiceUnavailable):
        SigningKeys.from_secret(name).secret(ENDPOINT, 1)


@pytest.mark.parametrize("content", ["short", " "])
def test_what_is_no_key_is_not_taken_for_one(name: str, content: str) -> None:
    boto3.client("secretsmanager").create_secret(Name=name, SecretString=content)

    with pytest.raises(ServiceUnavailable):
        SigningKeys.from_secret(name).secret(ENDPOINT, 1)
