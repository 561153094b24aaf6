"""The two processes of ``jmp run`` in a lab: to others they are one, but a stuck exporter is started anew."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .world import Process, World, wait_for

_numbers = itertools.count(1)
HERE = Path(__file__).parent
STUCK = {"board": {"type": "stuck.Stuck"}}
Make = Callable[..., tuple[str, Process]]


@pytest.fixture
def exporter(world: World) -> Iterator[Make]:
    """Makes exporters with the driver of `stuck` and a short limit."""
    made: list[Process] = []

    def make(*options: str, **config: object) -> tuple[str, Process]:
        name = f"watched-{next(_numbers)}"
        world.add_exporter(name, f"board={name}", export=STUCK, **config)
        env = {"PYTHONPATH": str(HERE), "JMP_WATCHDOG": "10"}
        process = world.start("jmp", "run", "--exporter", name, *options, env=env)
        made.append(process)
        process.until("registered as")
        world.is_available(name)
        return name, process

    yield make
    for each in made:
        each.popen.send_signal(signal.SIGCONT)  # whatever a test that failed has stopped
        each.end()


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_exporter_stuck_in_native_code_is_started_anew_and_the_place_is_shown(
    world: World, exporter: Make
) -> None:
    name, process = exporter()
    stuck = world.start("jmp", "shell", "-n", name, "--", "j", "board", "on")
    text = process.until("registered as", times=2)
    assert "no sign of life for 10 s" in text
    assert "started anew" in text
    assert "in on" in text and "stuck.py" in text  # where its threads are
    assert stuck.wait() != 0
    world.nothing_is_leased()
    world.is_available(name)
    assert world.jmp("shell", "-n", name, "--", "j", "board", "off").code == 0
    assert process.end() == 143


def test_stuck_exporter_that_is_to_stop_is_ended(world: World, exporter: Make) -> None:
    name, process = exporter()
    shell = world.start(
        "jmp", "shell", "-n", name, "--retry-timeout", "0", "--", "sh", "-c", "echo started; exec j board on"
    )
    shell.until("started")
    wait_for(lambda: "no sign" in process.text() or _is_stuck(process), "the exporter is stuck")
    assert process.end() == 143
    shell.wait()
    world.nothing_is_leased()


def _is_stuck(process: Process) -> bool:
    (pid,) = children(process.popen.pid)
    words = Path(f"/proc/{pid}/task").iterdir()
    return any("hrtimer_nanosleep" in (each / "wchan").read_text() for each in words)


def test_busy_exporter_is_left_alone(world: World, exporter: Make) -> None:
    name, process = exporter()
    assert world.jmp("shell", "-n", name, "--", "j", "board", "off").code == 0
    assert "no sign of life" not in process.text()
    assert process.text().count("registered as") == 1


@pytest.mark.parametrize("which", ["both", "the exporter"])
def test_stopped_exporter_goes_on_when_it_is_continued(world: World, exporter: Make, which: str) -> None:
    _, process = exporter()
    (below,) = children(process.popen.pid)
    pid = process.popen.pid if which == "both" else below
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: state(below) == "T", "the exporter is stopped")
    subprocess.run(
        ["sleep", "15"], check=True
    )  # longer than the limit: what is tested is that nothing happens
    assert state(below) == "T"
    os.kill(pid, signal.SIGCONT)
    wait_for(lambda: state(below) != "T", "the exporter runs")
    subprocess.run(["sleep", "1"], check=True)
    assert children(process.popen.pid) == [below]
    assert "no sign of life" not in process.text()
    assert process.end() == 143


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGABRT, signal.SIGUSR1])
def test_both_processes_end_when_one_is_killed(exporter: Make, number: signal.Signals) -> None:
    _, process = exporter()
    (below,) = children(process.popen.pid)
    assert process.end(number) == -number
    wait_for(lambda: gone(below), "the exporter is gone")


def test_death_of_the_exporter_is_that_of_both(exporter: Make) -> None:
    _, process = exporter()
    (below,) = children(process.popen.pid)
    os.kill(below, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def test_without_a_watchdog_there_is_one_process(world: World, exporter: Make) -> None:
    _, process = exporter("--watchdog", "0")
    assert children(process.popen.pid) == []
    assert process.end() == 143


@pytest.mark.parametrize("limit", ["1", "-5", "nan"])
def test_too_short_a_limit_is_wrong_usage(world: World, limit: str) -> None:
    done = world.jmp("run", "--exporter", "any", "--watchdog", limit)
    assert done.code == 2
    assert "5 seconds at least" in done.err
