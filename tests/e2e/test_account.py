"""Signing up, in and out with the `orders` command line (trap T24: logout did nothing)."""

import json
import re
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import uuid4

import jwt
import pytest

from tests.e2e.conftest import Cloud
from tests.e2e.test_api import Caller
from tools.audit import mailbox
from tools.cloud import aws
from tools.cloud.settings import ROOT
from tools.cloud.stack import new_password


@dataclass
class Account:
    """Somebody with an address and a password, at a terminal."""

    cloud: Cloud
    email: str
    password: str
    said: str = ""

    def orders(self, *arguments: str, password: str | None = None) -> str:
        """What the command printed.

        Raises:
            AssertionError: it failed; the message is what it said.
        """
        done = subprocess.run(
            [sys.executable, "-m", "tools.cli", *arguments],
            cwd=ROOT,
            env=self.cloud.environment,
            input=None if password is None else f"{password}\n",
            capture_output=True,
            text=True,
            check=False,
        )
        self.said += done.stdout + done.stderr
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        return done.stdout

    def log_in(self) -> dict[str, str]:
        """Signs in, and answers what was kept."""
        self.orders("login", self.email, password=self.password)
        session: dict[str, str] = json.loads(self.cloud.settings.session_file.read_text())
        return session

    def can_renew(self, refresh_token: str) -> bool:
        cognito = aws.cognito(self.cloud.settings)
        try:
            cognito.initiate_auth(
                AuthFlow="REFRESH_TOKEN_AUTH",
                ClientId=self.cloud.stack["user_pool_client_id"],
                AuthParameters={"REFRESH_TOKEN": refresh_token},
            )
        except cognito.exceptions.NotAuthorizedException:
            return False
        return True


@pytest.fixture(scope="module")
def account(running_cloud: Cloud) -> Iterator[Account]:
    """A new account, made and confirmed as its owner would."""
    account = Account(running_cloud, f"grace-{uuid4().hex[:8]}@example.com", new_password())
    account.orders("signup", account.email, password=account.password)
    mails = mailbox.read(running_cloud.settings) or []
    (code,) = [
        found[0] for mail in mails if account.email in mail.to if (found := re.findall(r"\d{6}", mail.body))
    ]
    account.orders("confirm", account.email, code)
    yield account
    running_cloud.settings.session_file.unlink(missing_ok=True)


def test_the_tokens_are_for_their_owner_s_eyes_only(account: Account) -> None:
    account.log_in()
    assert stat.S_IMODE(account.cloud.settings.session_file.stat().st_mode) == 0o600


def test_who_is_signed_in_gets_a_token_that_the_api_takes(account: Account) -> None:
    account.log_in()
    token = account.orders("token").strip()
    assert Caller(account.cloud.stack["api_url"], token).get("/orders").status == 200


def test_a_token_that_is_about_to_end_is_renewed(account: Account) -> None:
    session = account.log_in()
    account.cloud.settings.session_file.write_text(json.dumps({**session, "expires_at": time.time()}))
    issued = jwt.decode(session["access_token"], options={"verify_signature": False})
    renewed = jwt.decode(account.orders("token").strip(), options={"verify_signature": False})
    assert renewed["jti"] != issued["jti"]
    assert renewed["sub"] == issued["sub"]


def test_signing_out_revokes_the_refresh_token_and_forgets_it(account: Account) -> None:
    session = account.log_in()
    assert account.can_renew(session["refresh_token"])
    account.orders("logout")
    assert not account.can_renew(session["refresh_token"])
    assert not account.cloud.settings.session_file.exists()
    with pytest.raises(AssertionError, match="Nobody is signed in"):
        account.orders("token", "--user", "me")


def test_signing_out_here_leaves_another_machine_alone_unless_asked_to(account: Account) -> None:
    elsewhere = account.log_in()["refresh_token"]
    account.log_in()
    account.orders("logout")
    assert account.can_renew(elsewhere)

    session = account.log_in()
    # Cognito's clock counts seconds: what is issued in the second of the sign-out is not older than it.
    issued = jwt.decode(session["access_token"], options={"verify_signature": False})["iat"]
    while time.time() < issued + 1:
        time.sleep(0.05)
    account.orders("logout", "--everywhere")
    assert not account.can_renew(elsewhere)
    assert not account.can_renew(session["refresh_token"])


def test_a_wrong_password_and_an_unknown_address_are_refused_alike(account: Account) -> None:
    with pytest.raises(AssertionError) as wrong:
        account.orders("login", account.email, password=new_password())
    with pytest.raises(AssertionError) as unknown:
        account.orders("login", "nobody@example.com", password=new_password())
    assert str(wrong.value) == str(unknown.value)


def test_a_weak_password_is_refused_in_cognito_s_words(account: Account) -> None:
    with pytest.raises(AssertionError, match=r"Cognito answered: .*[Pp]assword"):
        account.orders("signup", "weak@example.com", password="weak")


def test_the_password_is_written_down_nowhere(account: Account) -> None:
    account.log_in()
    assert account.password not in account.said
    home = account.cloud.settings.home
    for file in [account.cloud.settings.session_file, *(home / "logs").rglob("*")]:
        if file.is_file():
            assert account.password not in file.read_text(errors="replace"), file
