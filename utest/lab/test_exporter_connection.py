"""What the controller knows of an exporter's connection: broken, silent, and made twice by two processes."""

from __future__ import annotations

import itertools
import os
import re
import signal
import time

import pytest

from .world import Process, World, wait_for

_numbers = itertools.count(1)

#: Seconds within which a broken connection, and a silent one, are known; a command that asks takes up to two of them.
BROKEN = 4.0
SILENT = 15.0


@pytest.fixture
def name(world: World) -> str:
    """The name of an exporter that nobody runs yet."""
    name = f"board-{next(_numbers)}"
    world.add_exporter(name, f"name={name},kind=twin")
    return name


def online(world: World, name: str) -> bool:
    return bool(world.exporter(name)["status"]["exporterStatus"] != "Offline")


def goes_offline(world: World, name: str, within: float) -> None:
    before = time.monotonic()
    wait_for(lambda: not online(world, name), f"{name} is offline")
    assert time.monotonic() - before < within


def use(world: World, name: str) -> str:
    return world.ok("shell", "-n", name, "--", "j", "power", "on")


def test_killed_exporter_is_offline_at_once(world: World, name: str) -> None:
    process = world.run_exporter(name)
    process.end(signal.SIGKILL)
    goes_offline(world, name, BROKEN)


def test_stopped_exporter_is_offline_within_seconds_and_back_when_it_goes_on(world: World, name: str) -> None:
    process = world.run_exporter(name)
    process.popen.send_signal(signal.SIGSTOP)
    try:
        goes_offline(world, name, SILENT)
    finally:
        process.popen.send_signal(signal.SIGCONT)
    world.is_available(name)
    use(world, name)
    process.end()


def test_lease_is_of_the_board_that_lives(world: World) -> None:
    dead, alive = (f"board-{next(_numbers)}" for _ in range(2))
    for board in (dead, alive):
        world.add_exporter(board, f"name={board},kind=pair")
    processes = {board: world.run_exporter(board) for board in (dead, alive)}
    processes[dead].end(signal.SIGKILL)
    goes_offline(world, dead, BROKEN)
    out = world.ok("shell", "-l", "kind=pair", "--", "sh", "-c", "echo $JMP_EXPORTER")
    assert out.strip() == alive
    processes[alive].end()


def stands_by(process: Process) -> None:
    process.until("this process stands by")


def test_newer_process_has_the_board_and_the_older_one_stands_by(world: World, name: str) -> None:
    older = world.run_exporter(name)
    newer = world.start("jmp", "run", "--exporter", name)
    newer.until("registered as")
    stands_by(older)
    assert re.search(r"another process has registered as exporter '[\w-]+' since, at [\d.]+: ", older.text())
    assert f"another process (at 127.0.0.1) ran exporter '{name}' until now" in newer.text()
    use(world, name)
    assert "begins" in newer.text() and "begins" not in older.text()
    # Neither takes the board from the other again.
    assert older.popen.poll() is None and newer.popen.poll() is None
    assert older.text().count(f"registered as {name}") == newer.text().count(f"registered as {name}") == 1
    newer.end()
    older.end()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_end_of_the_older_process_does_not_touch_the_newer(
    world: World, name: str, number: signal.Signals
) -> None:
    older = world.run_exporter(name)
    newer = world.start("jmp", "run", "--exporter", name)
    newer.until("registered as")
    older.end(number)
    assert online(world, name)
    use(world, name)
    newer.end()
    assert not online(world, name)


def test_overlapping_restart_while_the_old_process_says_goodbye(world: World, name: str) -> None:
    older = world.run_exporter(name)
    for _ in range(3):
        # The goodbye is the first thing that the old process does when it goes on, and the new one is there by then.
        for number in (signal.SIGSTOP, signal.SIGTERM):
            os.kill(older.popen.pid, number)
        newer = world.start("jmp", "run", "--exporter", name)
        newer.until("registered as")
        os.kill(older.popen.pid, signal.SIGCONT)
        older.wait()
        world.is_available(name)
        use(world, name)
        older = newer
    older.end()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_older_process_takes_the_board_back_when_the_newer_is_gone(
    world: World, name: str, number: signal.Signals
) -> None:
    older = world.run_exporter(name)
    newer = world.start("jmp", "run", "--exporter", name)
    newer.until("registered as")
    stands_by(older)
    newer.end(number)
    older.until(f"registered as {name}", times=2)
    world.is_available(name)
    use(world, name)
    assert older.end() == 143
    assert not online(world, name)


def test_lease_goes_on_with_the_newer_process(world: World, name: str) -> None:
    older = world.run_exporter(name)
    shell = world.start(
        "jmp",
        "shell",
        "-n",
        name,
        "--",
        "sh",
        "-c",
        "j power on && echo first; until grep -q begins $LOG; do sleep 0.2; done; j power on && echo second",
        env={"LOG": str(world.home / "newer.log")},
    )
    shell.until("first")
    newer = world.start("jmp", "run", "--exporter", name)
    (world.home / "newer.log").symlink_to(newer.log)
    assert shell.wait() == 0, shell.text() + newer.text()
    assert "second" in shell.text()
    stands_by(older)
    assert "Traceback" not in older.text() + newer.text()
    newer.end()
    older.end()
