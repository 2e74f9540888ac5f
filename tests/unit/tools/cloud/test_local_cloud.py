import multiprocessing
import socket
from collections.abc import Iterator
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from tools.cloud import emulator, local_cloud, postgres
from tools.cloud.settings import Settings
from tools.errors import LocalCloudError


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def _settings(home: Path, port: int | None) -> Settings:
    return Settings(home, f"http://127.0.0.1:{port or 9}", port, {})


def test_a_taken_port_is_told_with_a_way_out(tmp_path: Path, taken_port: int) -> None:
    with pytest.raises(LocalCloudError, match=rf"Port {taken_port} is taken by process \d+ .*ORDERS_PORT="):
        emulator.start(_settings(tmp_path, taken_port))


def test_an_emulator_that_should_be_there_and_is_not_is_told(tmp_path: Path) -> None:
    with pytest.raises(LocalCloudError, match=r"Nothing answers at http://127\.0\.0\.1:9"):
        emulator.start(_settings(tmp_path, port=None))


def test_stopping_what_does_not_run_is_no_error(tmp_path: Path) -> None:
    lines: list[str] = []
    local_cloud.down(_settings(tmp_path, 4566), lines.append)
    assert lines == ["The emulator was not running", "Postgres was not running"]


def _hold(home: Path, held: Event, release: Event) -> None:
    with local_cloud.exclusive(_settings(home, 4566), lambda line: None):
        held.set()
        release.wait(60)


def test_a_second_command_waits_for_the_first(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    first = context.Process(target=_hold, args=(tmp_path, held, release))
    first.start()
    assert held.wait(60)

    def report(line: str) -> None:
        lines.append(line)
        release.set()

    lines: list[str] = []
    with local_cloud.exclusive(_settings(tmp_path, 4566), report):
        assert len(lines) == 1
    first.join()
    with local_cloud.exclusive(_settings(tmp_path, 4566), report):
        assert len(lines) == 1, "nobody to wait for any more"


def test_a_home_with_a_long_path_still_has_a_socket(tmp_path: Path) -> None:
    short, long = Path("/srv/orders/.local"), tmp_path / ("long" * 30)
    assert postgres.socket_directory(_settings(short, 4566)) == short / "postgres" / "socket"
    assert len(str(postgres.socket_directory(_settings(long, 4566)) / ".s.PGSQL.5432")) <= 103
