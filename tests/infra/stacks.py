"""A synthesized stage, and the questions that the tests ask of its templates."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from aws_cdk import App

from infra.app import orders_stack
from infra.names import kebab
from infra.stages import STAGES, UNRESERVED_CONCURRENCY, Stage

ROOT = Path(__file__).resolve().parents[2]

LOCAL_DATABASE = json.dumps(
    {"username": "orders", "password": "local", "host": "/run/postgres", "port": 5432, "dbname": "orders"}
)

CALL_PAYMENT_PROVIDER = frozenset(
    {
        "maintenance",
        "operations",
        "payment-events",
        "process-payment",
        "provider-events",
        "refund-payment",
        "refund-steps",
    }
)
"""The functions that do; they may read our key there."""

Properties = dict[str, Any]


def context_of(stage: str) -> dict[str, Any]:
    """What `cdk synth -c stage=…` gives the app: the flags of cdk.json, the stage, and where the stage needs them a
    database, a sender of mails and a payment provider."""
    flags: dict[str, Any] = json.loads((ROOT / "cdk.json").read_text())["context"]
    database = {} if STAGES[stage].database else {"database": LOCAL_DATABASE}
    sender = {} if STAGES[stage].sender_email else {"sender_email": "orders@shop.example"}
    payments = {} if STAGES[stage].allows_test_payments else {"payment_provider": "stripe"}
    return {**flags, "stage": stage, **database, **sender, **payments}


def choices_of(stage: str) -> dict[str, str]:
    """Everything that a deploy of a stage on AWS may choose, but what only its first one does (`infra.app`), chosen
    otherwise than the stage has it. None of it contradicts another, so one synthesis serves the tests of all."""
    # Of production cfn-lint sees what is chosen here, and it wants no zone to be named.
    zones = {"availability_zones": "us-east-1a,us-east-1c,us-east-1d"} if stage == "dev" else {}
    return {
        **zones,
        "alarm_subscribers": "ops@example.net,https://pager.example.net/hooks/orders?key=1",
        "allowed_origins": "https://shop.example.com,https://admin.example.com:8443,http://localhost:3000",
        "create_sender": "true",
        "database_engine_version": "16.9",
        "database_max_capacity": "8.5",
        "database_min_capacity": "2",
        "database_readers": "2",
        # The smallest that is enough.
        "lambda_quota": str(STAGES[stage].reserved_concurrency + UNRESERVED_CONCURRENCY),
        "login_domain": "https://orders.auth.us-east-1.amazoncognito.com",
        "payment_provider": "stripe",
        "sender_email": "shop@example.net",
    }


@dataclass(frozen=True)
class Statement:
    """One allowing IAM statement, with its resources by name."""

    actions: frozenset[str]
    resources: frozenset[str]
    conditions: Mapping[str, Any] = field(default_factory=dict)


class SynthesizedStack:
    """The two stacks of one stage, as they are together: what one of them imports is what the other one exports."""

    template: dict[str, Any]
    """The resources of both, and the outputs of the application's."""

    context: Mapping[str, Any]
    """What the app was given, with what the deploy chose."""

    def __init__(self, stage: Stage, output_directory: Path, **context: str) -> None:
        self.stage = stage
        self.output_directory = output_directory
        self.context = context_of(stage.name) | context
        # CDK's own check takes several times as long as the synthesis: `test_stack` has it made of production.
        self.app = App(
            outdir=str(output_directory), context=self.context, builtin_cloud_formation_validation=False
        )
        orders_stack(self.app)
        self.app.synth()
        self.name, self.data_name = f"orders-{stage.name}", f"orders-{stage.name}-data"
        self.templates: dict[str, dict[str, Any]] = {
            name: json.loads((output_directory / f"{name}.template.json").read_text())
            for name in (self.name, self.data_name)
        }
        application, data = self.templates[self.name], self.templates[self.data_name]
        assert not application["Resources"].keys() & data["Resources"].keys()
        exported = {output["Export"]["Name"]: output["Value"] for output in data["Outputs"].values()}
        self.template = _imported(
            {
                "Resources": application["Resources"] | data["Resources"],
                "Outputs": application["Outputs"],
            },
            exported,
        )

    @cached_property
    def manifest(self) -> dict[str, dict[str, Any]]:
        """What the CDK command line is told of each stack."""
        artifacts = json.loads((self.output_directory / "manifest.json").read_text())["artifacts"]
        return {name: artifacts[name] for name in self.templates}

    def of_type(self, resource_type: str) -> dict[str, Properties]:
        """The properties of all resources of a type, by logical id."""
        return {
            logical_id: resource.get("Properties", {})
            for logical_id, resource in self.template["Resources"].items()
            if resource["Type"] == resource_type
        }

    def the(self, resource_type: str) -> Properties:
        """The properties of the one resource of a type."""
        (properties,) = self.of_type(resource_type).values()
        return properties

    def state_machine(self, name: str = "order-saga") -> Properties:
        """The properties of the state machine of this name, without the stage."""
        machines = self.of_type("AWS::StepFunctions::StateMachine").values()
        return next(machine for machine in machines if self.short(machine["StateMachineName"]) == name)

    def dependencies(self, logical_id: str) -> set[str]:
        """What is made before a resource, as far as its `DependsOn` says."""
        return set(self.template["Resources"][logical_id].get("DependsOn", []))

    def short(self, name: str) -> str:
        """A resource's name without the stage: `orders-dev-notify` is `notify`."""
        return name.replace(f"orders-{self.stage.name}-", "", 1)

    @cached_property
    def functions(self) -> dict[str, Properties]:
        """Our own functions by short name; those that CDK brings have no name."""
        return {
            self.short(properties["FunctionName"]): properties
            for properties in self.of_type("AWS::Lambda::Function").values()
            if "FunctionName" in properties
        }

    @cached_property
    def function_ids(self) -> dict[str, str]:
        """Logical ids by short name."""
        return {
            self.short(properties["FunctionName"]): logical_id
            for logical_id, properties in self.of_type("AWS::Lambda::Function").items()
            if "FunctionName" in properties
        }

    @cached_property
    def queues(self) -> dict[str, Properties]:
        """All queues by short name, dead-letter queues too."""
        return {self.short(queue["QueueName"]): queue for queue in self.of_type("AWS::SQS::Queue").values()}

    @cached_property
    def secrets(self) -> dict[str, Properties]:
        """All secrets by short name, generated or not."""
        return {
            self._secret_name(logical_id, secret): secret
            for logical_id, secret in self.of_type("AWS::SecretsManager::Secret").items()
        }

    def _secret_name(self, logical_id: str, secret: Properties) -> str:
        if "Name" in secret:
            return self.short(secret["Name"])
        key = re.fullmatch(r"Keys(\w+Key)[0-9A-F]{8}", logical_id)
        return kebab(key[1]) if key else "database"

    @cached_property
    def consumers(self) -> dict[str, tuple[str, Properties]]:
        """By queue: the name of the function that consumes it, and the event source mapping."""
        return {
            self.name_of(mapping["EventSourceArn"]).removeprefix("queue "): (
                self.name_of(mapping["FunctionName"]).removeprefix("function "),
                mapping,
            )
            for mapping in self.of_type("AWS::Lambda::EventSourceMapping").values()
        }

    @cached_property
    def schedules(self) -> dict[str, Properties]:
        """The schedules by the function that they start."""
        return {
            self.name_of(schedule["Target"]["Arn"]).removeprefix("function "): schedule
            for schedule in self.of_type("AWS::Scheduler::Schedule").values()
        }

    def environment(self, function: str) -> dict[str, Any]:
        """A function's variables; values that only a deploy knows are intrinsic functions."""
        variables: dict[str, Any] = self.functions[function]["Environment"]["Variables"]
        return variables

    @cached_property
    def payment_provider(self) -> str:
        """The name of the one that the stage chooses."""
        return str(self.environment("create-order")["PAYMENT_PROVIDER"])

    def layers(self, function: Properties) -> list[Path]:
        """The staged directories of a function's layers."""
        versions = self.of_type("AWS::Lambda::LayerVersion")
        keys = [versions[layer["Ref"]]["Content"]["S3Key"] for layer in function["Layers"]]
        return [self.output_directory / f"asset.{key.removesuffix('.zip')}" for key in keys]

    def statements(self) -> Iterator[tuple[str, Statement]]:
        """Every allowing statement of every role, with the role's logical id."""
        for role_id, role in self.of_type("AWS::IAM::Role").items():
            for policy in role.get("Policies", []):
                yield from self._statements(role_id, policy["PolicyDocument"])
        for policy in self.of_type("AWS::IAM::Policy").values():
            for role_reference in policy["Roles"]:
                yield from self._statements(role_reference["Ref"], policy["PolicyDocument"])

    def rights(self, function: str) -> dict[str, frozenset[str]]:
        """What a function may do: actions by the name of the resource they are allowed on."""
        (role_id, _) = self.functions[function]["Role"]["Fn::GetAtt"]
        rights: defaultdict[str, set[str]] = defaultdict(set)
        for owner, statement in self.statements():
            if owner == role_id:
                for resource in statement.resources:
                    rights[resource] |= statement.actions
        return {resource: frozenset(actions) for resource, actions in rights.items()}

    def name_of(self, reference: Any) -> str:
        """What an ARN in a template means: `queue order-processing`, `function notify`, `secret`, `*`.

        A part of an ARN stays visible: the versions of a function are `function migrate:*`.
        """
        match reference:
            case str():
                return reference
            case {"Ref": logical_id} | {"Fn::GetAtt": [logical_id, *_]}:
                return self._name_of_resource(logical_id)
            case {"Fn::Join": [separator, parts]}:
                return str(separator).join(self.name_of(part) for part in parts)
            case _:
                raise AssertionError(f"not the name of a resource: {reference}")

    def _name_of_resource(self, logical_id: str) -> str:
        if logical_id.startswith("AWS::"):
            return logical_id
        resource = self.template["Resources"][logical_id]
        properties = resource.get("Properties", {})
        match resource["Type"]:
            case "AWS::Lambda::Function":
                return f"function {self.short(properties['FunctionName'])}"
            case "AWS::SQS::Queue":
                return f"queue {self.short(properties['QueueName'])}"
            case "AWS::Logs::LogGroup":
                return f"logs of {self.short(properties.get('LogGroupName', logical_id).rpartition('/')[2])}"
            case "AWS::SecretsManager::Secret":
                name = self._secret_name(logical_id, properties).replace("-", " ")
                return name if name.endswith(("key", "secret")) else f"{name} secret"
            case "AWS::SecretsManager::SecretTargetAttachment":
                return "database secret"
            case "AWS::StepFunctions::StateMachine":
                is_saga = properties["StateMachineName"].endswith("-order-saga")
                return "state machine" if is_saga else "refund state machine"
            case "AWS::SES::EmailIdentity":
                return "sender"
            case "AWS::SES::ConfigurationSet":
                return self.short(properties["Name"])
            case "AWS::SNS::Topic":
                return f"topic {self.short(properties['TopicName'])}"
            case "AWS::Cognito::UserPool":
                return "user pool"
            case other:
                return f"{other} {logical_id}"

    def _statements(self, role_id: str, document: Mapping[str, Any]) -> Iterator[tuple[str, Statement]]:
        for statement in document["Statement"]:
            assert statement["Effect"] == "Allow"
            yield (
                role_id,
                Statement(
                    actions=frozenset(_as_list(statement["Action"])),
                    resources=frozenset(
                        self.name_of(resource) for resource in _as_list(statement.get("Resource", []))
                    )
                    | {
                        f"all but {self.name_of(resource)}"
                        for resource in _as_list(statement.get("NotResource", []))
                    },
                    conditions=statement.get("Condition", {}),
                ),
            )


def _imported(value: Any, exported: Mapping[str, Any]) -> Any:
    """The value with each import replaced by what is exported under its name."""
    match value:
        case {"Fn::ImportValue": name}:
            return exported[name]
        case dict():
            return {key: _imported(part, exported) for key, part in value.items()}
        case list():
            return [_imported(part, exported) for part in value]
        case _:
            return value


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
