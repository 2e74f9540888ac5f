"""A stage ships the payment provider that it chooses, and nothing of the others."""

import dataclasses
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App

from infra import app, assets
from infra.payments import PaymentProvider
from infra.stages import STAGES
from tests.infra.stacks import CALL_PAYMENT_PROVIDER, SynthesizedStack, choices_of, context_of

OF_THE_SIMULATOR = ("payment_simulator", "gateway.entries", "SimulatedGateway")


def choose(monkeypatch: pytest.MonkeyPatch, stage: str, provider: PaymentProvider) -> None:
    monkeypatch.setitem(STAGES, stage, dataclasses.replace(STAGES[stage], payments=provider))


@pytest.fixture(scope="module", params=["dev", "local"])
def with_paper(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SynthesizedStack]:
    """A stage with a provider that takes cheques."""
    directory = tmp_path_factory.mktemp("paper")
    package = directory / "layers" / "payment_paper" / "python" / "payment_paper"
    package.mkdir(parents=True)
    (package / "gateway.py").write_text("def connect(database): ...\n")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(assets, "LAYERS", directory / "layers")
        choose(monkeypatch, request.param, PaymentProvider("paper", {"PAPER_DAYS_TO_CLEAR": "3"}))
        stack = SynthesizedStack(STAGES[request.param], directory / "cdk.out")
    yield stack
    for target in ("aws", "local"):
        shutil.rmtree(assets.BUILD / target / "payment_paper", ignore_errors=True)


def shipped(stack: SynthesizedStack) -> Iterator[Path]:
    """Every file of ours that the stage brings along, as a layer or as a function."""
    directories = set(stack.output_directory.glob("asset.*"))
    for name in stack.functions:
        directories |= set(map(Path, stack.environment(name).get("PYTHONPATH", "").split(":"))) - {Path()}
    for directory in directories:
        yield from (path for path in directory.rglob("*") if path.suffix in {".py", ".pyc"})


def is_of_the_simulator(path: Path) -> bool:
    return "payment_simulator" in path.parts or (
        path.suffix == ".py" and any(word in path.read_text(errors="replace") for word in OF_THE_SIMULATOR)
    )


def test_another_provider_ships_neither_the_simulators_code_nor_its_migrations(
    with_paper: SynthesizedStack,
) -> None:
    files = set(shipped(with_paper))

    assert {"place_order.py", "0001_order_pipeline.py", "reconciliation.py"} <= {file.name for file in files}
    assert any("payment_paper" in file.parts for file in files)
    assert [file for file in files if is_of_the_simulator(file)] == []


def test_what_the_check_looks_for_is_what_the_simulator_ships(local: SynthesizedStack) -> None:
    found = {file.name for file in shipped(local) if is_of_the_simulator(file)}

    assert {"gateway.py", "0001_ledger.py"} <= found


def test_a_functions_environment_holds_only_what_its_provider_needs(with_paper: SynthesizedStack) -> None:
    def settings(function: str) -> dict[str, Any]:
        return {
            name: value
            for name, value in with_paper.environment(function).items()
            if name.startswith(("PAYMENT_", "PAPER_", "GATEWAY_"))
        }

    of_a_caller = {"PAYMENT_PROVIDER": "paper", "PAPER_DAYS_TO_CLEAR": "3"}
    assert {name: settings(name) for name in CALL_PAYMENT_PROVIDER} == dict.fromkeys(
        CALL_PAYMENT_PROVIDER, of_a_caller
    )
    # To know its tables, and its payment methods.
    assert (
        settings("migrate")
        == settings("create-order")
        == settings("payment-webhooks")
        == {"PAYMENT_PROVIDER": "paper"}
    )
    assert settings("notify") == {}


def test_an_unknown_provider_is_refused_at_synthesis_with_those_that_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    choose(monkeypatch, "dev", PaymentProvider("paypal", {}))
    monkeypatch.setattr(app, "App", lambda: App(context=context_of("dev")))

    with pytest.raises(SystemExit, match=r"'paypal'.*simulator, stripe"):
        app.main()


def test_only_production_refuses_test_methods_of_a_provider_that_moves_money(
    with_stripe: SynthesizedStack, prod: SynthesizedStack
) -> None:
    assert with_stripe.environment("create-order")["ALLOW_TEST_PAYMENTS"] == "true"
    assert "ALLOW_TEST_PAYMENTS" not in prod.environment("create-order")


