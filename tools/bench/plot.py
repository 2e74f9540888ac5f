"""A plot of what grows with load, as SVG: a chart for each measure, drawn by pygal."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

import pygal
from pygal.style import CleanStyle

from tools.bench.families import accepting, fulfilment, growth
from tools.bench.report import Report
from tools.bench.run import SIZES

# Of one chart, in pixels.
_WIDTH: Final = 560
_HEIGHT: Final = 360
_COLUMNS: Final = 2


@dataclass(frozen=True)
class Line:
    """One measure at several loads."""

    label: str
    points: Sequence[tuple[float, float]]
    """(load, value)"""


@dataclass(frozen=True)
class Chart:
    """Measures that share their axes."""

    title: str
    load: str
    lines: Sequence[Line]


def write(report: Report, path: Path) -> bool:
    """Plots what the report has values for; False if it has none of these."""
    charts = [chart for chart in _charts(report.value) if chart.lines]
    if not charts:
        return False
    rows = -(-len(charts) // _COLUMNS)
    width, height = str(_COLUMNS * _WIDTH), str(rows * _HEIGHT)
    page = ElementTree.Element(
        "svg", {"xmlns": "http://www.w3.org/2000/svg", "width": width, "height": height}
    )
    for place, chart in enumerate(charts):
        drawn = _draw(chart)
        drawn.set("x", str(place % _COLUMNS * _WIDTH))
        drawn.set("y", str(place // _COLUMNS * _HEIGHT))
        page.append(drawn)
    ElementTree.ElementTree(page).write(path, encoding="utf-8")
    return True


def _charts(value: Callable[[str], float | None]) -> list[Chart]:
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
        Chart("Milliseconds, by orders in the tables", "orders", _drawable(sizes)),
        Chart("Milliseconds, by lines an order", "lines", _drawable(lines)),
        Chart("Accepted orders a second, by clients", "clients", _drawable(clients)),
        Chart("Seconds from POST to CONFIRMED, by load", "orders a second", _drawable(rates)),
    ]


def _drawable(lines: Sequence[Line]) -> list[Line]:
    return [line for line in lines if line.points]


def _draw(chart: Chart) -> ElementTree.Element:
    # Loads are far apart, so each has the same distance to the next: as categories, not on a scale.
    loads = sorted({load for line in chart.lines for load, _ in line.points})
    drawing = pygal.Line(
        pygal.Config(
            # Nothing that a browser would have to fetch.
            js=[],
            style=CleanStyle,
            title=chart.title,
            x_title=chart.load,
            x_labels=[f"{load:,}" for load in loads],
            width=_WIDTH,
            height=_HEIGHT,
            explicit_size=True,
            include_x_axis=True,
            legend_at_bottom=True,
        )
    )
    for line in chart.lines:
        values = dict(line.points)
        drawing.add(line.label, [values.get(load) for load in loads])
    tree: ElementTree.Element = drawing.render_tree()
    return tree
