"""What has to be kept is in a stack of its own, which stands before the application's and is protected once it does."""

import json
from typing import Any, Final

import pytest

from infra.stages import STAGES
from tests.infra.stacks import SynthesizedStack

# Log groups are in both stacks: they are records, and where they are missing a deploy makes them.
STATEFUL: Final = {
    "AWS::Cognito::UserPool",
    "AWS::Cognito::UserPoolClient",
    "AWS::Cognito::UserPoolGroup",
    "AWS::KMS::Key",
    "AWS::RDS::DBCluster",
    "AWS::RDS::DBInstance",
    "AWS::RDS::DBProxy",
    "AWS::SES::EmailIdentity",
    "AWS::SNS::Subscription",
    "AWS::SNS::Topic",
    "AWS::SQS::Queue",
    "AWS::SecretsManager::Secret",
}
"""Somebody else's data, messages, or something that others know or have confirmed."""
CODE: Final = {
    "AWS::ApiGatewayV2::Api",
    "AWS::CloudWatch::Alarm",
    "AWS::Lambda::EventSourceMapping",
    "AWS::Scheduler::Schedule",
    "AWS::StepFunctions::StateMachine",
    "Custom::Trigger",
}
MOST_RESOURCES: Final = 400
"""CloudFormation's limit is 500 in a stack."""
MOST_OUTPUTS: Final = 150
"""Its limit is 200."""

PHYSICAL_NAMES: Final = {
    "AlarmName",
    "DBClusterIdentifier",
    "FunctionName",
    "LogGroupName",
    "Name",
    "QueueName",
    "StateMachineName",
    "TopicName",
    "UserPoolName",
}


def types(template: dict[str, Any]) -> set[str]:
    return {resource["Type"] for resource in template["Resources"].values()}


def test_what_has_to_be_kept_is_in_the_stack_of_the_data(stack: SynthesizedStack) -> None:
    application, data = (types(stack.templates[name]) for name in (stack.name, stack.data_name))
    assert not application & STATEFUL
    assert data & STATEFUL >= {"AWS::Cognito::UserPool", "AWS::SQS::Queue", "AWS::SecretsManager::Secret"}
    assert ("AWS::RDS::DBCluster" in data) == (stack.stage.database is not None)


def test_none_of_our_code_is_in_the_stack_of_the_data(stack: SynthesizedStack) -> None:
    data = stack.templates[stack.data_name]
    assert not types(data) & CODE
    handlers = [
        resource["Properties"]["Handler"]
        for resource in data["Resources"].values()
        if resource["Type"] == "AWS::Lambda::Function"
    ]
    # CDK's own function, which closes the network's default security group.
    assert handlers == ([] if stack.stage.database is None else ["__entrypoint__.handler"])


def test_both_stacks_are_well_below_what_cloudformation_allows(stack: SynthesizedStack) -> None:
    for template in stack.templates.values():
        assert len(template["Resources"]) < MOST_RESOURCES
        assert len(template["Outputs"]) < MOST_OUTPUTS


def test_the_data_stands_before_the_application_and_needs_nothing_of_it(stack: SynthesizedStack) -> None:
    assert stack.data_name in stack.manifest[stack.name]["dependencies"]
    assert stack.name not in stack.manifest[stack.data_name].get("dependencies", [])
    assert "Fn::ImportValue" not in json.dumps(stack.templates[stack.data_name])
    assert not [id for id, output in stack.templates[stack.name]["Outputs"].items() if "Export" in output]


def test_an_application_that_was_removed_can_be_deployed_again(stack: SynthesizedStack) -> None:
    """It leaves log groups of production behind, which `cdk deploy --import-existing-resources` takes over."""
    kept = {
        resource["Type"]
        for resource in stack.templates[stack.name]["Resources"].values()
        if resource.get("DeletionPolicy", "Delete") != "Delete"
    }
    assert kept == ({"AWS::Logs::LogGroup"} if stack.stage.keeps_data else set())


def test_nothing_with_a_name_of_ours_stays_after_a_first_deploy_that_failed(stack: SynthesizedStack) -> None:
    named = {
        logical_id: resource.get("DeletionPolicy", "Delete")
        for template in stack.templates.values()
        for logical_id, resource in template["Resources"].items()
        if resource.get("Properties", {}).keys() & PHYSICAL_NAMES
    }
    assert len(named) > len(stack.functions)
    assert set(named.values()) <= {"Delete", "RetainExceptOnCreate", "Snapshot"}


def protections(stack: SynthesizedStack) -> dict[str, bool]:
    """What has to be switched off before anybody can delete the data."""
    properties = stack.manifest[stack.data_name]["properties"]
    found = {
        "stack": properties.get("terminationProtection", False),
        "users": stack.the("AWS::Cognito::UserPool").get("DeletionProtection") == "ACTIVE",
    }
    if stack.stage.database:
        found["database"] = stack.the("AWS::RDS::DBCluster")["DeletionProtection"]
    return found


def test_only_productions_data_is_protected_from_deletion(stack: SynthesizedStack) -> None:
    assert set(protections(stack).values()) == {stack.stage.name == "prod"}
    assert not stack.manifest[stack.name]["properties"].get("terminationProtection", False)


@pytest.fixture(scope="module")
def first_deploy(tmp_path_factory: pytest.TempPathFactory) -> SynthesizedStack:
    return SynthesizedStack(STAGES["prod"], tmp_path_factory.mktemp("first"), first_deploy="true")


def test_the_first_deploy_protects_nothing_so_that_it_can_fail(first_deploy: SynthesizedStack) -> None:
    """CloudFormation takes back what a failed creation made, which it cannot do with what is protected; nor can the CDK
    remove the stack that is left, before it makes it anew."""
    assert set(protections(first_deploy).values()) == {False}


def test_the_deploy_after_it_protects_and_changes_nothing_else(
    first_deploy: SynthesizedStack, prod: SynthesizedStack
) -> None:
    assert first_deploy.templates[prod.name] == prod.templates[prod.name]
    changed = {
        resource["Type"]
        for logical_id, resource in prod.templates[prod.data_name]["Resources"].items()
        if resource != first_deploy.templates[prod.data_name]["Resources"][logical_id]
    }
    assert changed == {"AWS::Cognito::UserPool", "AWS::RDS::DBCluster"}
