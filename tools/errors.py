"""What people see when a command cannot do something, and the exit code that programs see."""

from collections.abc import Mapping
from typing import Any


class LocalCloudError(Exception):
    """The message is for the person at the terminal: what happened, and what to do about it."""

    exit_code = 1

    def __init__(self, message: str, problem: Mapping[str, Any] | None = None) -> None:
        """`problem`: the API's own (RFC 9457), where there is one."""
        super().__init__(message)
        self.problem = problem or {}


class Misused(LocalCloudError):
    """What was asked for makes no sense here: another command line does."""

    exit_code = 2


class Refused(LocalCloudError):
    """The API, or Cognito, said no: the same again will be refused again."""

    exit_code = 3


class Unavailable(LocalCloudError):
    """Nothing answers, or not as it should: the same again may work later."""

    exit_code = 4
