"""Every function: its runtime, its environment, its logs, its limits."""

import ast
import importlib
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from aws_cdk import App

from functions.cancel_order.handler import WAKE_ATTEMPTS
from functions.operations.queues.dead_letters import HOLD_SECONDS
from infra.app import orders_stack
from infra.names import kebab
from infra.stages import STAGES, UNRESERVED_CONCURRENCY, Stage
from orders.aws import CONNECT_TIMEOUT_SECONDS
from orders.domain import SagaStep
from orders.events import EVENT_QUEUES, Queue
from orders.executions import READ_TIMEOUT_SECONDS
from orders.payments.settings import PaymentSettings
from orders.settings import EnvironmentSettings, FunctionSettings
from payment_simulator.settings import SimulatorSettings
from payment_stripe.settings import StripeSettings
from tests.infra.stacks import ROOT, SynthesizedStack, context_of

HANDLER = re.compile(r"functions\.(?P<package>\w+)\.handler\.(?P<entry>\w+)")
STEPS = [kebab(step) for step in SagaStep]
RECOVERY = ["maintenance", "payment-events", "inventory-events"]
FUNCTIONS = [
    "create-order",
    "read-orders",
    "cancel-order",
    "api-docs",
    "console",
    "manage-catalogue",
    "outbox-relay",
    "start-saga",
    "notify",
    "mail-feedback",
    "recipients",
    "webhooks",
    "deliver-webhooks",
    "payment-webhooks",
    "provider-events",
    "refund-steps",
    "migrate",
    "operations",
    *RECOVERY,
    *STEPS,
]

PROVIDER_SETTINGS: dict[str, type[EnvironmentSettings]] = {
    "simulator": SimulatorSettings,
    "stripe": StripeSettings,
}

RETENTION_DAYS = {"local": 1, "dev": 7, "prod": 90}

# Read by Powertools, not by us; its metrics are lost without them.
POWERTOOLS = {"POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE"}


def handler_of(stack: SynthesizedStack, function: str) -> tuple[str, str]:
    """The package and the entry that a function's handler string names."""
    match = HANDLER.fullmatch(stack.functions[function]["Handler"])
    assert match, f"{function} has no handler of ours"
    return match["package"], match["entry"]


def settings_of(package: str) -> type[FunctionSettings]:
    """The settings class that a function reads: its own, or the one of the shared package that its handler names."""
    directory = ROOT / "functions" / package
    if (directory / "settings.py").is_file():
        name, module = "Settings", f"functions.{package}.settings"
    else:
        handler = ast.parse((directory / "handler.py").read_text())
        name, module = next(
            (alias.name, node.module)
            for node in handler.body
            if isinstance(node, ast.ImportFrom) and node.module
            for alias in node.names
            if alias.name.endswith("Settings")
        )
    settings: type[FunctionSettings] = getattr(importlib.import_module(module), name)
    assert issubclass(settings, FunctionSettings)
    return settings


def variables_of(stack: SynthesizedStack, function: str) -> tuple[set[str], set[str]]:
    """The variables that a function needs, and all that it may have."""
    package, _ = handler_of(stack, function)
    classes: list[type[EnvironmentSettings]] = [settings_of(package)]
    if issubclass(settings_of(package), PaymentSettings):
        classes.append(PROVIDER_SETTINGS[stack.payment_provider])
    fields = {name.upper(): field for settings in classes for name, field in settings.model_fields.items()}
    return {name for name, field in fields.items() if field.is_required()}, set(fields)


def deployed(value: Any) -> str:
    """A variable's value after a deploy, with a stand-in for whatever AWS names."""
    match value:
        case str():
            return value
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(deployed(part) for part in parts)
        case {"Ref": _} | {"Fn::GetAtt": _}:
            return "named-by-aws"
        case _:
            raise AssertionError(f"not a value: {value}")


