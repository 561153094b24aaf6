"""Interruptions of leases in a lab of real processes: the board is given back, whatever was interrupted."""

from __future__ import annotations

import random
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from utest.interrupts import shares
from utest.interrupts.moments import Hits
from utest.lab.world import Process, World

HERE = Path(__file__).parent
#: Seconds for the interruptions of one test. A hang is told by the programs themselves.
LIMIT = 120.0 + shares.TOTAL / 5
#: Seconds for a run of Robot to start or to end on a busy machine.
SOON = 60.0

EXPORT = {
    "power": {"type": "jumpstarter_driver_power.driver.MockPower"},
    "serial": {"type": "jumpstarter_driver_pyserial.driver.PySerial", "config": {"url": "loop://"}},
    "storage": {"type": "jumpstarter_driver_opendal.driver.MockFlasher"},
}


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("lab"))
    try:
        world.start_controller()
        world.add_client("anna")
        world.add_exporter("board", "kind=board", export=EXPORT)
        yield world
    finally:
        world.close()


@pytest.fixture
def board(world: World) -> Iterator[Process]:
    process = world.run_exporter("board")
    yield process
    process.end()


@pytest.mark.timeout(LIMIT + 240)
def test_interrupted_leases_are_given_back(
    world: World, board: Process, tell_hits: Callable[[str], None]
) -> None:
    process = world.start("python", str(HERE / "leasing.py"), "1", str(shares.LEASES))
    assert process.popen.wait(LIMIT) == 0, process.text()
    tell_hits(process.text())
    assert f"{shares.LEASES} interruptions, handlers intact: True" in process.text()
    world.nothing_is_leased()


@pytest.mark.timeout(LIMIT + 240)
def test_keywords_that_time_out_block_nothing_and_keep_no_lease(
    world: World, board: Process, tmp_path: Path, tell_hits: Callable[[str], None]
) -> None:
    suite = str(HERE / "polling.robot")
    process = world.start(
        "python", "-m", "robot", "-d", str(tmp_path), "-v", f"COUNT:{shares.KEYWORDS}", suite
    )
    assert process.popen.wait(LIMIT) == 0, process.text()
    tell_hits(process.text())
    assert re.search(r"2 tests?, 2 passed", process.text())
    world.nothing_is_leased()


@pytest.mark.timeout(LIMIT + 240)
def test_ctrl_c_ends_run_after_run_of_robot_in_one_process_and_their_leases(
    world: World, board: Process, tell_hits: Callable[[str], None]
) -> None:
    process = world.start("python", str(HERE / "ended.py"), "1", str(shares.RUNS))
    assert process.popen.wait(LIMIT) == 0, process.text()
    tell_hits(process.text())
    assert f"{shares.RUNS} runs ended, the last one: 0" in process.text()
    world.nothing_is_leased()


@pytest.mark.timeout(shares.PROCESSES * 2 * SOON + 240)
def test_ctrl_c_at_a_random_moment_ends_robot_and_its_lease(
    world: World, board: Process, tmp_path: Path, tell_hits: Callable[[str], None]
) -> None:
    chance, hits = random.Random(1), Hits()
    for _ in range(shares.PROCESSES):
        process = world.start(
            "python", "-m", "robot", "-d", str(tmp_path), "--include", "endless", str(HERE / "ended.robot")
        )
        process.until("Work Without An End")
        time.sleep(chance.uniform(0, 2))  # the moment is what is tried
        process.popen.send_signal(signal.SIGINT)
        assert process.popen.wait(SOON) not in (0, -signal.SIGKILL), process.text()
        assert "Execution terminated by signal" in process.text() or "Keyboard" in process.text()
        hits.add("Robot: a process", "SIGINT")
        world.nothing_is_leased()
    tell_hits(str(hits))
