"""The local cloud's users sign in by one HTTP call of Cognito's API."""

from pathlib import Path
from typing import cast

import pytest

from tests.unit.tools.cli.conftest import FakeApi
from tools.cloud.settings import Settings
from tools.cloud.stack import Stack, sign_in
from tools.errors import Refused, Unavailable

STACK = cast(
    Stack,
    {
        "user_pool_client_id": "client",
        "users": {"customer": {"email": "customer@example.com", "password": "s3cret"}},
    },
)


def cloud_at(url: str, home: Path) -> Settings:
    return Settings(home, url, port=None, inherited={})


def test_the_password_is_exchanged_for_tokens(api: FakeApi, tmp_path: Path) -> None:
    api.responses = {("POST", "/"): {"AuthenticationResult": {"AccessToken": "a", "IdToken": "i"}}}

    tokens = sign_in(cloud_at(api.url, tmp_path), STACK, "customer")

    assert (tokens.access_token, tokens.id_token) == ("a", "i")
    (asked,) = api.asked
    assert asked.headers["x-amz-target"] == "AWSCognitoIdentityProviderService.InitiateAuth"
    assert asked.body == {
        "AuthFlow": "USER_PASSWORD_AUTH",
        "ClientId": "client",
        "AuthParameters": {"USERNAME": "customer@example.com", "PASSWORD": "s3cret"},
    }


def test_a_refusal_is_told_without_the_password(api: FakeApi, tmp_path: Path) -> None:
    problem = '{"__type": "NotAuthorizedException", "message": "Incorrect username or password."}'
    api.responses = {("POST", "/"): (400, "application/x-amz-json-1.1", problem)}

    with pytest.raises(Refused, match="Incorrect username or password") as refused:
        sign_in(cloud_at(api.url, tmp_path), STACK, "customer")

    assert "s3cret" not in str(refused.value)


def test_nobody_who_responds_is_told(nobody: str, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="Cognito does not answer"):
        sign_in(cloud_at(nobody, tmp_path), STACK, "customer")
