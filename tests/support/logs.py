"""All that a function writes, for tests that look for what should be there and for what should not."""

import io
import json
from typing import Any

import pytest


class Logs:
    """The structured log, the metrics (which are printed), and what libraries log."""

    def __init__(
        self, stream: io.StringIO, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self._stream = stream
        self._caplog = caplog
        self._capsys = capsys
        self._printed = ""

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The structured log, an object a line."""
        return [json.loads(line) for line in self._stream.getvalue().splitlines()]

    @property
    def everything(self) -> str:
        """All of it so far, as text."""
        # Reading what was printed also clears it.
        captured = self._capsys.readouterr()
        self._printed += captured.out + captured.err
        return self._stream.getvalue() + self._printed + self._caplog.text
