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
COUNT = os.environ.get("TEST_INTERRUPTIONS", "200")
#: Seconds for one run. A hang is told by the program itself, with the stacks of its threads.
LIMIT = 600.0


@pytest.mark.timeout(LIMIT + 60)
@pytest.mark.parametrize("seed", [1, 2])
def test_interruptions_at_random_moments_leave_nothing_blocked(seed: int) -> None:
    command = [SCRIPTS / "jmp", "shell", "--exporter-config", HERE / "exporter.yaml", "--"]
    program = [sys.executable, HERE / "program.py", str(seed), COUNT]
    done = subprocess.run(
        [*command, *program],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        env={**os.environ, "PYTHONPATH": str(HERE)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = re.search(r"(\d+) interruptions in \d+ actions, handlers intact: True", done.stdout)
    assert told and told[1] == COUNT, done.stdout + done.stderr
