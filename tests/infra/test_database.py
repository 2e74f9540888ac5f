"""The database: out of reach, encrypted, kept; and migrated before it is used."""

import json
from typing import Any

import pytest
from aws_cdk import App

from infra.app import orders_stack
from infra.names import kebab
from orders.domain import SagaStep
from tests.infra.stacks import LOCAL_DATABASE, SynthesizedStack, context_of

USERS = {
    "create-order",
    "read-orders",
    "cancel-order",
    "manage-catalogue",
    "outbox-relay",
    "maintenance",
    "start-saga",
    "payment-events",
    "inventory-events",
    "notify",
    "mail-feedback",
    "operations",
    "recipients",
    "webhooks",
    "deliver-webhooks",
    "provider-events",
    "refund-steps",
    "migrate",
    *map(kebab, SagaStep),
}


def security_group(stack: SynthesizedStack, description: str) -> dict[str, Any]:
    """A reference to the security group of a description."""
    (logical_id,) = [
        logical_id
        for logical_id, group in stack.of_type("AWS::EC2::SecurityGroup").items()
        if group["GroupDescription"] == description
    ]
    return {"Fn::GetAtt": [logical_id, "GroupId"]}


def test_these_functions_use_the_database_and_no_other(stack: SynthesizedStack) -> None:
    assert {name for name in stack.functions if "DATABASE_SECRET_ID" in stack.environment(name)} == USERS


def test_the_schema_is_migrated_before_any_function_uses_it(stack: SynthesizedStack) -> None:
    (trigger,) = stack.of_type("Custom::Trigger")
    for name in USERS - {"migrate"}:
        assert trigger in stack.dependencies(stack.function_ids[name]), name


def test_migrations_run_again_when_they_change(stack: SynthesizedStack) -> None:
    """The trigger is bound to a version of the function, and every change of its code makes a new one."""
    trigger = stack.the("Custom::Trigger")
    (version,) = stack.of_type("AWS::Lambda::Version")
    assert trigger["HandlerArn"] == {"Ref": version}
    assert trigger["ExecuteOnHandlerChange"] is True
    assert stack.name_of(stack.the("AWS::Lambda::Version")["FunctionName"]) == "function migrate"


def test_a_deploy_waits_as_long_for_the_migrations_as_they_may_take(stack: SynthesizedStack) -> None:
    trigger = stack.the("Custom::Trigger")
    assert int(trigger["Timeout"]) == 1_000 * stack.functions["migrate"]["Timeout"]


def test_migrations_wait_for_the_proxy_and_the_cluster(managed: SynthesizedStack) -> None:
    """They run in the application's stack, which is deployed when the other one stands."""
    database = {
        "AWS::RDS::DBInstance",
        "AWS::RDS::DBProxy",
        "AWS::RDS::DBProxyTargetGroup",
        "Custom::Trigger",
    }
    owners = {
        resource["Type"]: name
        for name, template in managed.templates.items()
        for resource in template["Resources"].values()
        if resource["Type"] in database
    }
    assert owners == {
        **dict.fromkeys(database, managed.data_name),
        "Custom::Trigger": managed.name,
    }
    assert managed.data_name in managed.manifest[managed.name]["dependencies"]
    assert managed.name not in managed.manifest[managed.data_name].get("dependencies", [])


def test_functions_reach_the_database_only_by_the_proxy_over_tls(managed: SynthesizedStack) -> None:
    (proxy,) = managed.of_type("AWS::RDS::DBProxy")
    assert managed.the("AWS::RDS::DBProxy")["RequireTLS"] is True
    for name in USERS:
        assert managed.environment(name)["DATABASE_HOST"] == {"Fn::GetAtt": [proxy, "Endpoint"]}
        assert managed.functions[name]["VpcConfig"]["SecurityGroupIds"] == [
            security_group(managed, "Functions that use the database")
        ]


def test_the_database_lets_in_the_proxy_and_the_proxy_lets_in_the_functions(
    managed: SynthesizedStack,
) -> None:
    allowed = [
        (rule["SourceSecurityGroupId"], rule["GroupId"])
        for rule in managed.of_type("AWS::EC2::SecurityGroupIngress").values()
    ]
    functions = security_group(managed, "Functions that use the database")
    proxy = security_group(managed, "The database proxy")
    database = security_group(managed, "The database")
    assert sorted(map(str, allowed)) == sorted(map(str, [(functions, proxy), (proxy, database)]))
    assert all("SecurityGroupIngress" not in g for g in managed.of_type("AWS::EC2::SecurityGroup").values())


