"""The command line: ``python -m benchmarks``."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from .bench import QUICK, Bench, Scale
from .processes import ROOT, BenchError, Installation
from .report import as_json, heading, machine, table
from .rows import ROWS, Row
from .runner import Result, measure


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options."""
    names = [row.name for row in ROWS]
    parser = argparse.ArgumentParser(
        "python -m benchmarks", description="Measure the core against limits taken in the same run."
    )
    parser.add_argument(
        "--rows", nargs="+", choices=names, default=names, metavar="ROW", help=", ".join(names)
    )
    parser.add_argument("--repeat", type=int, metavar="N", help="repeats of every row (5, quick 3)")
    parser.add_argument("--quick", action="store_true", help="measure less: under a minute, more spread")
    parser.add_argument("--upstream", action="store_true", help="measure jumpstarter 0.9.0, too")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured")
    options = parser.parse_args(arguments)
    if options.repeat is None:
        options.repeat = 3 if options.quick else 5
    if options.repeat < 1:
        parser.error("--repeat must be 1 or more")
    if options.json and not options.json.absolute().parent.is_dir():
        parser.error(f"--json {options.json}: there is no folder {options.json.absolute().parent}")
    return options


def subjects(folder: Path, *, upstream: bool) -> list[Installation]:
    """What is measured; creates upstream's environment when it is not there."""
    places = {"ours": Path(sys.executable).parent}
    if upstream:
        made = subprocess.run([ROOT / "scripts" / "peer-venv"], stdout=subprocess.PIPE, text=True, check=True)
        places["upstream"] = Path(made.stdout.strip()) / "bin"
    installations = [Installation(name, place, folder / name) for name, place in places.items()]
    for installation in installations:
        installation.home.mkdir()
    return installations


def run(options: argparse.Namespace, rows: Sequence[Row], folder: Path) -> list[list[Result]]:
    """Measure *rows*, telling on standard error which one is under way."""
    results = []
    with Bench(folder, QUICK if options.quick else Scale()) as bench:
        found = subjects(folder, upstream=options.upstream)
        for row in rows:
            started = time.monotonic()
            print(f"{row.title} ...", end=" ", flush=True, file=sys.stderr)
            results.append(measure(bench, row, found, options.repeat))
            print(f"{time.monotonic() - started:.0f} s", file=sys.stderr)
    return results


def memory_folder() -> str | None:
    """Where files lie in memory; None where the system has no such place."""
    place = Path("/dev/shm")
    return str(place) if place.is_dir() else None


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0 whatever the numbers are: machines differ. 1 when something could not be measured."""
    options = parse(arguments)
    rows = [row for row in ROWS if row.name in options.rows]
    facts = machine()
    print(heading(facts), file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="jumpstarter-bench-", dir=memory_folder()) as folder:
        try:
            results = run(options, rows, Path(folder))
        except (BenchError, subprocess.CalledProcessError) as error:
            print(f"\n{error}", file=sys.stderr)
            return 1
    if options.json:
        options.json.write_text(json.dumps(as_json(facts, results), indent=1) + "\n")
    print(f"{heading(facts)}\n\n{table(results)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
