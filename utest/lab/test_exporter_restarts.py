"""Exporters that die in the middle of a lease, and what the next process of theirs makes of it."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .test_hooks import Board
from .world import Process, World, wait_for


class Restarted(Board):
    """A board whose afterLease hook tells in a file when it begins and ends, and waits while the file ``hold`` is there."""

    def __init__(self, world: World, folder: Path, before: str | None = None) -> None:
        self.told, self.hold = folder / "told", folder / "hold"
        self.told.touch()
        after = f"""
            echo "begin $LEASE_NAME $CLIENT_NAME" >> {self.told}
            echo AFTER-HOOK
            while [ -e {self.hold} ]; do sleep 0.1; done
            j power off
            echo "end $LEASE_NAME $CLIENT_NAME" >> {self.told}
        """
        hooks = {"afterLease": {"script": after}, **({"beforeLease": {"script": before}} if before else {})}
        super().__init__(world, hooks)

    @property
    def hooks(self) -> list[str]:
        return [line.split()[0] for line in self.told.read_text().splitlines()]

    def hook_begins(self, times: int = 1) -> None:
        wait_for(lambda: self.hooks.count("begin") == times, f"the hook begins: {self.hooks}")

    def kill(self) -> None:
        assert self.process.end(signal.SIGKILL) == -signal.SIGKILL

    def start(self) -> Process:
        self.process = self.world.start("jmp", "run", "--exporter", self.name)
        return self.process

    @property
    def records(self) -> list[Path]:
        return list((self.world.home / "state" / "jumpstarter" / "exporters").glob(f"{self.name}-*"))


def kill_client(run: Process) -> None:
    """As a power cut: the client and its command."""
    os.killpg(run.popen.pid, signal.SIGKILL)
    run.wait()


@pytest.fixture
def board(world: World, tmp_path: Path) -> Iterator[Restarted]:
    made = Restarted(world, tmp_path)
    yield made
    made.hold.unlink(missing_ok=True)
    made.process.end()


def test_exporter_killed_in_its_after_hook_finishes_the_lease_when_it_is_back(board: Restarted) -> None:
    board.hold.touch()
    run = board.start_shell("j", "power", "on")
    board.hook_begins()
    board.kill()
    board.start()
    board.hook_begins(2)
    assert board.status in ("AfterLeaseHook", "BeforeLeaseHook")
    board.hold.unlink()
    assert run.wait() == 0, run.text()
    board.is_free()
    assert board.hooks == ["begin", "begin", "end"]
    assert len(set(board.told.read_text().split()[1::3])) == 1
    assert board.records == []
    assert board.shell("j", "power", "on").out == "ok\n"
    assert board.hooks == ["begin", "begin", "end", "begin", "end"]


def test_next_user_waits_until_a_killed_exporter_has_finished_the_last_lease(
    board: Restarted, tmp_path: Path
) -> None:
    board.hold.touch()
    run = board.start_shell("true")
    board.hook_begins()
    board.kill()
    kill_client(run)
    board.world.ok("delete", "lease")
    following = board.start_shell("sh", "-c", f"echo used >> {board.told}")
    board.start()
    board.hook_begins(2)
    board.hold.unlink()
    assert following.wait() == 0, following.text()
    assert board.hooks == ["begin", "begin", "end", "used", "begin", "end"]
    board.is_free()


def test_lease_that_ends_while_its_exporter_is_down_gets_its_after_hook(board: Restarted) -> None:
    run = board.start_shell("sh", "-c", "echo started; exec sleep 600")
    run.until("started")
    board.kill()
    kill_client(run)
    board.world.ok("delete", "lease")
    assert board.hooks == []
    board.start().until("AFTER-HOOK")
    board.is_free()
    assert board.hooks == ["begin", "end"]
    assert "anna" in board.told.read_text()
    assert "was not finished when the exporter died" in board.process.text()
    board.kill()
    board.start().until("registered as")
    board.becomes("Available")
    assert board.hooks == ["begin", "end"]


def test_lease_that_goes_on_is_served_anew_without_an_after_hook(board: Restarted) -> None:
    name = board.world.ok("create", "lease", "-n", board.name, "--wait", "60", "-o", "name").strip()
    wait_for(lambda: board.records, "the lease is recorded")
    assert json.loads(board.records[0].read_text())["lease"] == name
    assert board.records[0].stat().st_mode & 0o777 == 0o600
    board.kill()
    board.start()
    assert board.world.ok("shell", "--lease", name, "--", "j", "power", "on") == "ok\n"
    assert board.hooks == []
    board.world.ok("delete", "lease", name)
    board.is_free()
    assert board.hooks == ["begin", "end"]


def test_stopped_exporter_has_run_its_after_hook_and_leaves_nothing(board: Restarted) -> None:
    run = board.start_shell("sh", "-c", "echo started; exec sleep 600")
    run.until("started")
    assert board.process.end() == 143
    assert board.hooks == ["begin", "end"]
    assert board.records == []
    kill_client(run)
    board.world.ok("delete", "lease")
    board.start()
    board.is_free()
    assert board.hooks == ["begin", "end"]


def test_exporter_without_a_place_for_its_record_says_so_and_serves(world: World, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    made = Restarted(world, tmp_path)
    made.process.end()
    made.process = world.start(
        "jmp", "run", "--exporter", made.name, env={"XDG_STATE_HOME": str(tmp_path / "file")}
    )
    made.process.until("registered as")
    made.becomes("Available")
    assert made.shell("j", "power", "on").out == "ok\n"
    assert "XDG_STATE_HOME" in made.process.until("cannot be written")
    assert made.hooks == ["begin", "end"]
    made.process.end()


def test_exporters_of_one_machine_have_records_of_their_own(world: World, tmp_path: Path) -> None:
    made = []
    for each in ("a", "b"):
        (tmp_path / each).mkdir()
        made.append(Restarted(world, tmp_path / each))
    runs = [each.start_shell("sh", "-c", "echo started; exec sleep 600") for each in made]
    for run in runs:
        run.until("started")
    for each in made:
        each.kill()
    for run in runs:
        kill_client(run)
    world.ok("delete", "leases", "--all")
    for each in made:
        each.start()
        each.is_free()
        assert each.hooks == ["begin", "end"]
        each.process.end()


CLIENT = """
import sys, time
from jumpstarter.common.exceptions import ConnectionError
from jumpstarter.utils.env import env
with env() as client:
    client.power.on()
    print("started", flush=True)
    sys.stdin.readline()
    while True:
        try:
            client.power.off()
            break
        except ConnectionError:
            time.sleep(0.5)
    print("back", flush=True)
"""


def test_client_that_lives_on_gets_a_restarted_exporter_back(board: Restarted, tmp_path: Path) -> None:
    killed = tmp_path / "killed"
    os.mkfifo(killed)
    script = tmp_path / "client.py"
    script.write_text(CLIENT)
    run = board.start_shell("sh", "-c", f"{sys.executable} {script} < {killed}")
    with killed.open("w") as tell:
        run.until("started")
        board.kill()
        board.start()
        tell.write("\n")
        tell.flush()
        run.until("back")
    assert run.wait() == 0
    assert "power off" in board.process.text()
    board.is_free()