def test_functions_leave_the_network_by_https_only(managed: SynthesizedStack) -> None:
    outside = [
        (rule["IpProtocol"], rule["FromPort"], rule["ToPort"])
        for group in managed.of_type("AWS::EC2::SecurityGroup").values()
        for rule in group.get("SecurityGroupEgress", [])
        if rule["CidrIp"] == "0.0.0.0/0"
    ]
    assert outside == [("tcp", 443, 443)]


def test_the_database_is_encrypted_and_private(managed: SynthesizedStack) -> None:
    assert managed.the("AWS::RDS::DBCluster")["StorageEncrypted"] is True
    assert all(
        instance["PubliclyAccessible"] is False
        for instance in managed.of_type("AWS::RDS::DBInstance").values()
    )


def test_credentials_are_generated_and_stand_in_no_template(managed: SynthesizedStack) -> None:
    secret = managed.secrets["database"]
    assert "SecretString" not in secret
    assert secret["GenerateSecretString"]["PasswordLength"] >= 20
    assert json.loads(secret["GenerateSecretString"]["SecretStringTemplate"]) == {"username": "orders"}


def test_there_are_no_interface_endpoints_to_pay_for(managed: SynthesizedStack) -> None:
    assert not managed.of_type("AWS::EC2::VPCEndpoint")


def test_dev_has_one_nat_gateway(managed: SynthesizedStack) -> None:
    assert len(managed.of_type("AWS::EC2::NatGateway")) == {"dev": 1, "prod": 2}[managed.stage.name]


def test_production_survives_a_zone_and_a_slip(prod: SynthesizedStack) -> None:
    cluster = prod.the("AWS::RDS::DBCluster")
    assert cluster["DeletionProtection"] is True
    assert cluster["BackupRetentionPeriod"] >= 7
    assert len(prod.of_type("AWS::RDS::DBInstance")) == 2
    (deletion,) = [
        r["DeletionPolicy"] for r in prod.template["Resources"].values() if r["Type"] == "AWS::RDS::DBCluster"
    ]
    assert deletion == "Snapshot"


@pytest.mark.parametrize("chosen", ["dev"], indirect=True)
def test_what_a_deploy_says_of_the_database_holds(chosen: SynthesizedStack) -> None:
    said = chosen.context
    cluster = chosen.the("AWS::RDS::DBCluster")
    assert (cluster["Engine"], cluster["EngineVersion"]) == (
        "aurora-postgresql",
        said["database_engine_version"],
    )
    assert cluster["ServerlessV2ScalingConfiguration"] == {
        "MinCapacity": float(said["database_min_capacity"]),
        "MaxCapacity": float(said["database_max_capacity"]),
    }
    assert len(chosen.of_type("AWS::RDS::DBInstance")) == 1 + int(said["database_readers"]) == 3
    zones = {subnet["AvailabilityZone"] for subnet in chosen.of_type("AWS::EC2::Subnet").values()}
    assert zones == set(said["availability_zones"].split(","))
    (proxy,) = chosen.of_type("AWS::RDS::DBProxy").values()
    assert len(proxy["VpcSubnetIds"]) == 3


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("database_engine_version", "latest"),
        ("database_min_capacity", "0.3"),
        ("database_min_capacity", "4"),
        ("database_max_capacity", "many"),
        ("database_max_capacity", "257"),
        ("database_readers", "16"),
        ("availability_zones", "us-east-1a"),
        ("availability_zones", "us-east-1a,us-east-1a"),
        ("availability_zones", "us-east-1a, b"),
    ],
)
def test_what_no_database_can_be_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"{name}: {value!r}"):
        orders_stack(App(context={**context_of("dev"), name: value}))


def test_the_local_stage_brings_its_database_along(local: SynthesizedStack) -> None:
    assert local.secrets["database"]["SecretString"] == LOCAL_DATABASE
    assert not local.of_type("AWS::RDS::DBCluster")
    assert not local.of_type("AWS::EC2::VPC")
    assert all("VpcConfig" not in function for function in local.functions.values())
    assert all("DATABASE_HOST" not in local.environment(name) for name in local.functions)


def test_its_log_quotes_no_rows(managed: SynthesizedStack) -> None:
    group = managed.the("AWS::RDS::DBClusterParameterGroup")
    assert group["Parameters"] == {"log_error_verbosity": "terse"}
    (group_id,) = managed.of_type("AWS::RDS::DBClusterParameterGroup")
    assert managed.the("AWS::RDS::DBCluster")["DBClusterParameterGroupName"] == {"Ref": group_id}
