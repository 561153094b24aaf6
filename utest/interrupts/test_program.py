"""Calls, streams, uploads and connections that signals interrupt at random moments, in processes of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SCRIPTS = Path(sys.executable).parent
#: Interruptions of one run; `make stress` has more of them.
COUNT = int(os.environ.get("TEST_INTERRUPTIONS", "200"))
#: Seconds for one run. A hang is told by the program itself, with the stacks of its threads.
LIMIT = 600.0 + COUNT / 5
#: Commands that signals end in one run, each of which has to be started.
COMMANDS = max(8, COUNT // 50)


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
def test_interruptions_at_random_moments_leave_nothing_blocked(seed: int) -> None:
    done = in_a_shell("program.py", seed, COUNT)
    assert done.returncode == 0, done.stderr
    told = re.search(r"(\d+) interruptions in \d+ actions, handlers intact: True", done.stdout)
    assert told and int(told[1]) == COUNT, done.stdout + done.stderr


@pytest.mark.timeout(LIMIT + 60)
def test_commands_end_within_seconds_of_a_signal_at_any_moment() -> None:
    done = in_a_shell("commands.py", 1, COMMANDS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{COMMANDS} signals, 0 failures" in done.stdout
