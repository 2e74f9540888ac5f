import stat
import string
from pathlib import Path

import pytest

from infra.names import pascal
from orders.events import Queue
from tools.cloud import stack
from tools.cloud.settings import Settings
from tools.cloud.stack import User, new_password

OUTPUTS = {
    "Region": "us-east-1",
    "ApiUrl": "https://abc123.execute-api.us-east-1.amazonaws.com",
    "ApiId": "abc123",
    "StateMachineArn": "arn:aws:states:us-east-1:000000000000:stateMachine:orders-local-order-saga",
    "UserPoolId": "us-east-1_pool",
    "UserPoolClientId": "client",
    "RelayFunctionName": "orders-local-outbox-relay",
    **{f"{pascal(name)}QueueUrl": f"http://queues/{name}" for name in Queue},
    **{f"{pascal(name)}DlqUrl": f"http://queues/{name}-dlq" for name in Queue},
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path, "http://127.0.0.1:4566", 4566, {})


def test_what_is_written_is_what_clients_are_promised(settings: Settings) -> None:
    user = User(email="customer@example.com", password="secret")
    stack.write(settings, stack.describe(settings, OUTPUTS, {"customer": user}, "postgresql+pg8000://"))

    written = stack.read(settings)

    assert written is not None
    assert written["api_url"] == "http://127.0.0.1:4566/_aws/execute-api/abc123"
    assert written["console_url"] == f"{written['api_url']}/api/v1/console"
    assert set(written["queues"]) == set(Queue)
    assert written["queues"]["notification-sending"] == {
        "url": "http://queues/notification-sending",
        "dlq_url": "http://queues/notification-sending-dlq",
    }
    assert written["users"]["customer"] == user


def test_only_its_owner_reads_the_passwords(settings: Settings) -> None:
    stack.write_json(settings.stack_file, {})
    assert stat.S_IMODE(settings.stack_file.stat().st_mode) == 0o600


def test_nothing_was_written_yet(settings: Settings) -> None:
    assert stack.read(settings) is None


def test_passwords_differ_and_satisfy_the_user_pool() -> None:
    passwords = {new_password() for _ in range(100)}
    assert len(passwords) == 100
    for password in passwords:
        assert len(password) >= 12
        for kind in (string.ascii_lowercase, string.ascii_uppercase, string.digits, string.punctuation):
            assert set(kind) & set(password)
