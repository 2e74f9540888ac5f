"""The stages that tests ask about."""

from collections.abc import Callable

import pytest

from infra.stages import STAGES
from tests.infra.stacks import SynthesizedStack, choices_of

# The first synthesis of a stage stages its assets, which may have to download the wheels of the layer.
_TIMEOUT_SECONDS = 600


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/infra/" in item.path.as_posix():
            item.add_marker(pytest.mark.timeout(_TIMEOUT_SECONDS))


@pytest.fixture(scope="session", params=sorted(STAGES))
def stack(request: pytest.FixtureRequest, synthesize: Callable[[str], SynthesizedStack]) -> SynthesizedStack:
    """Each stage in turn."""
    return synthesize(request.param)


@pytest.fixture(scope="session")
def local(synthesize: Callable[[str], SynthesizedStack]) -> SynthesizedStack:
    return synthesize("local")


@pytest.fixture(scope="session")
def prod(synthesize: Callable[[str], SynthesizedStack]) -> SynthesizedStack:
    return synthesize("prod")


@pytest.fixture(scope="session", params=["dev", "prod"])
def chosen(request: pytest.FixtureRequest, synthesize: Callable[..., SynthesizedStack]) -> SynthesizedStack:
    """Each stage on AWS in turn, with everything that a deploy may choose; `context` says what it chose."""
    return synthesize(request.param, **choices_of(request.param))


@pytest.fixture(scope="session", params=sorted(name for name, stage in STAGES.items() if stage.database))
def managed(
    request: pytest.FixtureRequest, synthesize: Callable[[str], SynthesizedStack]
) -> SynthesizedStack:
    """Each stage that makes its database, in turn."""
    return synthesize(request.param)