@pytest.mark.parametrize("chosen", [{}, {"payment_provider": "simulator"}])
def test_production_does_not_synthesize_with_the_simulator_and_says_why(
    monkeypatch: pytest.MonkeyPatch, chosen: dict[str, str]
) -> None:
    context = {name: value for name, value in context_of("prod").items() if name != "payment_provider"}
    monkeypatch.setattr(app, "App", lambda: App(context=context | chosen))

    with pytest.raises(SystemExit, match=r"moves no money: choose .* -c payment_provider=stripe"):
        app.main()


@pytest.mark.parametrize(
    ("context", "problem"),
    [
        ({"payment_provider": "paypal"}, "'paypal': choose simulator or stripe"),
        ({"payment_provider": "stripe", "stripe_api_base": "http://127.0.0.1:8420"}, "local stage alone"),
    ],
)
def test_a_choice_that_cannot_be_is_refused(context: dict[str, str], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        app.orders_stack(App(context=context_of("dev") | context))


def test_the_template_of_another_provider_names_no_simulator(with_paper: SynthesizedStack) -> None:
    template = json.dumps(with_paper.template)

    assert "simulat" not in template.lower()


@pytest.fixture(scope="module", params=["dev", "local"])
def with_stripe(
    request: pytest.FixtureRequest, synthesize: Callable[..., SynthesizedStack]
) -> SynthesizedStack:
    if request.param == "local":
        return synthesize("local", payment_provider="stripe")
    return synthesize("dev", **choices_of("dev"))


def test_with_stripe_nothing_of_the_simulator_is_shipped(with_stripe: SynthesizedStack) -> None:
    files = set(shipped(with_stripe))

    assert any("payment_stripe" in file.parts for file in files)
    assert [file for file in files if is_of_the_simulator(file)] == []
    assert "simulat" not in json.dumps(with_stripe.template).lower()
    assert "GATEWAY_" not in json.dumps(with_stripe.template)


def test_stripes_library_is_shipped_to_who_has_the_provider_and_to_nobody_else(
    with_stripe: SynthesizedStack,
) -> None:
    for name, properties in with_stripe.functions.items():
        if with_stripe.stage.target == "aws":
            directories = [layer / "python" for layer in with_stripe.layers(properties)]
        else:
            directories = list(map(Path, with_stripe.environment(name)["PYTHONPATH"].split(":")))
        has_library = any((directory / "stripe" / "__init__.py").is_file() for directory in directories)
        assert has_library == ("PAYMENT_PROVIDER" in with_stripe.environment(name)), name


def test_every_caller_knows_where_the_key_of_stripe_is(with_stripe: SynthesizedStack) -> None:
    key = f"orders-{with_stripe.stage.name}-stripe-api-key"
    for name in CALL_PAYMENT_PROVIDER:
        assert with_stripe.environment(name)["PAYMENT_PROVIDER"] == "stripe"
        assert with_stripe.environment(name)["STRIPE_API_KEY_SECRET_ID"] == key
    assert with_stripe.environment("migrate")["PAYMENT_PROVIDER"] == "stripe"


def test_the_secret_of_the_key_is_made_empty_so_that_no_template_holds_one(
    with_stripe: SynthesizedStack,
) -> None:
    assert not {"SecretString", "GenerateSecretString"} & set(with_stripe.secrets["stripe-api-key"])


def test_only_who_calls_stripe_may_read_the_key(with_stripe: SynthesizedStack) -> None:
    readers = {name for name in with_stripe.functions if "stripe api key" in with_stripe.rights(name)}
    assert readers == CALL_PAYMENT_PROVIDER


def test_on_aws_who_calls_stripe_reaches_the_internet(with_stripe: SynthesizedStack) -> None:
    if with_stripe.stage.database is None:
        assert "VpcConfig" not in json.dumps(with_stripe.template)
        return
    groups = with_stripe.of_type("AWS::EC2::SecurityGroup")
    for name in CALL_PAYMENT_PROVIDER:
        (group,) = with_stripe.functions[name]["VpcConfig"]["SecurityGroupIds"]
        outward = groups[group["Fn::GetAtt"][0]]["SecurityGroupEgress"]
        assert [(rule["CidrIp"], rule["FromPort"]) for rule in outward] == [("0.0.0.0/0", 443)]


def test_a_stage_with_the_simulator_has_nothing_of_stripe(local: SynthesizedStack) -> None:
    # The project's own directory may have any name.
    template = json.dumps(local.template).replace(str(assets.ROOT), "")

    assert [word for word in ("STRIPE_", "payment_stripe", "stripe-") if word in template] == []
    assert not any("payment_stripe" in file.parts for file in shipped(local))
