"""The app as a whole: what it needs, what it says, and what the checkers say of it."""

import contextlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml  # type: ignore[import-untyped]
from aws_cdk import App, Stack, Validations
from aws_cdk import aws_sqs as sqs
from cdk_nag import AwsSolutionsChecks
from cfnlint.api import lint  # type: ignore[import-untyped]
from cfnlint.config import ManualArgs  # type: ignore[import-untyped]

from infra.app import orders_stack
from infra.stages import STAGES
from tests.infra.stacks import ROOT, SynthesizedStack, context_of

QUEUES = (
    "OrderProcessing",
    "PaymentProcessing",
    "InventoryManagement",
    "NotificationSending",
    "WebhookDelivery",
    "PaymentWebhooks",
    "MailFeedback",
)

ACCEPTED: Final = yaml.safe_load((ROOT / ".cfnlintrc.yaml").read_text())["ignore_checks"]
"""As for `make lint`."""


def test_the_outputs_are_what_the_local_cloud_and_operators_read(stack: SynthesizedStack) -> None:
    assert set(stack.template["Outputs"]) == {
        "Region",
        "ApiUrl",
        "ApiId",
        "StateMachineArn",
        "RefundStateMachineArn",
        "UserPoolId",
        "UserPoolClientId",
        "RelayFunctionName",
        "AlarmTopicArn",
        "MailFeedbackTopicArn",
        *(f"{queue}{kind}Url" for queue in QUEUES for kind in ("Queue", "Dlq")),
    }


@pytest.mark.parametrize("stage", [None, "staging"])
def test_a_stage_that_there_is_not_is_refused_by_name(stage: str | None) -> None:
    app = App(context={"stage": stage} if stage else {})
    with pytest.raises(ValueError, match=r"-c stage=local\|dev\|prod") as refused:
        orders_stack(app)
    assert repr(stage) in str(refused.value)


def test_the_local_stage_asks_for_its_database() -> None:
    with pytest.raises(ValueError, match="-c database="):
        orders_stack(App(context={"stage": "local"}))


def test_production_without_a_sender_of_its_own_is_refused_and_says_why() -> None:
    context = {name: value for name, value in context_of("prod").items() if name != "sender_email"}
    with pytest.raises(ValueError, match=r"'prod' sends mails to customers: .* -c sender_email="):
        orders_stack(App(context=context))


