"""What all commands have in common: `--json`, the API that they talk to, how they print, and how they end."""

import contextlib
import functools
import inspect
import json
import os
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from types import FrameType
from typing import Annotated, Any, Final, Literal, NoReturn, TextIO, TypeVar

import rich.console
import typer
from rich.console import ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from tools.cloud.settings import Settings, is_local
from tools.console import Console, cell, table, visible
from tools.errors import LocalCloudError, Misused

UNEXPECTED: Final = 70
INTERRUPTED: Final = 130
TERMINATED: Final = 143
NOBODY_READS: Final = 141

EXIT_CODES: Final = f"""Exit codes: 0 done; 1 not as it should be (a promise is broken, an order needs review, a part is
down), or it failed; 2 wrong usage; 3 refused by the API or by Cognito; 4 nothing answers, or not as it should;
{UNEXPECTED} a defect of this program; {INTERRUPTED} Ctrl-C; {NOBODY_READS} nobody reads the output any more;
{TERMINATED} told to end."""

# Wider than anything: what is printed here is broken into lines by nobody, so that ids can be copied and piped.
_UNLIMITED: Final = 100_000

_A_MOMENT_SECONDS: Final = 1.0

Function = TypeVar("Function", bound=Callable[..., Any])
Place = Literal["api", "local", "anywhere"]
"""What a command works on: an API, the local cloud alone, or neither."""

_JSON: Final = inspect.Parameter(
    "as_json",
    inspect.Parameter.KEYWORD_ONLY,
    default=False,
    annotation=Annotated[bool, typer.Option("--json", help="Print one JSON document, and nothing else.")],
)
_API: Final = (
    inspect.Parameter(
        "api_url",
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[
            str | None,
            typer.Option(
                "--api-url", "--api", envvar="ORDERS_API_URL", help="The API; the local cloud's unless given."
            ),
        ],
    ),
    inspect.Parameter(
        "token",
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[
            str | None,
            typer.Option(
                "--token",
                envvar="ORDERS_TOKEN",
                help="An access token of that API; who is signed in unless given.",
            ),
        ],
    ),
)


class NobodyReads(Exception):
    """Whoever read the output has ended, as `head` does."""


@dataclass
class Invocation:
    """What was said on the command line to every command alike, and what it is going to print."""

    as_json: bool = False
    api_url: str | None = None
    token: str | None = None
    document: Any = None
    said_where: bool = False
    out: TextIO | None = None
    """Where documents go: what standard output was."""


_was_terminated = False
_current: ContextVar[Invocation | None] = ContextVar("invocation", default=None)


def current() -> Invocation:
    """The invocation that is under way."""
    return _current.get() or Invocation(api_url=os.environ.get("ORDERS_API_URL"))


class Commands(typer.Typer):
    """Commands with `--json`; those that talk to an API have `--api-url` and `--token` too."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"context_settings": {"help_option_names": ["-h", "--help"]}} | options)

    def command(
        self, name: str | None = None, *, on: Place = "api", **options: Any
    ) -> Callable[[Function], Function]:
        """Registers a command. `on` says where it works: a local one refuses when ORDERS_API_URL names another."""
        register = super().command(name, **options)

        def decorate(function: Function) -> Function:
            register(_with_common_options(function, self._path_of(name or function.__name__), on))
            return function

        return decorate

    def _path_of(self, command: str) -> str:
        """What is typed for it, e.g. `orders gateway down`, if commands of a group are made with the group's name."""
        group = self.info.name
        return " ".join(["orders", *([group] if group and group != "orders" else []), command])


def _with_common_options(function: Callable[..., Any], path: str, on: Place) -> Callable[..., Any]:
    common = (_JSON, *(_API if on == "api" else ()))
    signature = inspect.signature(function, eval_str=True)

    @functools.wraps(function)
    def invoke(**arguments: Any) -> None:
        invocation = Invocation(**{parameter.name: arguments.pop(parameter.name) for parameter in common})
        if on == "local":
            refuse_elsewhere(path)
        _current.set(invocation)
        try:
            _invoke(function, invocation, arguments)
            sys.stdout.flush()
        except BrokenPipeError as error:
            # Typer has an opinion of its own on these.
            raise NobodyReads from error

    invoke.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[
            *(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in signature.parameters.values()),
            *common,
        ]
    )
    invoke.__annotations__ = {
        parameter.name: parameter.annotation
        for parameter in invoke.__signature__.parameters.values()  # type: ignore[attr-defined]
    }
    return invoke


def _invoke(function: Callable[..., Any], invocation: Invocation, arguments: dict[str, Any]) -> None:
    """Runs a command; prints its document, and what else it says where that is in no program's way."""
    if not invocation.as_json:
        function(**arguments)
        return
    invocation.out = sys.stdout
    exit_with: typer.Exit | None = None
    with contextlib.redirect_stdout(sys.stderr):
        try:
            function(**arguments)
        except typer.Exit as ended:
            exit_with = ended
    if invocation.document is not None:
        print_json(invocation.document)
    if exit_with is not None:
        raise exit_with


def refuse_elsewhere(what: str) -> None:
    """Refuses what works on this machine only, if ORDERS_API_URL names another place.

    Raises:
        Misused: it does.
    """
    named = os.environ.get("ORDERS_API_URL")
    if named and not is_local(named, Settings.from_environment()):
        raise Misused(
            f"{what} works on the local cloud only, but ORDERS_API_URL names {named}. Without it:\n"
            f"  env -u ORDERS_API_URL bin/{what}"
        )


