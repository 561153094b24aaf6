"""Calls, streams, uploads and connections that signals interrupt at random moments, in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from utest.interrupts import shares

HERE = Path(__file__).parent
SCRIPTS = Path(sys.executable).parent
#: Seconds for one run. A hang is told by the program itself, with the stacks of its threads.
LIMIT = 600.0 + shares.TOTAL / 5


def in_a_shell(program: str, seed: int, count: int) -> subprocess.CompletedProcess[str]:
    command = [SCRIPTS / "jmp", "shell", "--exporter-config", HERE / "exporter.yaml", "--"]
    paths = {"PYTHONPATH": str(HERE), "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(
        [*command, sys.executable, HERE / program, str(seed), str(count)],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        env={**os.environ, **paths},
        check=False,
    )


@pytest.mark.timeout(LIMIT + 60)
@pytest.mark.parametrize("seed", [1, 2])
def test_interruptions_at_random_moments_leave_nothing_blocked(
    seed: int, tell_hits: Callable[[str], None]
) -> None:
    done = in_a_shell("program.py", seed, shares.ACTIONS)
    tell_hits(done.stdout)
    assert done.returncode == 0, done.stderr
    assert f"{shares.ACTIONS} interruptions in" in done.stdout
    assert done.stdout.endswith("handlers intact: True\n")


@pytest.mark.timeout(LIMIT + 60)
def test_commands_end_within_seconds_of_a_signal_at_any_moment(tell_hits: Callable[[str], None]) -> None:
    done = in_a_shell("commands.py", 1, shares.COMMANDS)
    tell_hits(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{shares.COMMANDS} signals, 0 failures" in done.stdout