def test_make_synth_gives_production_what_it_needs() -> None:
    printed = subprocess.run(
        ["make", "--dry-run", "synth", "STAGE=prod"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert "-c stage=prod" in printed
    assert "-c sender_email=" in printed


def test_a_sender_that_ses_knows_is_used_and_none_is_made_unless_a_deploy_says_so(
    managed: SynthesizedStack,
) -> None:
    """Making one that is there fails the deploy; one of a domain that SES has verified needs no identity of its own."""
    assert not managed.of_type("AWS::SES::EmailIdentity")


def test_the_sender_can_be_chosen_and_made(chosen: SynthesizedStack) -> None:
    sender = chosen.context["sender_email"]
    assert sender != STAGES["dev"].sender_email
    assert chosen.the("AWS::SES::EmailIdentity")["EmailIdentity"] == sender
    assert chosen.environment("notify")["SENDER_EMAIL"] == sender


def test_a_first_deploy_that_failed_can_be_repeated(stack: SynthesizedStack) -> None:
    """What such a deploy made goes with it: a log group or a secret that stays would refuse the next one its name."""
    kept = {
        (resource["Type"], resource["DeletionPolicy"])
        for resource in stack.template["Resources"].values()
        if resource.get("DeletionPolicy", "Delete") not in ("Delete", "Snapshot")
    }
    assert {policy for _, policy in kept} == (
        {"RetainExceptOnCreate"} if stack.stage.name == "prod" else set()
    )
    assert ("AWS::Cognito::UserPool", "RetainExceptOnCreate") in kept or stack.stage.name != "prod"


def test_names_are_generated_where_nobody_looks_for_one(managed: SynthesizedStack) -> None:
    """A resource with a name of ours cannot be replaced, and when it is kept, the next stack cannot have the name."""
    named = {name.rpartition("/")[2] for name in log_groups(managed)}
    assert "refused-traffic" not in named
    assert managed.stage.resource_name("sms-limit") not in named
    assert managed.the("AWS::RDS::DBProxy")["DBProxyName"] != managed.stage.resource_name("database")
    # Operators write these.
    assert {name for name, secret in managed.secrets.items() if "Name" in secret} <= {
        "payment-webhook-secret",
        "stripe-api-key",
    }


def log_groups(stack: SynthesizedStack) -> list[str]:
    """The names of those that have one of ours."""
    return [
        properties["LogGroupName"]
        for properties in stack.of_type("AWS::Logs::LogGroup").values()
        if "LogGroupName" in properties
    ]


# With everything that a deploy may choose production has every kind of resource that goes to AWS.
@pytest.mark.parametrize("chosen", ["prod"], indirect=True)
def test_cfn_lint_finds_nothing(chosen: SynthesizedStack) -> None:
    for name, template in chosen.templates.items():
        assert findings_of_cfn_lint(template) == [], name


@pytest.mark.parametrize("chosen", ["prod"], indirect=True)
def test_nothing_goes_to_aws_that_cfn_lint_has_not_seen(
    managed: SynthesizedStack, chosen: SynthesizedStack
) -> None:
    assert properties_in_use(managed) - properties_in_use(chosen) == set()


def test_cfn_lint_does_look(prod: SynthesizedStack) -> None:
    resources = {
        kind: next(item for item in prod.template["Resources"].items() if item[1]["Type"] == kind)
        for kind in ("AWS::SQS::Queue", "AWS::StepFunctions::StateMachine")
    }
    template = json.loads(json.dumps({"Resources": dict(resources.values())}))
    queue, machine = (template["Resources"][name]["Properties"] for name, _ in resources.values())
    queue["Color"] = "red"
    definition = json.loads(machine["DefinitionString"])
    del definition["States"]["VerifyStock"]["Type"]
    machine["DefinitionString"] = json.dumps(definition)

    findings = findings_of_cfn_lint(template)

    assert [finding for finding in findings if "'Color' was unexpected" in finding]
    assert [finding for finding in findings if "'Type' is a required property" in finding]


def test_cdk_nag_finds_nothing_in_production_that_is_not_accepted_with_a_reason(
    prod: SynthesizedStack,
) -> None:
    report = checked_by_cdk_nag(prod.app, prod.output_directory)
    assert report["violations"] == []
    assert report["conclusion"] == "success"
    accepted = report["suppressedViolations"]
    assert {finding["ruleName"] for finding in accepted} == {
        "AwsSolutions-APIG4",
        "AwsSolutions-COG2",
        "AwsSolutions-COG8",
        "AwsSolutions-IAM5[Resource::*]",
        "AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:logs:<AWS::Region>:<AWS::AccountId>:log-group:"
        "/aws/lambda/orders-prod-*]",
        "AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:states:<AWS::Region>:<AWS::AccountId>:execution:"
        "orders-prod-order-saga:*]",
        "AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:states:<AWS::Region>:<AWS::AccountId>:execution:"
        "orders-prod-order-refund:*]",
        "AwsSolutions-L1",
        "AwsSolutions-RDS6",
        "AwsSolutions-SF1",
        "AwsSolutions-SMG4",
    }
    assert all(len(finding["reason"].split()) >= 5 for finding in accepted)


def test_cdk_nag_does_look(tmp_path: Path) -> None:
    app = App(outdir=str(tmp_path), builtin_cloud_formation_validation=False)
    sqs.Queue(Stack(app, "careless"), "Queue")
    report = checked_by_cdk_nag(app, tmp_path)
    assert {finding["ruleName"] for finding in report["violations"]} >= {
        "AwsSolutions-SQS3",
        "AwsSolutions-SQS4",
    }


def test_cdk_json_starts_the_app_bare_and_offline_and_cdk_s_own_check_finds_nothing(
    tmp_path: Path, prod: SynthesizedStack
) -> None:
    """`prod` comes first so that the wheels are there: fetching those does need a network, once."""
    app = json.loads((ROOT / "cdk.json").read_text())["app"]
    environment = {
        name: value
        for name, value in os.environ.items()
        if name != "PYTHONPATH" and not name.startswith("AWS_")
    }
    environment |= {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "CDK_CONTEXT_JSON": json.dumps(context_of("prod")),
        "CDK_OUTDIR": str(tmp_path),
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
    }
    done = subprocess.run(
        [*without_network(), "sh", "-c", app],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert {
        name: json.loads((tmp_path / f"{name}.template.json").read_text()) for name in prod.templates
    } == prod.templates
    assert json.loads((tmp_path / "validation-report.json").read_text())["pluginReports"] == []


def properties_in_use(stack: SynthesizedStack) -> set[tuple[str, str]]:
    """Types of resources, each with a name of a property."""
    return {
        (resource["Type"], name)
        for resource in stack.template["Resources"].values()
        for name in resource.get("Properties", {})
    }


def findings_of_cfn_lint(template: dict[str, Any]) -> list[str]:
    """What cfn-lint says of a template, one line a finding."""
    config = ManualArgs(regions=["us-east-1"], ignore_checks=ACCEPTED)
    return [f"{match.rule.id} {match.message}" for match in lint(json.dumps(template), config=config)]


def checked_by_cdk_nag(app: App, output_directory: Path) -> dict[str, Any]:
    """The report of cdk-nag's AwsSolutions rules; with findings, synthesis fails after writing it."""
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    with contextlib.suppress(RuntimeError):  # the report says more than the error does
        app.synth(force=True)
    (report,) = json.loads((output_directory / "validation-report.json").read_text())["pluginReports"]
    assert report["pluginName"] == "AwsSolutions"
    return dict(report)


def without_network() -> list[str]:
    """A prefix that runs a command where there is no network, if this machine lets us; else only proxies say so."""
    prefix = ["unshare", "--map-root-user", "--net"]
    if shutil.which("unshare") is None or subprocess.run([*prefix, "true"], check=False).returncode != 0:
        return []
    return prefix
