"""Locally a function imports only what its layer and its package ship, as on AWS."""

import io
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.assets import function_directory, layer_directory
from tests.e2e.conftest import Cloud
from tools.cloud import aws

DEPLOYED = "orders-local-read-orders"

Invoke = Callable[[Path], dict[str, Any]]


@pytest.fixture
def invoke_with_layer(running_cloud: Cloud) -> Invoke:
    """Deploys a twin of a function with another layer, invokes it, and answers what it said."""
    client = aws.functions(running_cloud.settings)
    deployed = client.get_function_configuration(FunctionName=DEPLOYED)

    def invoke(layer: Path) -> dict[str, Any]:
        name = f"{DEPLOYED}-{layer.name}"
        client.create_function(
            FunctionName=name,
            Runtime=deployed["Runtime"],
            Role=deployed["Role"],
            Handler=deployed["Handler"],
            Code={"ZipFile": _zip(function_directory("read_orders", "local"))},
            Environment={
                "Variables": {**deployed["Environment"]["Variables"], "PYTHONPATH": str(layer / "python")}
            },
            Timeout=deployed["Timeout"],
        )
        try:
            answer = client.invoke(FunctionName=name, Payload=json.dumps(_HEALTH_REQUEST))
            said: dict[str, Any] = json.loads(answer["Payload"].read())
            return said
        finally:
            client.delete_function(FunctionName=name)

    return invoke


@pytest.mark.parametrize(
    "dependency", ["pg8000", "pydantic", "sqlalchemy", "aws_lambda_powertools", "orders"]
)
def test_a_dependency_that_is_missing_from_the_layer_is_missing_from_the_function(
    invoke_with_layer: Invoke, tmp_path: Path, dependency: str
) -> None:
    incomplete = tmp_path / f"without-{dependency.replace('_', '-')}"
    shutil.copytree(layer_directory("local"), incomplete)
    shutil.rmtree(incomplete / "python" / dependency)
    said = invoke_with_layer(incomplete)
    assert f"No module named '{dependency}" in said["errorMessage"]


def test_with_the_whole_layer_the_same_function_answers(invoke_with_layer: Invoke, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    shutil.copytree(layer_directory("local"), whole)
    assert invoke_with_layer(whole)["statusCode"] == 200


def _zip(directory: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(directory.rglob("*")):
            archive.write(path, path.relative_to(directory))
    return buffer.getvalue()


_HEALTH_REQUEST = {
    "version": "2.0",
    "routeKey": "GET /api/v1/health/live",
    "rawPath": "/api/v1/health/live",
    "rawQueryString": "",
    "headers": {},
    "requestContext": {
        "http": {"method": "GET", "path": "/api/v1/health/live", "sourceIp": "192.0.2.1"},
        "requestId": "1",
        "routeKey": "GET /api/v1/health/live",
        "stage": "$default",
    },
    "isBase64Encoded": False,
}
