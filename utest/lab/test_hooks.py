"""Hooks of an exporter in a lab, and what its clients see of them. The names are those of stock Jumpstarter's scenarios."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .world import Process, World, wait_for

_numbers = itertools.count(1)


class Board:
    """An exporter with hooks, and shells on it."""

    def __init__(self, world: World, hooks: dict[str, Any]) -> None:
        self.world = world
        self.name = f"board-{next(_numbers)}"
        world.add_exporter(self.name, f"board={self.name}", hooks=hooks)
        self.process = world.run_exporter(self.name)

    def shell(self, *command: str, options: tuple[str, ...] = ()) -> Any:
        return self.world.jmp("shell", "-n", self.name, *options, "--", *command)

    def start_shell(self, *command: str, options: tuple[str, ...] = ()) -> Process:
        return self.world.start("jmp", "shell", "-n", self.name, *options, "--", *command)

    @property
    def status(self) -> str:
        return str(self.world.exporter(self.name)["status"]["exporterStatus"])

    def becomes(self, status: str) -> None:
        wait_for(lambda: self.status == status, f"{self.name} becomes {status}, is {self.status}")

    def is_free(self) -> None:
        self.world.nothing_is_leased()
        self.becomes("Available")


@pytest.fixture
def board(world: World) -> Iterator[Callable[..., Board]]:
    """Makes exporters: ``board(before=..., after=...)``, each a script or the whole hook."""
    made: list[Board] = []

    def make(before: Any = None, after: Any = None) -> Board:
        hooks = {
            key: hook if isinstance(hook, dict) else {"script": hook}
            for key, hook in (("beforeLease", before), ("afterLease", after))
            if hook is not None
        }
        made.append(Board(world, hooks))
        return made[-1]

    yield make
    for each in made:
        each.process.end()


Make = Callable[..., Board]


def test_a1_before_hook_runs(board: Make) -> None:
    done = board(before="echo BEFORE-HOOK").shell("j", "power", "on")
    assert done.code == 0
    assert "BEFORE-HOOK" in done.err
    assert done.out == "ok\n"


def test_a2_after_hook_runs_and_is_waited_for(board: Make) -> None:
    done = board(after="sleep 1; echo AFTER-HOOK").shell("j", "power", "on")
    assert done.code == 0
    assert "AFTER-HOOK" in done.err


def test_a3_order_of_hooks_and_command(board: Make) -> None:
    made = board(before="echo FIRST", after="echo LAST")
    run = made.start_shell("echo", "BETWEEN")
    assert run.wait() == 0
    text = run.text()
    assert text.index("FIRST") < text.index("BETWEEN") < text.index("LAST")
    assert text.count("FIRST") == text.count("LAST") == 1


def test_output_of_a_hook_is_shown_while_it_runs(board: Make, tmp_path: Any) -> None:
    go_on = tmp_path / "go-on"
    made = board(before=f"echo EARLY; while [ ! -e {go_on} ]; do sleep 0.1; done; echo LATE")
    run = made.start_shell("true")
    text = run.until("EARLY")
    assert "LATE" not in text
    go_on.touch()
    assert run.wait() == 0
    assert "LATE" in run.text()


def test_b1_before_hook_fails_with_warn(board: Make) -> None:
    done = board(before={"script": "exit 3", "onFailure": "warn"}).shell("j", "power", "on")
    assert done.code == 0
    assert done.out == "ok\n"
    assert "Warning: " in done.err


def test_b2_before_hook_fails_with_end_lease(board: Make) -> None:
    made = board(before={"script": "echo BROKEN; exit 3", "onFailure": "endLease"})
    done = made.shell("echo", "USED")
    assert done.code == 1
    assert "USED" not in done.out
    assert "BROKEN" in done.err
    assert done.err.splitlines()[-1].startswith("Error: ")


def test_b3_failed_before_hook_frees_the_exporter_twice(board: Make) -> None:
    made = board(before={"script": "exit 3", "onFailure": "endLease"})
    for _ in range(2):
        assert made.shell("true").code == 1
        made.is_free()


def test_b4_no_after_hook_after_end_lease(board: Make) -> None:
    made = board(before={"script": "exit 3", "onFailure": "endLease"}, after="echo AFTER-HOOK")
    assert made.shell("true").code == 1
    made.is_free()
    assert "AFTER-HOOK" not in made.process.text()


def test_b5_before_hook_fails_with_exit(board: Make) -> None:
    made = board(before={"script": "exit 3", "onFailure": "exit"})
    assert made.shell("true").code == 1
    assert made.process.wait() == 1
    made.becomes("Offline")


def test_c1_after_hook_fails_with_warn(board: Make) -> None:
    made = board(after={"script": "exit 3", "onFailure": "warn"})
    done = made.shell("true")
    assert done.code == 0
    assert "Warning: " in done.err
    made.is_free()


def test_c2_after_hook_fails_with_exit(board: Make) -> None:
    made = board(after={"script": "exit 3", "onFailure": "exit"})
    done = made.shell("true")
    assert done.code == 1
    assert "afterLease" in done.err
    assert made.process.wait() == 1
    made.becomes("Offline")


def test_c3_failed_after_hook_keeps_the_exit_code_of_the_command(board: Make) -> None:
    made = board(after={"script": "exit 3", "onFailure": "endLease"})
    assert made.shell("sh", "-c", "exit 7").code == 7
    made.is_free()


def test_d1_timeout_is_a_failure(board: Make) -> None:
    made = board(before={"script": "sleep 600", "timeout": 1, "onFailure": "endLease"})
    done = made.shell("true")
    assert done.code == 1
    assert "1 s" in done.err
    made.is_free()


def test_e1_j_in_the_before_hook(board: Make) -> None:
    made = board(before="j power on && echo J-WORKS")
    assert "J-WORKS" in made.shell("true").err


def test_e2_j_in_the_after_hook(board: Make) -> None:
    made = board(after="j power off && echo J-WORKS")
    assert "J-WORKS" in made.shell("true").err
    assert "power off" in made.process.text()


def test_e3_environment_of_hooks(board: Make) -> None:
    made = board(before='echo "lease=$LEASE_NAME client=$CLIENT_NAME"')
    done = made.shell("sh", "-c", "echo $JMP_LEASE")
    assert f"lease={done.out.strip()} client=anna" in done.err


def test_f1_hook_in_bash(board: Make) -> None:
    script = 'words=(one TWO); echo "${words[1]}"'
    assert "TWO" in board(before={"script": script, "exec": "/bin/bash"}).shell("true").err


def test_f2_hook_in_python(board: Make) -> None:
    made = board(before={"script": "print('PYTHON', 6 * 7)", "exec": "python3"})
    assert "PYTHON 42" in made.shell("true").err


def test_f3_hook_in_a_file(board: Make, tmp_path: Any) -> None:
    script = tmp_path / "hook.sh"
    script.write_text("echo FROM-FILE\n")
    assert "FROM-FILE" in board(before=str(script)).shell("true").err


def test_g1_lease_ends_without_hooks(board: Make) -> None:
    made = board()
    run = made.start_shell("sleep", "600", options=("--duration", "10s"))
    assert run.wait() == 143
    assert "Traceback" not in run.text()
    made.is_free()


def test_g2_lease_ends_during_the_before_hook(board: Make) -> None:
    made = board(before="echo STARTED; sleep 600")
    run = made.start_shell("true", options=("--duration", "10s"))
    run.until("STARTED")
    assert run.wait() == 1
    assert "Traceback" not in run.text()
    made.world.nothing_is_leased()


def test_g3_lease_ends_right_after_the_before_hook(board: Make) -> None:
    made = board(before="sleep 1")
    run = made.start_shell("sleep", "600", options=("--duration", "10s"))
    assert run.wait() == 143
    made.is_free()


def test_h1_no_noise_of_the_infrastructure(board: Make) -> None:
    done = board(before="echo ONE", after="echo TWO").shell("true")
    told, *lines = sorted(done.err.splitlines(), key=lambda line: not line.startswith("Using "))
    assert told.startswith("Using board-"), done.err
    assert [line.rpartition(":")[2] for line in lines] == ["ONE", "TWO"], done.err


def test_h2_no_after_hook_after_exit(board: Make) -> None:
    made = board(before={"script": "exit 3", "onFailure": "exit"}, after="echo AFTER-HOOK")
    made.shell("true")
    assert made.process.wait() == 1
    assert "AFTER-HOOK" not in made.process.text()


@pytest.mark.parametrize("which", ["before", "after"])
def test_h3_h4_warnings_are_shown(board: Make, which: str) -> None:
    done = board(**{which: {"script": "exit 9", "onFailure": "warn"}}).shell("true")
    assert done.code == 0
    assert f"{which}Lease" in done.err
    assert "9" in done.err
    assert done.err.count("exit code 9") == 1


@pytest.mark.parametrize("which", ["before", "after"])
def test_time_out_of_a_hook_is_told_once_to_the_client_and_once_in_the_log(board: Make, which: str) -> None:
    made = board(**{which: {"script": "sleep 600", "timeout": 1, "onFailure": "warn"}})
    done = made.shell("true")
    assert done.code == 0
    assert done.err.count("timed out") == 1, done.err
    assert "Warning: " in done.err
    made.is_free()
    assert made.process.text().count("timed out") == 1, made.process.text()


def test_failure_that_ends_the_lease_is_told_once_to_the_client_and_once_in_the_log(board: Make) -> None:
    made = board(before={"script": "exit 9", "onFailure": "endLease"})
    done = made.shell("true")
    assert done.err.count("exit code 9") == 1, done.err
    made.is_free()
    assert made.process.text().count("exit code 9") == 1, made.process.text()


def test_client_that_is_killed_leaves_the_after_hook_to_the_end_of_the_lease(board: Make) -> None:
    made = board(after="echo AFTER-HOOK")
    run = made.start_shell("sh", "-c", "echo started; exec sleep 600")
    run.until("started")
    run.end(signal.SIGKILL)
    made.world.ok("delete", "lease")
    made.process.until("AFTER-HOOK")
    made.is_free()
    assert made.process.text().count("AFTER-HOOK") == 1


def test_what_a_before_hook_left_behind_runs_during_the_lease_and_not_after_it(
    board: Make, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    made = board(before=f"setsid sleep 600 > /dev/null 2>&1 & echo $! > {pid}", after="echo AFTER-HOOK")
    done = made.shell("sh", "-c", f"kill -0 $(cat {pid}) && echo RUNS")
    assert done.code == 0, done.err
    assert "RUNS" in done.out
    made.is_free()
    assert not runs(int(pid.read_text()))


def test_what_an_after_hook_left_behind_does_nothing_to_the_next_board_user(
    board: Make, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    late = f"echo $$ > {pid}; sleep 600; j power off"
    # The hook ends when what it leaves behind has told its number.
    made = board(
        after=f"rm -f {pid}; (setsid sh -c '{late}' > /dev/null 2>&1 &); until [ -s {pid} ]; do sleep 0.1; done"
    )
    assert made.shell("j", "power", "on").code == 0
    left = int(pid.read_text())
    done = made.shell("sh", "-c", f"! kill -0 {left}")
    assert done.code == 0, done.err


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
