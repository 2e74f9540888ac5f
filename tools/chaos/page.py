"""The report for a browser: one file that asks nobody for anything."""

from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Final

from tools.chaos.report import Report

_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: 1rem 0 2rem; width: 100%; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #ddd; vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
.good { color: #0a7a2f; } .bad { color: #b00020; } .outcome { font-size: 1.2rem; font-weight: 600; }
.bar { height: 2.2rem; position: relative; background: #f3f3f3; }
.bar i { position: absolute; top: .3rem; bottom: .3rem; width: 2px; background: #b00020; }
summary { cursor: pointer; }
@media (prefers-color-scheme: dark) { body { background: #161616; color: #ddd; } .bar { background: #2a2a2a; }
  th, td { border-color: #444; } .good { color: #4cc56f; } .bad { color: #ff6b81; } }
"""


def write(report: Report, path: Path) -> None:
    """Writes the page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render(report))


def render(report: Report) -> str:
    """The page as HTML."""
    colour = "bad" if report.failures else "good"
    return "\n".join(
        (
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>Chaos, seed {report.plan.seed}</title><style>{_STYLE}</style></head><body>",
            f"<h1>Chaos, seed {report.plan.seed}</h1>",
            f'<p class="outcome {colour}">{escape(report.outcome)}</p>',
            *(f"<p>{escape(line)}</p>" for line in report.summary),
            _list("What is wrong", report.failures),
            "<h2>Promises</h2>",
            _table(("", "Promise", "Checked", "Violations"), _promises(report), numbers={2, 3}),
            "<h2>Faults</h2>",
            _table(("Fault", "Struck", "At least", "When"), _faults(report), numbers={1, 2}),
            "<details><summary>Every strike</summary>",
            _table(("Second", "Fault", "Victim"), _strikes(report), numbers={0}),
            "</details></body></html>",
        )
    )


def _promises(report: Report) -> Iterable[tuple[str, ...]]:
    for verdict in report.verdicts:
        mark = _mark(verdict.holds and verdict.checked > 0)
        sentence = f"{mark} {escape(verdict.sentence)}"
        yield verdict.promise, sentence, f"{verdict.checked:,}", str(len(verdict.violations))


def _faults(report: Report) -> Iterable[tuple[str, ...]]:
    for count in report.faults:
        name = f"{_mark(count.is_enough)} {escape(count.fault)}"
        moments = [strike.at for strike in report.strikes if strike.fault is count.fault]
        last = max((strike.at for strike in report.strikes), default=0) or 1
        ticks = "".join(f'<i style="left:{100 * at / last:.1f}%"></i>' for at in moments)
        yield name, str(count.struck), str(count.minimum), f'<div class="bar">{ticks}</div>' if ticks else ""


def _strikes(report: Report) -> Iterable[tuple[str, ...]]:
    for strike in report.strikes:
        yield f"{strike.at:.1f}", escape(strike.fault), escape(strike.victim)


def _mark(is_good: bool) -> str:
    return '<span class="good">✓</span>' if is_good else '<span class="bad">✗</span>'


def _table(heads: Iterable[str], rows: Iterable[tuple[str, ...]], numbers: set[int]) -> str:
    def cells(tag: str, row: Iterable[str]) -> str:
        return "".join(
            f"<{tag}{' class=number' if place in numbers else ''}>{cell}</{tag}>"
            for place, cell in enumerate(row)
        )

    body = "\n".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f"<table><thead><tr>{cells('th', heads)}</tr></thead><tbody>\n{body}\n</tbody></table>"


def _list(title: str, lines: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<h2>{title}</h2><ul>{items}</ul>" if items else ""
