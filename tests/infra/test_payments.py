"""A stage ships the payment provider that it chooses, and nothing of the others."""

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App

from infra import app, assets
from infra.payments import PaymentProvider
from infra.stages import STAGES
from tests.infra.stacks import SynthesizedStack, context_of

CALLERS = {
    "maintenance",
    "operations",
    "payment-events",
    "process-payment",
    "provider-events",
    "refund-payment",
}
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
    assert {name: settings(name) for name in CALLERS} == dict.fromkeys(CALLERS, of_a_caller)
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
    choose(monkeypatch, "prod", PaymentProvider("paypal", {}))
    monkeypatch.setattr(app, "App", lambda: App(context=context_of("prod")))

    with pytest.raises(SystemExit, match=r"'paypal'.*simulator"):
        app.main()


def test_the_template_of_another_provider_names_no_simulator(with_paper: SynthesizedStack) -> None:
    template = json.dumps(with_paper.template)

    assert "simulat" not in template.lower()
