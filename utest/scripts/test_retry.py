"""Failed tests are run again by themselves where that is asked for, and a test that passes then is told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

PYTEST = """
from pathlib import Path


def test_sound():
    pass


def test_doubtful():
    before = Path({runs!r})
    count = before.read_text() if before.exists() else ""
    before.write_text(count + "x")
    print("what it printed")
    assert len(count) >= {good}, "not yet"
"""

ROBOT = """
*** Settings ***
Library    OperatingSystem

*** Test Cases ***
Sound
    No Operation

Doubtful
    Append To File    {runs}    x
    ${{count}} =    Get File Size    {runs}
    Should Be True    ${{count}} > {good}    not yet
"""


def run(folder: Path, kind: str, good: int, retries: str) -> tuple[int, str, str]:
    """(exit code, output, record) of a suite whose doubtful test passes after *good* failures."""
    text, name = (PYTEST, "test_it.py") if kind == "utest" else (ROBOT, "it.robot")
    suite, record = folder / name, folder / "unstable.txt"
    suite.write_text(text.format(runs=str(folder / "runs"), good=good))
    options = ["-p", "utest.conftest", str(suite)] if kind == "utest" else [str(suite)]
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / kind, *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TEST_RETRIES": retries, "TEST_UNSTABLE": str(record)},
    )
    return done.returncode, done.stdout + done.stderr, record.read_text() if record.exists() else ""


@pytest.mark.parametrize("kind", ["utest", "atest"])
def test_a_test_that_passes_by_itself_is_unstable_and_told(tmp_path: Path, kind: str) -> None:
    code, output, record = run(tmp_path, kind, 2, "2")
    assert code == 0, output
    assert "oubtful" in record and "passed at attempt 3" in record and "not yet" in record
    assert "ound" not in record.replace("oubtful", "")


@pytest.mark.parametrize("kind", ["utest", "atest"])
def test_a_test_that_goes_on_failing_fails(tmp_path: Path, kind: str) -> None:
    code, output, record = run(tmp_path, kind, 9, "2")
    assert code == 1, output
    assert not record


@pytest.mark.parametrize("kind", ["utest"])
def test_nothing_is_run_again_unless_it_is_asked_for(tmp_path: Path, kind: str) -> None:
    code, output, record = run(tmp_path, kind, 1, "0")
    assert code == 1, output
    assert "once more" not in output and not record


WHERE = """
import os
import pytest


@pytest.mark.alone
def test_by_itself():
    assert "PYTEST_XDIST_WORKER" not in os.environ


@pytest.mark.parametrize("number", range(4))
def test_beside_others(number):
    assert "PYTEST_XDIST_WORKER" in os.environ
"""


def test_tests_run_beside_each_other_but_for_those_that_are_marked(tmp_path: Path) -> None:
    suite = tmp_path / "test_where.py"
    suite.write_text(WHERE)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "utest", "-q", str(suite)],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        env={**inherited, "TEST_PROCESSES": "2"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout and "1 passed, 4 deselected" in done.stdout