def print_json(document: Any) -> None:
    """Prints a document on standard output: ASCII, so that every terminal, locale and program can take it."""
    print(json.dumps(document, indent=1, default=str), file=sys.stdout, flush=True)


def print_json_line(document: Any) -> None:
    """Prints one of many documents, in one line."""
    print(json.dumps(document, default=str), file=current().out or sys.stdout, flush=True)


class _UnlimitedConsole(Console):
    """Breaks and cuts no line, on a terminal of any width and in a pipe."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"soft_wrap": True, "width": _UNLIMITED} | options)

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


console: Final = _UnlimitedConsole()
notes: Final = _UnlimitedConsole(stderr=True)
"""For what is not the result: where a command talks to, what it is waiting for."""


@contextlib.contextmanager
def working(what: str) -> Iterator[None]:
    """Shows on a terminal that something is under way, if the block takes longer than a moment. What the block itself
    prints belongs on `notes`."""
    if not notes.is_terminal:
        yield
        return
    shown = notes.status(what)
    waiting = threading.Timer(_A_MOMENT_SECONDS, shown.start)
    waiting.daemon = True
    waiting.start()
    try:
        yield
    finally:
        waiting.cancel()
        waiting.join()
        shown.stop()


def show(document: Any, *lines: RenderableType) -> None:
    """Prints the result: the document with `--json`, else the lines, which say the same to people."""
    invocation = current()
    invocation.document = document
    if not invocation.as_json:
        for line in lines:
            console.print(line)


class _Listing:
    """A table, or a block for each row where the terminal is too narrow for it."""

    def __init__(self, shown: Table, blocks: Sequence[RenderableType]) -> None:
        self._table = shown
        self._blocks = blocks

    def __rich_console__(self, console: rich.console.Console, options: ConsoleOptions) -> RenderResult:
        needed = Measurement.get(console, options, self._table).maximum
        is_narrow = console.is_terminal and needed > shutil.get_terminal_size().columns
        yield Group(*self._blocks) if is_narrow and self._blocks else self._table


def listing(
    items: Iterable[Mapping[str, Any]], columns: Mapping[str, str], numbers: Sequence[str] = ()
) -> RenderableType:
    """The items' fields by the columns' headings. Nothing in it is cut; times are local; what is None stays empty."""
    shown = table(*(title for title in columns if title not in numbers), numbers=numbers)
    blocks: list[RenderableType] = []
    for item in items:
        cells = {title: cell(name, item.get(name)) for title, name in columns.items()}
        shown.add_row(*(Text(text) for text in cells.values()))
        block = Table.grid(padding=(0, 2))
        for title, text in cells.items():
            block.add_row(Text(title, "bold"), Text(text))
        blocks += [block, Text()]
    return _Listing(shown, blocks)


def run(app: typer.Typer) -> NoReturn:
    """Runs the command line to its end; what it cannot do is told in a message, not in a traceback."""
    for stream in (sys.stdout, sys.stderr):
        # Names are in every script, terminals and locales are not.
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _terminate)
    try:
        code = _run(app)
        sys.stdout.flush()
    except (NobodyReads, BrokenPipeError):
        # Nor may the interpreter's own flush at the end fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = NOBODY_READS
    sys.exit(code)


def _run(app: typer.Typer) -> int:
    try:
        code = app(prog_name="orders", standalone_mode=False) or 0
    except typer.Abort:
        _tell(LocalCloudError("Aborted."))
        return 1
    except LocalCloudError as error:
        _tell(error)
        return error.exit_code
    except PermissionError as error:
        _tell(
            LocalCloudError(
                f"Permission denied: {error.filename}. Did root, or another user, run this before?"
            )
        )
        return 1
    except KeyboardInterrupt:
        code = INTERRUPTED
    except (NobodyReads, BrokenPipeError):
        raise
    except Exception as error:
        return _tell_unexpected(error)
    return TERMINATED if code == INTERRUPTED and _was_terminated else code


def _tell_unexpected(error: Exception) -> int:
    exit_code, format_message = getattr(error, "exit_code", None), getattr(error, "format_message", None)
    if isinstance(exit_code, int) and callable(format_message):
        # The parser's: usage is wrong.
        if _is_json_wanted():
            _tell(LocalCloudError(format_message(), {"title": "Usage"}))
        else:
            error.show()  # type: ignore[attr-defined]
        return exit_code
    if os.environ.get("ORDERS_DEBUG"):
        traceback.print_exc()
    _tell(
        LocalCloudError(
            f"This should not happen: {type(error).__name__}: {error}\n"
            "With ORDERS_DEBUG=1 it shows where. Please report it."
        )
    )
    return UNEXPECTED


def _tell(error: LocalCloudError) -> None:
    """On standard error: a message, or a problem document (RFC 9457) with `--json`."""
    if _is_json_wanted():
        message = {"title": type(error).__name__, "detail": str(error)}
        problem = message | dict(error.problem) | {"message": str(error)}
        print(json.dumps(problem, default=str), file=sys.stderr)
    else:
        print(f"\n{visible(str(error))}", file=sys.stderr)


def _is_json_wanted() -> bool:
    """Also if the command line was not understood."""
    return "--json" in sys.argv[1:]


def _terminate(signal_number: int, frame: FrameType | None) -> NoReturn:
    """A polite kill ends a command as Ctrl-C does, so that it can clean up."""
    global _was_terminated
    _was_terminated = True
    raise KeyboardInterrupt
