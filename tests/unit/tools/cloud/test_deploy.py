"""What a deploy to the local cloud asks for before it changes anything there."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tools.cloud import aws, deploy
from tools.cloud.settings import Settings
from tools.errors import LocalCloudError

APPLICATION, DATA = "orders-local", "orders-local-data"


class CloudFormation:
    """The stacks that stand, and those of a deploy, which brings both."""

    def __init__(self, *standing: str) -> None:
        self._standing = {*standing}
        self.deploys = 0

    def describe_stacks(self, StackName: str) -> dict[str, Any]:  # noqa: N803 - as in the SDK
        if StackName not in self._standing:
            raise ClientError({"Error": {"Code": "ValidationError"}}, "DescribeStacks")
        return {"Stacks": [{"StackId": StackName, "StackStatus": "CREATE_COMPLETE"}]}

    def cdk(self, settings: Settings, arguments: Sequence[str], directory: Path) -> None:
        self.deploys += 1
        outputs = {DATA: {"ExportsOutputRefKey": "arn"}, APPLICATION: {"Region": "us-east-1"}}
        Path(arguments[arguments.index("--outputs-file") + 1]).write_text(json.dumps(outputs))


@pytest.mark.parametrize(
    ("standing", "is_deployed"),
    [((), True), ((DATA,), True), ((DATA, APPLICATION), True), ((APPLICATION,), False)],
)
def test_an_application_that_stands_alone_is_not_updated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, standing: tuple[str, ...], is_deployed: bool
) -> None:
    """It has the queues and keys of before, by the names that those of the other stack would have."""
    settings = Settings(tmp_path, "http://127.0.0.1:4566", 4566, {})
    settings.temporary.mkdir()
    cloud = CloudFormation(*standing)
    monkeypatch.setattr(aws, "stacks", lambda _: cloud)
    monkeypatch.setattr(deploy, "_cdk", cloud.cdk)

    if is_deployed:
        assert deploy.deploy(settings, tmp_path) == {"Region": "us-east-1"}
    else:
        with pytest.raises(LocalCloudError, match="stands without orders-local-data"):
            deploy.deploy(settings, tmp_path)
    assert cloud.deploys == is_deployed
