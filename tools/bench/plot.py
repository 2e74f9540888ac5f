"""A plot of what grows with load, as SVG: a chart for each measure, drawn by pygal."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

import pygal
from pygal.style import CleanStyle

from tools.bench import deployed, growth
from tools.bench.report import Report
from tools.bench.run import SIZES

# Of one chart, in pixels.
_WIDTH: Final = 560
_HEIGHT: Final = 360
_COLUMNS: Final = 2

Names = Mapping[str, Mapping[int, str]]
"""The lines of a chart by their labels: for each load the name of the result."""

_CHARTS: Final[Mapping[tuple[str, str], Names]] = {
    ("Milliseconds, by orders in the tables", "orders"): {
        work: {orders: growth.at(work, orders=orders) for orders in SIZES} for work in growth.PIPELINE
    },
    ("Milliseconds, by lines an order", "lines"): {
        work: {number: growth.at(work, lines=number) for number in growth.LINES}
        for work in (growth.CREATE, growth.STEPS)
    },
    ("Accepted orders a second, by clients", "clients"): {
        "accepted": {number: deployed.accepted(number) for number in deployed.CLIENTS}
    },
    ("Seconds from POST to CONFIRMED, by load", "orders a second"): {
        rank: {rate: f"POST → CONFIRMED {rank}, {rate} orders/s" for rate in deployed.RATES}
        for rank in ("p50", "p95")
    },
}
"""By title and name of the load."""


def write(report: Report, path: Path) -> bool:
    """Plots what the report has values for; False if it has none of these."""
    drawn = [
        chart
        for (title, load), names in _CHARTS.items()
        if (chart := _draw(title, load, names, report.value))
    ]
    if not drawn:
        return False
    rows = -(-len(drawn) // _COLUMNS)
    width, height = str(_COLUMNS * _WIDTH), str(rows * _HEIGHT)
    page = ElementTree.Element(
        "svg", {"xmlns": "http://www.w3.org/2000/svg", "width": width, "height": height}
    )
    for place, chart in enumerate(drawn):
        tree = chart.render_tree()
        tree.set("x", str(place % _COLUMNS * _WIDTH))
        tree.set("y", str(place // _COLUMNS * _HEIGHT))
        page.append(tree)
    ElementTree.ElementTree(page).write(path, encoding="utf-8")
    return True


def _draw(title: str, load: str, names: Names, value: Callable[[str], float | None]) -> pygal.Line | None:
    """None: nothing of it was measured."""
    lines = {label: {at: value(name) for at, name in results.items()} for label, results in names.items()}
    measured = {at for line in lines.values() for at, there in line.items() if there is not None}
    if not measured:
        return None
    # Loads are far apart, so each has the same distance to the next: as categories, not on a scale.
    loads = sorted(measured)
    drawing = pygal.Line(
        pygal.Config(
            # Nothing that a browser would have to fetch.
            js=[],
            style=CleanStyle,
            title=title,
            x_title=load,
            x_labels=[f"{at:,}" for at in loads],
            width=_WIDTH,
            height=_HEIGHT,
            explicit_size=True,
            include_x_axis=True,
            legend_at_bottom=True,
        )
    )
    for label, line in lines.items():
        if any(there is not None for there in line.values()):
            drawing.add(label, [line.get(at) for at in loads])
    return drawing
