"""What was acknowledged outlasts ``kill -9`` at any moment."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

from jumpstarter_controller.model import Lease, LeaseState
from jumpstarter_controller.store import open_store

from utest.jumpstarter_controller.labs import NOW, save_lease

WRITER = Path(__file__).with_name("writing.py")
STEPS = [LeaseState.WAITING, LeaseState.READY, LeaseState.RELEASED]


def write_until_killed(path: Path, run: str, lines: int) -> dict[str, str]:
    """What the process acknowledged until it was killed, some moment after *lines* lines: the last state of each lease."""
    with subprocess.Popen(
        [sys.executable, str(WRITER), str(path), run],
        cwd=Path(__file__).parents[3],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        read = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        read += process.stdout.readlines()
    return dict(line.split() for line in read if line.endswith("\n"))


def test_nothing_acknowledged_is_lost_when_the_process_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "lab.sqlite"
    moments = random.Random(7)
    settled: dict[str, Lease] = {}
    for run in range(6):
        acknowledged = write_until_killed(path, f"r{run}", moments.randrange(1, 120))
        store = open_store(path)
        found = {x.name: x for x in store.read(lambda t: t.leases.page(limit=100_000))}
        assert settled.items() <= found.items()
        for name, state in acknowledged.items():
            _check(found[name], state)
        # A process that died between two steps left its lease active: its owner ends it.
        for x in found.values():
            settled[x.name] = x if x.ended else x.released(NOW)
            if not x.ended:
                store.change(save_lease(settled[x.name]))
        store.close()
    assert len(settled) > 6


def _check(x: Lease, acknowledged: str) -> None:
    """One step more than what was acknowledged may be written, never less."""
    said = STEPS.index(LeaseState(acknowledged))
    assert said <= STEPS.index(x.state) <= said + 1
    assert (x.exporter is not None) == (x.state is not LeaseState.WAITING)
