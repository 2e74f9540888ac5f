"""A plot of what grows with load, as SVG: four panels of one measure each, in nothing but the standard library."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import log10
from pathlib import Path
from typing import Final

from tools.bench.families import accepting, fulfilment, growth
from tools.bench.report import Report
from tools.bench.run import SIZES

# Of one panel, in pixels.
_WIDTH: Final = 420
_HEIGHT: Final = 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 34, 40, 44

_INK: Final = "#1f2933"
_GRID: Final = "#d9dee4"
_COLOURS: Final = ("#0b6e99", "#c2571a", "#3d7a3a", "#7a3d78")


@dataclass(frozen=True)
class Line:
    """One measure at several loads."""

    label: str
    points: Sequence[tuple[float, float]]
    """(load, value)"""


@dataclass(frozen=True)
class Panel:
    """Measures that share their axes."""

    title: str
    load: str
    lines: Sequence[Line]
    is_logarithmic: bool = False
    """Whether the loads are powers of ten."""


def write(report: Report, path: Path) -> bool:
    """Plots what the report has values for; False if it has none of these."""
    panels = [panel for panel in _panels(report.value) if panel.lines]
    if not panels:
        return False
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    drawn = [
        f'<g transform="translate({index % columns * _WIDTH},{index // columns * _HEIGHT})">{_draw(panel)}</g>'
        for index, panel in enumerate(panels)
    ]
    width, height = columns * _WIDTH, rows * _HEIGHT
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" font-size="11" fill="{_INK}">'
        f'<rect width="100%" height="100%" fill="white"/>{"".join(drawn)}</svg>\n'
    )
    return True


def _panels(value: Callable[[str], float | None]) -> list[Panel]:
    def line(label: str, names: Mapping[int, str]) -> Line:
        found = {load: value(name) for load, name in names.items()}
        return Line(label, [(load, there) for load, there in found.items() if there is not None])

    sizes = [
        line(work, {orders: growth.at(work, orders=orders) for orders in SIZES}) for work in growth.PIPELINE
    ]
    lines = [
        line(work, {number: growth.at(work, lines=number) for number in growth.LINES})
        for work in (growth.CREATE, growth.STEPS)
    ]
    clients = [line("accepted", {number: accepting.accepted(number) for number in accepting.CLIENTS})]
    rates = [
        line(rank, {rate: f"POST → CONFIRMED {rank}, {rate} orders/s" for rate in fulfilment.RATES})
        for rank in ("p50", "p95")
    ]
    return [
        Panel("Milliseconds, by orders in the tables", "orders", _drawable(sizes), is_logarithmic=True),
        Panel("Milliseconds, by lines an order", "lines", _drawable(lines)),
        Panel("Accepted orders a second, by clients", "clients", _drawable(clients)),
        Panel("Seconds from POST to CONFIRMED, by load", "orders a second", _drawable(rates)),
    ]


def _drawable(lines: Sequence[Line]) -> list[Line]:
    return [line for line in lines if line.points]


def _draw(panel: Panel) -> str:
    loads = sorted({load for line in panel.lines for load, _ in line.points})
    top = _ceiling(max(value for line in panel.lines for _, value in line.points))

    def x(load: float) -> float:
        low, high, here = (
            log10(each) if panel.is_logarithmic else each for each in (loads[0], loads[-1], load)
        )
        share = (here - low) / (high - low) if high > low else 0.5
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return _HEIGHT - _BOTTOM - value / top * (_HEIGHT - _TOP - _BOTTOM)

    parts = [_text(_LEFT, 18, panel.title, size=13)]
    for quarter in range(5):
        value = top * quarter / 4
        parts.append(f'<path d="M{_LEFT} {y(value):.1f}H{_WIDTH - _RIGHT}" stroke="{_GRID}"/>')
        parts.append(_text(_LEFT - 6, y(value) + 4, f"{value:g}", anchor="end"))
    parts += [_text(x(load), _HEIGHT - _BOTTOM + 16, f"{load:,.0f}", anchor="middle") for load in loads]
    parts.append(_text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 10, panel.load, anchor="middle"))
    for number, (line, colour) in enumerate(zip(panel.lines, _COLOURS, strict=False)):
        places = " ".join(f"{x(load):.1f},{y(value):.1f}" for load, value in line.points)
        parts.append(f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [
            f'<circle cx="{x(load):.1f}" cy="{y(value):.1f}" r="3.5" fill="{colour}"/>'
            for load, value in line.points
        ]
        parts.append(_text(_LEFT + 90 * number, 33, line.label, colour=colour))
    return "".join(parts)


def _ceiling(value: float) -> float:
    """The next of 1, 2, 4, 8 or 10 times a power of ten: quarters of it are round numbers."""
    power = 10 ** (len(str(int(value))) - 1) if value >= 1 else 0.1
    return next(step * power for step in (1, 2, 4, 8, 10, 20) if step * power >= value)


def _text(
    x: float, y: float, content: str, *, anchor: str = "start", size: int = 11, colour: str = _INK
) -> str:
    style = f'text-anchor="{anchor}" font-size="{size}" fill="{colour}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(content)}</text>'