def test_every_function_is_in_the_stack(stack: SynthesizedStack) -> None:
    assert sorted(stack.functions) == sorted(FUNCTIONS)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_handler_exists(stack: SynthesizedStack, function: str) -> None:
    package, entry = handler_of(stack, function)
    module = ast.parse((ROOT / "functions" / package / "handler.py").read_text())
    defined = {node.name for node in module.body if isinstance(node, ast.FunctionDef)}
    assigned = {
        target.id
        for node in module.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    assert entry in defined | assigned


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_environment_has_every_variable_that_the_settings_require(
    stack: SynthesizedStack, function: str
) -> None:
    required, _ = variables_of(stack, function)
    assert required <= set(stack.environment(function))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_environment_has_no_variable_that_the_settings_do_not_declare(
    stack: SynthesizedStack, function: str
) -> None:
    _, declared = variables_of(stack, function)
    python_path = {"PYTHONPATH"} if stack.stage.name == "local" else set()
    assert set(stack.environment(function)) <= declared | POWERTOOLS | python_path


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_function_starts_with_the_environment_it_gets(stack: SynthesizedStack, function: str) -> None:
    package, _ = handler_of(stack, function)
    environment = {name: deployed(value) for name, value in stack.environment(function).items()}
    with patch.dict(os.environ, environment, clear=True):
        settings = settings_of(package).from_environment()
        if isinstance(settings, PaymentSettings):
            PROVIDER_SETTINGS[stack.payment_provider].from_environment()
    assert settings.stage == stack.stage.name


@pytest.mark.parametrize(
    ("function", "variable", "queues"),
    [
        ("outbox-relay", "QUEUE_URLS", EVENT_QUEUES),
        ("operations", "QUEUE_URLS", Queue),
        ("operations", "DLQ_URLS", Queue),
    ],
)
def test_who_works_with_many_queues_knows_them_by_name(
    stack: SynthesizedStack, function: str, variable: str, queues: Iterable[Queue]
) -> None:
    assert set(json.loads(deployed(stack.environment(function)[variable]))) == set(queues)


def test_operators_read_the_logs_of_every_function(stack: SynthesizedStack) -> None:
    environment = stack.environment("operations")
    groups = {group.get("LogGroupName") for group in stack.of_type("AWS::Logs::LogGroup").values()}

    names = json.loads(environment["LOGGING_FUNCTIONS"])

    assert set(names) == set(FUNCTIONS)
    assert {environment["LOG_GROUP_PREFIX"] + name for name in names} <= groups
    # AWS gives a function 4 KiB for all of them; what only a deploy knows is longer than here.
    assert len(environment["LOGGING_FUNCTIONS"]) < 1024


def test_a_message_that_an_operator_looks_at_is_held_for_longer_than_the_function_runs(
    stack: SynthesizedStack,
) -> None:
    assert stack.functions["operations"]["Timeout"] < HOLD_SECONDS


@pytest.mark.parametrize("function", FUNCTIONS)
def test_metrics_and_traces_carry_the_name_of_the_function_and_its_stage(
    stack: SynthesizedStack, function: str
) -> None:
    properties = stack.functions[function]
    assert stack.environment(function)["POWERTOOLS_SERVICE_NAME"] == properties["FunctionName"]
    assert stack.environment(function)["POWERTOOLS_METRICS_NAMESPACE"] == "Orders"
    assert stack.environment(function)["STAGE"] == stack.stage.name
    assert properties["TracingConfig"] == {"Mode": "Active"}


def test_every_function_writes_to_a_log_group_with_the_stage_s_retention(stack: SynthesizedStack) -> None:
    groups = stack.of_type("AWS::Logs::LogGroup")
    functions = stack.of_type("AWS::Lambda::Function")
    assert len(functions) > len(FUNCTIONS), "CDK's own functions count too"
    for logical_id, function in functions.items():
        group = groups[function["LoggingConfig"]["LogGroup"]["Ref"]]
        assert group["RetentionInDays"] == RETENTION_DAYS[stack.stage.name], logical_id


def test_lambda_adds_no_lines_of_its_own_to_invocations_that_go_well(stack: SynthesizedStack) -> None:
    for logical_id, properties in stack.functions.items():
        logging = {**properties["LoggingConfig"], "LogGroup": None}
        assert logging == {
            "LogFormat": "JSON",
            "SystemLogLevel": "WARN",
            "ApplicationLogLevel": "INFO",
            "LogGroup": None,
        }, logical_id


def test_no_log_is_kept_for_ever(stack: SynthesizedStack) -> None:
    assert all("RetentionInDays" in group for group in stack.of_type("AWS::Logs::LogGroup").values())


def test_on_aws_functions_run_on_arm_with_the_shared_layer(managed: SynthesizedStack) -> None:
    for function in managed.functions.values():
        assert function["Runtime"] == "python3.13"
        assert function["Architectures"] == ["arm64"]
        assert (managed.layers(function)[0] / "python" / "orders" / "settings.py").is_file()


def test_who_uses_the_payment_provider_has_its_layer_too(managed: SynthesizedStack) -> None:
    for name, function in managed.functions.items():
        has_provider = any(
            (layer / "python" / f"payment_{managed.payment_provider}").is_dir()
            for layer in managed.layers(function)
        )
        assert has_provider == ("PAYMENT_PROVIDER" in managed.environment(name)), name


def test_the_layer_brings_the_orders_package_and_wheels_for_arm(prod: SynthesizedStack) -> None:
    (layer,) = prod.layers(prod.functions["manage-catalogue"])
    assert (layer / "python" / "orders" / "settings.py").is_file()
    assert not list((layer / "python").glob("payment_*"))
    compiled = {path.name for path in layer.rglob("*.so")}
    assert compiled, "pydantic's core is compiled"
    assert all("aarch64" in name for name in compiled)


def test_locally_functions_run_on_this_interpreter_with_the_layer_s_directory(
    local: SynthesizedStack,
) -> None:
    for name, function in local.functions.items():
        assert function["Runtime"] == "provided.al2023"
        assert "Layers" not in function
        shared, *providers = map(Path, local.environment(name)["PYTHONPATH"].split(":"))
        assert (shared / "orders" / "settings.py").is_file()
        has_provider = [(provider / "payment_simulator").is_dir() for provider in providers]
        assert has_provider == [True] * ("PAYMENT_PROVIDER" in local.environment(name))


def test_the_local_package_starts_aws_s_runtime_client(local: SynthesizedStack) -> None:
    bootstraps = list(local.output_directory.glob("asset.*/bootstrap"))
    assert bootstraps
    for bootstrap in bootstraps:
        assert os.access(bootstrap, os.X_OK)
        assert "-m awslambdaric" in bootstrap.read_text()


@pytest.mark.parametrize(
    "function", ["create-order", "read-orders", "webhooks", "api-docs", "manage-catalogue", "operations"]
)
def test_the_api_gives_up_before_the_gateway_does(stack: SynthesizedStack, function: str) -> None:
    assert stack.functions[function]["Timeout"] < 30


def test_nothing_is_reserved_of_an_account_whose_quota_nobody_told(managed: SynthesizedStack) -> None:
    """A new account may have a quota of 10, and Lambda refuses a reservation that leaves less than 100."""
    assert reserved_concurrency(managed) == {}


def test_with_the_smallest_quota_that_is_enough_a_storm_of_orders_is_bounded_at_every_step(
    chosen: SynthesizedStack,
) -> None:
    policy = chosen.stage
    assert int(chosen.context["lambda_quota"]) == policy.reserved_concurrency + UNRESERVED_CONCURRENCY
    reserved = reserved_concurrency(chosen)
    assert reserved == bounds_of_the_steps(policy)
    assert sum(reserved.values()) == policy.reserved_concurrency


def test_the_local_stage_has_no_quota_and_is_bounded(local: SynthesizedStack) -> None:
    assert reserved_concurrency(local) == bounds_of_the_steps(local.stage)


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_a_quota_that_is_too_small_is_refused_and_says_what_to_ask_for(stage: str) -> None:
    needed = STAGES[stage].reserved_concurrency + 100
    with pytest.raises(
        ValueError, match=rf"lambda_quota: {needed - 1} .* Ask AWS for {needed} or more, or leave"
    ):
        orders_stack(App(context=context_of(stage) | {"lambda_quota": str(needed - 1)}))


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_the_usual_quota_is_enough(stage: str) -> None:
    assert STAGES[stage].reserved_concurrency + UNRESERVED_CONCURRENCY <= 1_000


@pytest.mark.parametrize("text", ["many", "-1", "1e3", "1_000"])
def test_a_quota_is_a_number(text: str) -> None:
    with pytest.raises(ValueError, match=f"lambda_quota: '{text}' is no number"):
        orders_stack(App(context=context_of("dev") | {"lambda_quota": text}))


def bounds_of_the_steps(stage: Stage) -> dict[str, int]:
    return {
        **dict.fromkeys([*STEPS, "refund-steps"], stage.step_concurrency),
        "process-payment": stage.payment_concurrency,
    }


def reserved_concurrency(stack: SynthesizedStack) -> dict[str, int]:
    """By function, of those that have one."""
    return {
        name: function["ReservedConcurrentExecutions"]
        for name, function in stack.functions.items()
        if "ReservedConcurrentExecutions" in function
    }


def test_who_cancels_gets_a_response_while_step_functions_gives_none(stack: SynthesizedStack) -> None:
    longest_wake = WAKE_ATTEMPTS * (CONNECT_TIMEOUT_SECONDS + READ_TIMEOUT_SECONDS)
    assert stack.functions["cancel-order"]["Timeout"] >= 2 * longest_wake
