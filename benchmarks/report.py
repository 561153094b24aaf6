"""The table, and the same as JSON."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .rows import Better
from .runner import Result


def machine() -> dict[str, Any]:
    """What the numbers were taken on."""
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text().splitlines() if cpu.exists() else []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return {
        "cpu": next(models, platform.processor() or "unknown"),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "grpcio": version("grpcio"),
        "load": [round(load, 2) for load in os.getloadavg()],
    }


def heading(facts: Mapping[str, Any]) -> str:
    """The machine in one line."""
    load = " ".join(f"{number:.1f}" for number in facts["load"])
    return (
        f"{facts['cpu']}, {facts['cores']} cores, {facts['system']}, Python {facts['python']}, "
        f"grpcio {facts['grpcio']}, load average at start {load}"
    )


def table(results: Sequence[Sequence[Result]]) -> str:
    """A markdown table with one line for each row; each entry of *results* is ours and, if measured, upstream's."""
    with_upstream = any(len(row) > 1 for row in results)
    title = "upstream 0.9.0, this run" if with_upstream else "upstream 0.9.0, reference"
    head = ("measure", title, "ours", "spread", "target", "holds", "ours in units", "limit in units")
    lines = [head, ("---",) * len(head), *(_cells(row) for row in results)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cells(results: Sequence[Result]) -> tuple[str, ...]:
    ours, row = results[0], results[0].row
    upstream = _number(results[1].ratio) + _spread(results[1]) if len(results) > 1 else _number(row.upstream)
    target = (
        f"at least {_number(row.target)}" if row.better is Better.HIGHER else f"at most {_number(row.target)}"
    )
    limit = f"{_number(statistics.median(ours.limits))} {row.unit}" if ours.limits else "-"
    return (
        row.title,
        upstream,
        _number(ours.ratio),
        _spread(ours).strip(" ()"),
        target,
        "yes" if row.holds(ours.ratio) else "NO",
        f"{_number(statistics.median(ours.measured))} {row.unit}",
        limit,
    )


def _spread(result: Result) -> str:
    return f" ({_number(min(result.ratios))}..{_number(max(result.ratios))})"


def _number(number: float | str) -> str:
    """Three significant digits; words stay what they are."""
    if isinstance(number, str):
        return number
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"


def as_json(facts: Mapping[str, Any], results: Sequence[Sequence[Result]]) -> dict[str, Any]:
    """Everything that was measured."""
    return {"machine": dict(facts), "rows": [_entry(result) for row in results for result in row]}


def _entry(result: Result) -> dict[str, Any]:
    row = result.row
    return {
        "row": row.name,
        "title": row.title,
        "subject": result.subject,
        "unit": row.unit,
        "measured": result.measured,
        "limits": result.limits,
        "ratios": result.ratios,
        "ratio": result.ratio,
        "target": row.target,
        "better": row.better.name.lower(),
        "holds": row.holds(result.ratio),
        "upstream_reference": row.upstream,
    }
