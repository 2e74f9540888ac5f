"""`orders signup`, `confirm` and `login`: an address is checked before anybody is asked."""

import pytest
from typer.testing import CliRunner

from tools.cli import account


@pytest.mark.parametrize("command", ["signup", "confirm", "login"])
@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("a..b@example.com", "two periods"),
        ("ada@localhost", "period"),
        ("д@example.com", "Internationalized"),
        ("ada@[192.0.2.1]", "bracketed"),
    ],
)
def test_an_address_that_takes_no_mail_makes_no_account(command: str, address: str, reason: str) -> None:
    result = CliRunner().invoke(account.app, [command, address, *(["1"] if command == "confirm" else [])])

    assert result.exit_code == 2
    assert reason in result.output
