"""Where the credentials come from: Secrets Manager, remembered for a while."""

import json
import socket
import time
from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws
from sqlalchemy.exc import DBAPIError

from orders import aws
from orders.db import Credentials, Database, read_secret, sqlstate
from orders.errors import DatabaseUnavailable, ServiceUnavailable
from orders.settings import DatabaseSettings
from tests.support.factories import rows

API_TIMEOUT_SECONDS = 10
"""What a function of the API has: `infra.constructs.api`."""


@pytest.fixture
def settings() -> DatabaseSettings:
    return DatabaseSettings.from_environment()


@pytest.fixture
def secrets(settings: DatabaseSettings) -> Iterator[None]:
    aws._secrets.cache_clear()
    with mock_aws():
        yield
    aws._secrets.cache_clear()


@pytest.fixture
def secret(secrets: None, settings: DatabaseSettings, credentials: Credentials) -> Credentials:
    """The secret of the test's database, with what RDS adds to it."""
    as_rds_writes_it = {**credentials.model_dump(), "engine": "postgres", "dbClusterIdentifier": "orders"}
    boto3.client("secretsmanager").create_secret(
        Name=settings.database_secret_id, SecretString=json.dumps(as_rds_writes_it)
    )
    return credentials


def test_the_secret_leads_to_the_database(secret: Credentials, settings: DatabaseSettings) -> None:
    database = Database.from_settings(settings)

    assert rows(database, "SELECT current_database() AS name") == [{"name": secret.dbname}]
    database.engine.dispose()


def test_a_proxy_takes_the_place_of_the_secrets_host(secret: Credentials, settings: DatabaseSettings) -> None:
    behind_proxy = settings.model_copy(update={"database_host": "proxy.example"})

    assert read_secret(behind_proxy) == secret.model_copy(update={"host": "proxy.example"})


def test_it_is_asked_for_once_in_a_while(secret: Credentials, settings: DatabaseSettings) -> None:
    read_secret(settings)
    boto3.client("secretsmanager").delete_secret(SecretId=settings.database_secret_id)

    assert read_secret(settings) == secret


def test_a_rotated_secret_is_read_again_at_once(secret: Credentials, settings: DatabaseSettings) -> None:
    client = boto3.client("secretsmanager")
    before_rotation = secret.model_copy(update={"username": "rotated_away"})
    client.put_secret_value(
        SecretId=settings.database_secret_id, SecretString=before_rotation.model_dump_json()
    )
    read_secret(settings)
    client.put_secret_value(SecretId=settings.database_secret_id, SecretString=secret.model_dump_json())
    database = Database.from_settings(settings)

    assert rows(database, "SELECT current_user AS name") == [{"name": secret.username}]
    database.engine.dispose()


def test_credentials_that_stay_refused_are_an_error(secret: Credentials, settings: DatabaseSettings) -> None:
    wrong = secret.model_copy(update={"username": "nobody_we_know"})
    boto3.client("secretsmanager").put_secret_value(
        SecretId=settings.database_secret_id, SecretString=wrong.model_dump_json()
    )
    database = Database.from_settings(settings)

    with pytest.raises(DBAPIError) as caught:
        rows(database, "SELECT 1")

    assert sqlstate(caught.value) == "28000"


def test_nothing_is_asked_before_a_connection_is_needed(settings: DatabaseSettings) -> None:
    Database.from_settings(settings)


def test_a_secret_that_cannot_be_had_is_a_database_that_cannot(
    secrets: None, settings: DatabaseSettings
) -> None:
    database = Database.from_settings(settings)

    with pytest.raises(DatabaseUnavailable):
        rows(database, "SELECT 1")


def test_the_password_is_in_no_repr(credentials: Credentials) -> None:
    assert "s3cr3t" not in repr(credentials.model_copy(update={"password": "s3cr3t"}))


def test_secrets_manager_that_does_not_answer_leaves_time_to_respond(monkeypatch: pytest.MonkeyPatch) -> None:
    aws._secrets.cache_clear()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", f"http://127.0.0.1:{silent.getsockname()[1]}")
        started = time.monotonic()

        with pytest.raises(ServiceUnavailable):
            aws.read_secret("orders-test-database")

    assert time.monotonic() - started < API_TIMEOUT_SECONDS - 1
    aws._secrets.cache_clear()
