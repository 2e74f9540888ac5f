"""`orders preflight` says what an account lacks for a stage, before anything is made there."""

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.validate import validate_parameters

from tests.unit.tools.cli.conftest import Shell
from tools import preflight as checks

PROD = (
    *("preflight", "--stage", "prod", "--region", "us-east-1"),
    *("-c", "sender_email=orders@shop.example", "-c", "payment_provider=stripe"),
)
DEV = ("preflight", "--stage", "dev", "--region", "us-east-1")
VERIFIED = {"VerifiedForSendingStatus": True}
ZONES = {"us-east-1a": "use1-az1", "us-east-1b": "use1-az2", "us-east-1c": "use1-az3"}


@dataclass(frozen=True)
class Refusal:
    """An error of AWS's."""

    code: str
    message: str = ""


NO_STACK = Refusal("ValidationError", "Stack with id … does not exist")
DENIED = Refusal("AccessDeniedException", "User is not authorized to perform this")


def lambda_limits(quota: int, reserved: int = 0) -> dict[str, Any]:
    return {
        "AccountLimit": {"ConcurrentExecutions": quota, "UnreservedConcurrentExecutions": quota - reserved}
    }


def aurora_in(*zones: str) -> dict[str, Any]:
    return {"OrderableDBInstanceOptions": [{"AvailabilityZones": [{"Name": zone} for zone in zones]}]}


def toolkit(version: str = "21", status: str = "CREATE_COMPLETE") -> dict[str, Any]:
    return {
        "Stacks": [
            {
                "StackName": "CDKToolkit",
                "CreationTime": "2026-01-01T00:00:00Z",
                "StackStatus": status,
                "Outputs": [{"OutputKey": "BootstrapVersion", "OutputValue": version}],
            }
        ]
    }


def response(model: Any, status: int) -> AWSResponse:
    return AWSResponse(model.name, status, HTTPHeaders(), None)


@dataclass
class Account:
    """An AWS account that is ready, at the SDK's sockets: the SDK checks each call, and here each response, against
    AWS's own models. Responses are by operation, and by one of its parameters where that matters."""

    responses: dict[str, Any] = field(
        default_factory=lambda: {
            "GetCallerIdentity": {"Account": "123456789012"},
            "GetAccountSettings": lambda_limits(1_000),
            "GetAccount": {
                "ProductionAccessEnabled": True,
                "SendingEnabled": True,
                "EnforcementStatus": "HEALTHY",
                "SendQuota": {"Max24HourSend": 50_000.0},
            },
            "GetEmailIdentity": Refusal("NotFoundException"),
            "GetEmailIdentity shop.example": VERIFIED,
            "GetEmailIdentity orders@example.com": VERIFIED,
            "GetSMSSandboxAccountStatus": {"IsInSandbox": False},
            "GetSMSAttributes": {"attributes": {"MonthlySpendLimit": "200"}},
            "ListUserPools": {"UserPools": []},
            "DescribeStacks": NO_STACK,
            "DescribeStacks CDKToolkit": toolkit(),
            "DescribeOrderableDBInstanceOptions": aurora_in(*ZONES),
            "DescribeDBProxies": {"DBProxies": []},
            "DescribeAvailabilityZones": {
                "AvailabilityZones": [{"ZoneName": name, "ZoneId": id} for name, id in ZONES.items()]
            },
        }
    )
    asked: list[str] = field(default_factory=list)

    def respond(self, model: Any, params: dict[str, Any], **_: object) -> tuple[AWSResponse, dict[str, Any]]:
        name = model.name
        assert name.startswith(("Get", "List", "Describe")), "it only reads"
        self.asked.append(name)
        in_path = unquote(params["url_path"].rpartition("/")[2])
        in_form = params["body"].get("StackName") if isinstance(params["body"], dict) else None
        found = self.responses.get(f"{name} {in_form or in_path}", self.responses.get(name))
        if isinstance(found, Refusal):
            error = {"Code": found.code, "Message": found.message}
            return response(model, 400), {"Error": error}
        assert isinstance(found, dict), f"{name} has a response"
        validate_parameters(found, model.output_shape)
        return response(model, 200), found


