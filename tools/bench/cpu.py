"""Processor time, by whose it is: the emulator's, which is not there on AWS, or what is shipped."""

import os
from dataclasses import dataclass

import psutil

from tools.bench.report import Report
from tools.cloud import emulator, postgres
from tools.cloud.settings import Settings


@dataclass(frozen=True)
class CpuTime:
    """Seconds of processor time since the processes began; of two of them the difference counts."""

    emulator: float
    functions: float
    postgres: float
    everything: float
    """The whole machine, with who posts and watches, and whoever else there is."""

    @classmethod
    def by(cls, settings: Settings) -> "CpuTime":
        """What the local cloud's processes that are alive have spent so far."""
        machine = psutil.cpu_times()
        emulating = emulator.daemon(settings).find()
        serving = postgres.daemon(settings).find()
        if emulating is None or serving is None:
            raise RuntimeError("the local cloud is not running")
        return cls(
            _seconds(emulating),
            sum(map(_seconds, emulating.children(recursive=True))),
            sum(map(_seconds, [serving, *serving.children(recursive=True)])),
            machine.user + machine.system + machine.nice,
        )

    def __sub__(self, earlier: "CpuTime") -> "CpuTime":
        return CpuTime(
            self.emulator - earlier.emulator,
            self.functions - earlier.functions,
            self.postgres - earlier.postgres,
            self.everything - earlier.everything,
        )

    def write(self, report: Report, what: str, orders: int) -> None:
        """Adds what each order cost, and how many a second this machine could do if nothing else were to be done than
        what is shipped."""
        for whose, seconds in (
            ("the emulator", self.emulator),
            ("functions", self.functions),
            ("Postgres", self.postgres),
            ("everything", self.everything),
        ):
            report.add(f"{what}, CPU an order: {whose}", 1000 * seconds / orders, "ms")
        shipped = (self.functions + self.postgres) / orders
        report.add(
            f"{what}, reckoned without the emulator",
            (os.cpu_count() or 1) / shipped,
            "orders/s",
        )


def _seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)
