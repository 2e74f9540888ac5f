import os
import re
import subprocess
import time
from pathlib import Path
from typing import NoReturn

import pytest

from infra import assets
from infra.assets import AssetError, function_directory, payment_providers, provider_layer_directory
from orders.payments.provider import PaymentProvider


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one function, staged into a build directory of its own."""
    functions = tmp_path / "functions"
    package = functions / "greet"
    package.mkdir(parents=True)
    (functions / "__init__.py").touch()
    (package / "__init__.py").touch()
    (package / "handler.py").write_text("def handler(event, context):\n    return 'hello'\n")
    (package / "greeting.txt").write_text("hello")
    (functions / "other").mkdir()
    (functions / "other" / "handler.py").touch()
    provider = tmp_path / "layers" / "payment_paper" / "python" / "payment_paper"
    provider.mkdir(parents=True)
    (provider / "__init__.py").touch()
    monkeypatch.setattr(assets, "LAYERS", tmp_path / "layers")
    monkeypatch.setattr(assets, "FUNCTIONS", functions)
    monkeypatch.setattr(assets, "BUILD", tmp_path / "build")
    monkeypatch.setattr(assets, "runtime_interpreter", lambda: Path("/somewhere/bin/python"))
    return tmp_path


def _files(directory: Path) -> set[str]:
    return {path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()}


def test_a_function_is_staged_alone_with_byte_code_and_a_bootstrap(project: Path) -> None:
    staged = function_directory("greet", "local")
    files = {re.sub(r"\.cpython-\d+", "", file) for file in _files(staged)}
    assert files == {
        "bootstrap",
        "functions/__init__.py",
        "functions/__pycache__/__init__.pyc",
        "functions/greet/__init__.py",
        "functions/greet/__pycache__/__init__.pyc",
        "functions/greet/__pycache__/handler.pyc",
        "functions/greet/greeting.txt",
        "functions/greet/handler.py",
    }
    assert os.access(staged / "bootstrap", os.X_OK)
    assert '"/somewhere/bin/python" -m awslambdaric "$_HANDLER"' in (staged / "bootstrap").read_text()


def test_on_aws_the_runtime_brings_what_starts_the_function(project: Path) -> None:
    assert "bootstrap" not in _files(function_directory("greet", "aws"))


def test_nothing_is_staged_again_while_nothing_changed(project: Path) -> None:
    first = function_directory("greet", "local")
    written = (first / "bootstrap").stat().st_mtime_ns
    assert function_directory("greet", "local") == first
    assert (first / "bootstrap").stat().st_mtime_ns == written


def test_the_same_source_is_staged_to_the_same_bytes(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def content(directory: Path) -> dict[str, bytes]:
        return {name: (directory / name).read_bytes() for name in _files(directory)}

    first = function_directory("greet", "local")
    monkeypatch.setattr(assets, "BUILD", project / "another")
    assert content(function_directory("greet", "local")) == content(first)


def test_an_edit_is_staged_beside_what_may_still_run(project: Path) -> None:
    first = function_directory("greet", "local")
    (project / "functions" / "greet" / "handler.py").write_text("def handler(event, context): ...\n")
    second = function_directory("greet", "local")
    assert second != first
    assert first.exists()


def test_an_edit_of_another_function_changes_nothing(project: Path) -> None:
    first = function_directory("greet", "local")
    (project / "functions" / "other" / "handler.py").write_text("pass\n")
    assert function_directory("greet", "local") == first


def test_a_function_that_is_not_there_is_named(project: Path) -> None:
    with pytest.raises(AssetError, match="'greeet'"):
        function_directory("greeet", "local")


def test_a_link_into_node_modules_becomes_a_file(project: Path) -> None:
    library = project / "node_modules" / "library.mjs"
    library.parent.mkdir()
    library.write_text("export default 1;")
    (project / "functions" / "greet" / "library.js").symlink_to("../../node_modules/library.mjs")

    staged = function_directory("greet", "aws") / "functions" / "greet" / "library.js"

    assert not staged.is_symlink()
    assert staged.read_text() == "export default 1;"
    library.write_text("export default 2;")
    assert function_directory("greet", "aws") not in staged.parents, "another version is another build"


def test_a_link_that_leads_nowhere_is_told_with_what_installs_it(project: Path) -> None:
    (project / "functions" / "greet" / "library.js").symlink_to("../../node_modules/library.mjs")

    with pytest.raises(AssetError, match=r"library\.mjs, which is not there: run make setup"):
        function_directory("greet", "local")


def test_a_payment_provider_is_staged_alone(project: Path) -> None:
    files = _files(provider_layer_directory("paper", "local"))

    assert {re.sub(r"\.cpython-\d+", "", file) for file in files} == {
        "python/payment_paper/__init__.py",
        "python/payment_paper/__pycache__/__init__.pyc",
    }


def test_a_payment_provider_that_is_not_there_is_refused_with_those_that_there_are(project: Path) -> None:
    with pytest.raises(AssetError, match=r"'paypal'.*: paper"):
        provider_layer_directory("paypal", "aws")


def test_there_is_a_layer_for_each_payment_provider() -> None:
    assert payment_providers() == sorted(PaymentProvider)


def test_what_failed_or_was_killed_half_way_is_never_taken_for_a_build(project: Path) -> None:
    directory = project / "build" / "thing" / "digest"

    def fail(into: Path) -> NoReturn:
        (into / "half").touch()
        raise AssetError("no space")

    with pytest.raises(AssetError):
        assets._once(directory, fail)
    assert not directory.exists()

    assert assets._once(directory, lambda into: (into / "whole").touch()) == directory
    assert _files(directory.parent) == {".lock", "digest/whole"}


def test_builds_that_nobody_asked_for_in_a_week_are_removed(project: Path) -> None:
    parent = project / "build" / "thing"
    for name in ("old", "recent"):
        assets._once(parent / name, lambda into: None)
    a_month_ago = time.time() - 30 * 24 * 3600
    os.utime(parent / "old", (a_month_ago, a_month_ago))

    assets._once(parent / "new", lambda into: None)

    assert {path.name for path in parent.iterdir()} == {".lock", "recent", "new"}


def test_the_layer_is_the_same_for_every_interpreter_that_installs_it() -> None:
    """pip evaluates environment markers for the interpreter it runs in, not for the one asked for."""
    requirements = assets.LAYER_REQUIREMENTS.read_text().splitlines()
    assert not [line for line in requirements if ";" in line]


def test_the_layer_and_the_local_runtime_agree_with_what_tests_run_on() -> None:
    def pins(path: Path) -> dict[str, str]:
        return dict(re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", path.read_text(), re.MULTILINE))

    tested = pins(assets.ROOT / "requirements" / "dev.txt")
    for path in (assets.LAYER_REQUIREMENTS, assets.RUNTIME_REQUIREMENTS):
        assert {name: tested.get(name, pin) for name, pin in pins(path).items()} == pins(path)


def test_the_local_runtime_holds_nothing_that_the_layer_should_bring() -> None:
    interpreter = assets.runtime_interpreter()
    for module, is_there in (
        ("awslambdaric", True),
        ("boto3", True),
        ("pydantic", False),
        ("sqlalchemy", False),
    ):
        found = subprocess.run(
            [interpreter, "-I", "-c", f"import {module}"], capture_output=True, check=False
        )
        assert (found.returncode == 0) == is_there, module