@pytest.fixture(scope="module")
def session() -> boto3.Session:
    """One, since it reads the models of every service."""
    return boto3.Session(aws_access_key_id="key", aws_secret_access_key="secret", region_name="us-east-1")


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, session: boto3.Session) -> Account:
    fake = Account()
    make = session.client

    def client(*arguments: Any, **options: Any) -> Any:
        made = make(*arguments, **options)
        made.meta.events.register_first("before-call.*.*", fake.respond)
        return made

    monkeypatch.setattr(session, "client", client)
    monkeypatch.setattr(boto3, "Session", lambda region_name=None: session)
    return fake


def findings(shell: Shell, *arguments: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit code, and the findings by their checks."""
    done = shell.orders(*arguments, "--json")
    assert done.stdout, done.stderr
    return done.returncode, {finding["check"]: finding for finding in json.loads(done.stdout)["checks"]}


@pytest.mark.parametrize("command", [PROD, DEV])
def test_an_account_that_lacks_nothing_is_ready(
    shell: Shell, account: Account, command: tuple[str, ...]
) -> None:
    done = shell.orders(*command, "--json")

    assert done.returncode == 0, done.stdout
    said = json.loads(done.stdout)
    assert (said["account"], said["region"], said["ready"]) == ("123456789012", "us-east-1", True)
    assert [finding["check"] for finding in said["checks"]] == list(checks.CHECKS)
    assert all(finding["action"] is None for finding in said["checks"])


@pytest.mark.parametrize(
    ("check", "operation", "response", "detail", "action"),
    [
        ("Lambda quota", "GetAccountSettings", lambda_limits(10), "is 10 concurrent", "--desired-value 1000"),
        ("Lambda quota", "GetAccountSettings", lambda_limits(1_000, 700), "other functions", "or more"),
        (
            "SES account",
            "GetAccount",
            {"ProductionAccessEnabled": False, "SendingEnabled": True},
            "in its sandbox",
            "production access",
        ),
        (
            "SES account",
            "GetAccount",
            {"ProductionAccessEnabled": True, "SendingEnabled": False, "EnforcementStatus": "SHUTDOWN"},
            "SHUTDOWN",
            "AWS Support",
        ),
        (
            "Sender of mails",
            "GetEmailIdentity shop.example",
            Refusal("NotFoundException"),
            "neither orders@shop.example nor shop.example",
            "create-email-identity --email-identity shop.example",
        ),
        (
            "Sender of mails",
            "GetEmailIdentity shop.example",
            {"VerifiedForSendingStatus": False},
            "neither",
            "DKIM",
        ),
        ("Text messages", "GetSMSSandboxAccountStatus", {"IsInSandbox": True}, "sandbox", "SNS console"),
        ("Text messages", "GetSMSAttributes", {"attributes": {}}, "cost 1 USD a month", "limit of 200 USD"),
        ("CDK bootstrap", "DescribeStacks CDKToolkit", NO_STACK, "no stack CDKToolkit", "123456789012/us-ea"),
        ("CDK bootstrap", "DescribeStacks CDKToolkit", toolkit("5"), "version 5", "cdk bootstrap"),
        (
            "CDK bootstrap",
            "DescribeStacks CDKToolkit",
            toolkit(status="ROLLBACK_COMPLETE"),
            "ROLLBACK_COMPLETE",
            "cdk bootstrap",
        ),
        (
            "Aurora",
            "DescribeOrderableDBInstanceOptions",
            {"OrderableDBInstanceOptions": []},
            "17.5 is not offered",
            "-c database_engine_version=",
        ),
        (
            "Aurora",
            "DescribeOrderableDBInstanceOptions",
            aurora_in("us-east-1a", "us-east-1c"),
            "not in us-east-1b",
            "-c availability_zones=us-east-1a,us-east-1c",
        ),
        (
            "Aurora",
            "DescribeOrderableDBInstanceOptions",
            aurora_in("us-east-1a"),
            "not in us-east-1b",
            "another region",
        ),
    ],
)
def test_what_is_missing_is_told_with_what_to_ask_for(
    shell: Shell, account: Account, check: str, operation: str, response: Any, detail: str, action: str
) -> None:
    account.responses[operation] = response

    code, found = findings(shell, *PROD)

    assert code == 1
    assert {name for name, finding in found.items() if finding["status"] != "ok"} == {check}
    assert found[check]["status"] == "missing"
    assert detail in found[check]["detail"]
    assert action in found[check]["action"]


def test_a_zone_that_the_proxy_is_not_in_is_told(shell: Shell, account: Account) -> None:
    code, found = findings(shell, *PROD, "-c", "availability_zones=us-east-1a,us-east-1c")

    assert (code, found["Aurora"]["status"], found["RDS Proxy"]["status"]) == (1, "ok", "missing")
    assert "not in us-east-1c" in found["RDS Proxy"]["detail"]
    assert "-c availability_zones=us-east-1a,us-east-1b" in found["RDS Proxy"]["action"]


@pytest.mark.parametrize(("pool", "is_ready"), [("DEVELOPER", True), ("COGNITO_DEFAULT", False)])
def test_a_user_pool_of_production_has_to_send_by_ses(
    shell: Shell, account: Account, pool: str, is_ready: bool
) -> None:
    account.responses["ListUserPools"] = {"UserPools": [{"Id": "us-east-1_a", "Name": "orders-prod-users"}]}
    account.responses["DescribeUserPool"] = {
        "UserPool": {"EmailConfiguration": {"EmailSendingAccount": pool}}
    }

    code, found = findings(shell, *PROD)

    assert (code == 0) == is_ready
    assert (found["Cognito mail"]["status"] == "ok") == is_ready


def test_before_the_first_deploy_the_limit_of_cognitos_own_mails_is_told(
    shell: Shell, account: Account
) -> None:
    _, found = findings(shell, *PROD)
    assert "50 a day" in found["Cognito mail"]["detail"]


def test_a_quota_that_the_account_does_not_have_is_told(shell: Shell, account: Account) -> None:
    code, found = findings(shell, *PROD, "-c", "lambda_quota=3000")
    assert code == 1
    assert "-c lambda_quota=1000" in found["Lambda quota"]["action"]


def test_what_the_stage_reserves_itself_is_not_missing_the_next_time(shell: Shell, account: Account) -> None:
    account.responses["GetAccountSettings"] = lambda_limits(500, 340)
    account.responses["DescribeStacks orders-prod"] = toolkit()

    code, _ = findings(shell, *PROD)

    assert code == 0


def test_a_sender_that_the_stack_would_make_must_not_be_there(shell: Shell, account: Account) -> None:
    made = ("-c", "create_sender=true")
    assert findings(shell, *PROD, *made)[0] == 0
    account.responses["GetEmailIdentity orders@shop.example"] = {"VerifiedForSendingStatus": False}
    code, found = findings(shell, *PROD, *made)
    assert code == 1
    assert "without -c create_sender" in found["Sender of mails"]["action"]


def test_the_sandboxes_are_enough_for_a_stage_that_takes_no_real_orders(
    shell: Shell, account: Account
) -> None:
    account.responses["GetAccount"] = {"ProductionAccessEnabled": False, "SendingEnabled": True}
    account.responses["GetSMSSandboxAccountStatus"] = {"IsInSandbox": True}

    code, found = findings(shell, *DEV)

    assert code == 0
    assert "verified recipients only" in found["SES account"]["detail"]


def data_stack(status: str, *, is_protected: bool) -> dict[str, Any]:
    (stack,) = toolkit(status=status)["Stacks"]
    return {"Stacks": [stack | {"EnableTerminationProtection": is_protected}]}


@pytest.mark.parametrize(
    ("status", "is_protected", "context", "action"),
    [
        ("CREATE_COMPLETE", False, (), "without -c first_deploy=true"),
        ("CREATE_COMPLETE", False, ("-c", "first_deploy=true"), None),
        ("UPDATE_COMPLETE", True, (), None),
        ("ROLLBACK_COMPLETE", False, (), None),
        ("ROLLBACK_COMPLETE", True, (), "--no-enable-termination-protection --stack-name orders-prod-data"),
        ("ROLLBACK_FAILED", True, (), "deploy with -c first_deploy=true"),
    ],
)
def test_data_that_stands_has_to_be_protected_and_what_failed_must_not_be(
    shell: Shell,
    account: Account,
    status: str,
    is_protected: bool,
    context: tuple[str, ...],
    action: str | None,
) -> None:
    account.responses["DescribeStacks orders-prod-data"] = data_stack(status, is_protected=is_protected)

    code, found = findings(shell, *PROD, *context)

    assert code == (1 if action else 0)
    assert (action or "") in (found["Stack of the data"]["action"] or "")


def test_before_the_first_deploy_it_is_told_how_to_make_it(shell: Shell, account: Account) -> None:
    _, found = findings(shell, *PROD)
    assert "-c first_deploy=true" in found["Stack of the data"]["detail"]


OPERATIONS = {
    "Lambda quota": "GetAccountSettings",
    "SES account": "GetAccount",
    "Sender of mails": "GetEmailIdentity shop.example",
    "Text messages": "GetSMSAttributes",
    "Cognito mail": "ListUserPools",
    "CDK bootstrap": "DescribeStacks CDKToolkit",
    "Stack of the data": "DescribeStacks orders-prod-data",
    "Aurora": "DescribeOrderableDBInstanceOptions",
    "RDS Proxy": "DescribeDBProxies",
}


@pytest.mark.parametrize("check", checks.CHECKS)
def test_a_check_that_may_not_look_says_so_and_stops_no_other(
    shell: Shell, account: Account, check: str
) -> None:
    operation = OPERATIONS[check]
    account.responses[operation] = DENIED

    code, found = findings(shell, *PROD)

    assert code == 1
    assert {name for name, finding in found.items() if finding["status"] != "ok"} == {check}
    assert found[check]["status"] == "unknown"
    assert found[check]["detail"].startswith("Could not look: AccessDeniedException")
    assert f"Allow {operation.partition(' ')[0]}" in found[check]["action"]


def test_people_read_a_line_for_each_check_and_what_to_do(shell: Shell, account: Account) -> None:
    account.responses["GetAccountSettings"] = lambda_limits(10)

    done = shell.orders(*PROD)

    assert done.returncode == 1
    lines = done.stdout.decode().splitlines()
    assert lines[0] == "Account 123456789012, us-east-1, stage prod"
    assert lines[1].startswith(" ✗ Lambda quota")
    assert "▸ Ask for 440 or more: aws service-quotas" in lines[2]
    assert lines[-1].startswith("Not ready")


def test_credentials_that_aws_does_not_take_are_refused(shell: Shell, account: Account) -> None:
    account.responses["GetCallerIdentity"] = Refusal("ExpiredToken", "The security token is expired")
    done = shell.orders(*PROD)
    assert done.returncode == 3
    assert "The security token is expired" in done.stderr.decode()
    assert account.asked == ["GetCallerIdentity"]


def test_without_credentials_it_says_so(shell: Shell, tmp_path: Any) -> None:
    nothing = str(tmp_path / "nothing")
    done = shell.orders(
        *PROD,
        AWS_CONFIG_FILE=nothing,
        AWS_SHARED_CREDENTIALS_FILE=nothing,
        AWS_EC2_METADATA_DISABLED="true",
    )
    assert done.returncode == 3
    assert "no AWS credentials" in done.stderr.decode()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--stage", "prod"), "-c sender_email="),
        (("--stage", "local"), "for this machine"),
        (("--stage", "staging"), "choose a stage"),
        (("--stage", "dev", "-c", "sender_email"), "-c name=value"),
        (("--stage", "dev", "-c", "lambda_quota=10"), "Ask AWS for"),
    ],
)
def test_what_would_not_synthesize_is_refused_as_there(
    shell: Shell, arguments: tuple[str, ...], said: str
) -> None:
    done = shell.orders("preflight", "--region", "us-east-1", *arguments)
    assert done.returncode == 2
    assert said in done.stderr.decode()


def test_the_region_has_to_be_known(shell: Shell, tmp_path: Any) -> None:
    done = shell.orders("preflight", "--stage", "dev", AWS_CONFIG_FILE=str(tmp_path / "nothing"))
    assert done.returncode == 2
    assert "--region" in done.stderr.decode()
