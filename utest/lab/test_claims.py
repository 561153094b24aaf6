"""A lease has one user at a time, unless it is named; and nobody gets a board for a client that has gone."""

from __future__ import annotations

import itertools
import json
import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .world import Process, World, wait_for

_numbers = itertools.count(1)

TEST = """
import os, time
from pathlib import Path
from jumpstarter_testing.pytest import JumpstarterTest

class TestBoard(JumpstarterTest):
    selector = os.environ["WANTED"]

    def test_uses_its_board(self, client):
        client.power.on()
        Path(os.environ["USED"]).write_text("used")
        deadline = time.monotonic() + 120
        while not Path(os.environ["GO"]).exists() and time.monotonic() < deadline:
            time.sleep(0.05)
"""


@pytest.fixture
def kind(world: World) -> Iterator[str]:
    """Two boards of one kind: its selector."""
    kind = f"kind=claimed-{next(_numbers)}"
    boards = [f"claimed-{next(_numbers)}" for _ in range(2)]
    for board in boards:
        world.add_exporter(board, f"{kind},name={board}")
    processes = [world.run_exporter(board) for board in boards]
    yield kind
    for process in processes:
        process.end()
    world.nothing_is_leased()


class Run:
    """A run of pytest with one test, which uses its board until `go`."""

    def __init__(self, world: World, kind: str, **env: str) -> None:
        folder = world.home / f"run-{next(_numbers)}"
        folder.mkdir()
        (folder / "test_board.py").write_text(TEST)
        self._go, self._used = folder / "go", folder / "used"
        variables = {"WANTED": kind, "GO": str(self._go), "USED": str(self._used), **env}
        self.process: Process = world.start(
            "python", "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", str(folder), env=variables
        )

    def used(self) -> None:
        """Wait until it uses its board."""

        def check() -> bool:
            assert self.process.popen.poll() is None, self.process.text()
            return self._used.exists()

        wait_for(check, f"the run uses a board: {self.process.text()}")

    def go(self) -> None:
        self._go.touch()
        assert self.process.wait() == 0, self.process.text()


def create(world: World, kind: str, **env: str) -> str:
    return world.ok("create", "lease", "-l", kind, "--wait", "30", "-o", "name", env=env).strip()


def hold(world: World, kind: str) -> str:
    """Lease a board as another client."""
    if not (world.home / "config" / "jumpstarter" / "clients" / "bert.yaml").exists():
        world.add_client("bert")
    return create(world, kind, JMP_CLIENT="bert")


def give_back(world: World, *leases: str) -> None:
    world.ok("delete", "lease", "--client", "bert", *leases)


def held(world: World) -> list[str]:
    return sorted(lease["exporter"] for lease in world.leases())


def test_two_runs_of_one_client_use_two_boards(world: World, kind: str) -> None:
    lease = create(world, kind)
    first = Run(world, kind)
    first.used()
    second = Run(world, kind)
    second.used()
    assert f"Using lease {lease}" in first.process.text()
    assert (
        f"Not using lease {lease}: lease '{lease}' is in use by another connection" in second.process.text()
    )
    assert len(held(world)) == 2
    first.go()
    second.go()
    # What is free again is used again.
    third = Run(world, kind)
    third.used()
    assert f"Using lease {lease}" in third.process.text()
    third.go()
    world.ok("delete", "lease", lease)


SUITE = """
*** Settings ***
Library    JumpstarterLibrary
Library    OperatingSystem

*** Test Cases ***
Use A Board
    Connect To Exporter    selector=%{WANTED}
    Power On
    Create File    %{USED}
    Wait Until Created    %{GO}    timeout=120 s
"""


def test_two_robot_runs_of_one_client_use_two_boards(world: World, kind: str) -> None:
    lease = create(world, kind)
    (world.home / "board.robot").write_text(SUITE)
    go, runs = world.home / "robots-go", []
    for number in (1, 2):
        used = world.home / f"robot-{number}-used"
        variables = {"WANTED": kind, "GO": str(go), "USED": str(used)}
        results = str(world.home / f"robot-{number}")
        suite = str(world.home / "board.robot")
        process = world.start("robot", "--outputdir", results, suite, env=variables)
        wait_for(used.exists, "a board is used")
        runs.append(process)
    assert f"Using lease {lease}" in runs[0].text()
    assert f"Not using lease {lease}" in runs[1].text()
    assert len(set(held(world))) == 2
    go.touch()
    for process in runs:
        assert process.wait() == 0, process.text()
    world.ok("delete", "lease", lease)


def test_create_lease_says_on_a_terminal_how_to_use_it(world: World, kind: str) -> None:
    ours, theirs = pty.openpty()
    names = []
    try:
        for output in ((), ("-o", "name"), ("-o", "json"), ("-o", "yaml")):
            done = subprocess.run(
                ("jmp", "create", "lease", "-l", kind, *output),
                env=world.environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=theirs,
                text=True,
                timeout=60,
                check=True,
            )
            assert "JMP_LEASE" not in done.stdout
        names = [lease["name"] for lease in world.leases()]
        os.write(theirs, b"END\n")
        said = ""
        while "END" not in said:
            said += os.read(ours, 4096).decode()
        assert [line.strip() for line in said.splitlines() if "export " in line] == [
            f"export JMP_LEASE={names[0]}"
        ]
    finally:
        os.close(ours)
        os.close(theirs)
    world.ok("delete", "lease", *names)


def test_lease_of_a_killed_run_is_free_again(world: World, kind: str) -> None:
    lease = create(world, kind)
    first = Run(world, kind)
    first.used()
    first.process.end(signal.SIGKILL)
    second = Run(world, kind)
    second.used()
    assert f"Using lease {lease}" in second.process.text()
    second.go()
    world.ok("delete", "lease", lease)


def online(world: World, board: str) -> bool:
    return bool(world.exporter(board)["status"]["exporterStatus"] != "Offline")


def test_claim_survives_the_controller(own_world: World) -> None:
    world, kind = own_world, "kind=claimed"
    controller = world.processes[0]
    for board in ("one", "two"):
        world.add_exporter(board, kind)
        world.run_exporter(board)
    lease = create(world, kind)
    first = Run(world, kind)
    first.used()
    controller.end(signal.SIGKILL)
    world.start_controller()
    wait_for(lambda: all(online(world, board) for board in ("one", "two")), "the boards are back")
    second = Run(world, kind)
    second.used()
    assert f"Not using lease {lease}" in second.process.text()
    first.go()
    second.go()


def test_create_run_delete_twice_at_once_does_not_wait_for_itself(world: World, kind: str) -> None:
    leases = [create(world, kind) for _ in range(2)]
    runs = [Run(world, kind) for _ in range(2)]
    for run in runs:
        run.used()
    assert held(world) == sorted(lease["exporter"] for lease in world.leases() if lease["name"] in leases)
    for run in runs:
        run.go()
    for lease in leases:
        world.ok("delete", "lease", lease)


def test_job_uses_the_lease_that_it_has_made(world: World, kind: str) -> None:
    jobs = [{"CI_JOB_ID": str(number)} for number in (1, 2)]
    leases = [create(world, kind, **job) for job in jobs]
    runs = [Run(world, kind, **job) for job in reversed(jobs)]
    for run, lease in zip(runs, reversed(leases), strict=True):
        run.used()
        assert f"Using lease {lease}" in run.process.text()
    for run in runs:
        run.go()
    for lease in leases:
        world.ok("delete", "lease", lease)


def test_named_lease_is_used_together_and_that_is_said(world: World, kind: str) -> None:
    lease = create(world, kind)
    first = Run(world, kind, JMP_LEASE=lease)
    first.used()
    done = world.jmp("shell", "--lease", lease, "--", "j", "power", "on")
    assert done.code == 0
    assert f"Lease {lease} is in use by another connection, too" in done.err
    # The end of one user is not that of the other's claim.
    second = Run(world, kind)
    second.used()
    assert f"Using lease {lease}" not in second.process.text()
    first.go()
    second.go()
    world.ok("delete", "lease", lease)


IN_PYTHON = """
from jumpstarter.config.client import resolve_client_config
config = resolve_client_config()
with {outer}config.lease(selector="{kind}") as lease:
    print("leased", flush=True)
"""


@pytest.mark.parametrize(
    "command",
    [
        "jmp shell -l {kind} -- true",
        "jmp shell -l {kind} --duration 1m --client anna -- true",
        "jmp create lease -l {kind} --wait 60",
        "python {script}",
        "robot --output NONE --log NONE --report NONE {suite}",
    ],
    ids=["shell", "shell of a client", "create", "python", "robot"],
)
def test_waiting_for_leases_that_the_same_shell_has_made_is_an_error_at_once(
    world: World, kind: str, command: str
) -> None:
    suite, script = world.home / "oneself.robot", world.home / "oneself.py"
    suite.write_text(SUITE.replace("selector=%{WANTED}", f"selector={kind}    client=anna"))
    script.write_text(IN_PYTHON.format(outer="", kind=kind))
    create = f"jmp create lease -l {kind} --wait 30 -o name"
    waits = command.format(kind=kind, suite=suite, script=script)
    process = world.start("sh", "-c", f"{create} && {create} && {waits}")
    assert process.wait() != 0
    leases = process.text().split()[:2]
    told = process.text().replace("\n", " ")
    assert "this client's own leases hold all exporters that fit: " in told
    assert all(told.count(lease) >= 2 for lease in leases)
    assert "of 'jmp create lease' in this shell, in use by nobody" in told
    assert sorted(lease["name"] for lease in world.leases()) == sorted(leases)
    world.ok("delete", "lease", *leases)


def test_lease_that_another_shell_has_made_is_waited_for_and_named(world: World, kind: str) -> None:
    leases = [create(world, kind) for _ in range(2)]
    done = world.jmp("shell", "-l", kind, "--acquisition-timeout", "3", "--", "true")
    assert done.code == 1
    assert "this client's own leases hold all exporters that fit: " in done.err
    assert all(lease in done.err for lease in leases)
    world.ok("delete", "lease", *leases)


def test_program_that_waits_for_the_leases_that_it_has_ends_at_once(world: World, kind: str) -> None:
    outer = f'config.lease(selector="{kind}"), config.lease(selector="{kind}"), '
    process = world.start("python", "-c", IN_PYTHON.format(outer=outer, kind=kind))
    assert process.wait() != 0
    assert "in use by this program" in process.text()
    world.nothing_is_leased()


def test_shell_in_a_shell_that_forgot_its_lease_does_not_wait_for_it(world: World, kind: str) -> None:
    inner = 'env -u JMP_LEASE jmp shell -n "$JMP_EXPORTER" -- true'
    done = world.jmp("shell", "-l", kind, "--", "sh", "-c", inner)
    assert done.code == 1
    assert "of the surrounding shell" in done.err


def test_threads_of_a_program_may_wait_for_each_other(world: World, kind: str) -> None:
    other = hold(world, kind)
    done = world.start(
        "python",
        "-c",
        "import threading\n"
        "from jumpstarter.config.client import resolve_client_config\n"
        "config = resolve_client_config()\n"
        "first, waits = threading.Event(), threading.Event()\n"
        "def work():\n"
        f"    with config.lease(selector={kind!r}):\n"
        "        print('has it', flush=True)\n"
        "        first.set() or waits.wait(2)\n"
        "threads = [threading.Thread(target=work) for _ in range(2)]\n"
        "threads[0].start(); first.wait(60); threads[1].start()\n"
        "[thread.join() for thread in threads]\n",
    )
    assert done.wait() == 0, done.text()
    assert done.text().count("has it") == 2, done.text()
    give_back(world, other)


def test_who_may_yet_get_a_board_of_its_own_leases_is_told_which(world: World, kind: str) -> None:
    leases = [create(world, kind) for _ in range(2)]
    used = [
        world.start("jmp", "shell", "--lease", lease, "--", "sh", "-c", "echo started; exec sleep 600")
        for lease in leases
    ]
    for shell in used:
        shell.until("started")
    done = world.jmp("shell", "-l", kind, "--acquisition-timeout", "5", "--", "true")
    assert done.code == 1
    assert "Waiting for an exporter" in done.err
    assert all(lease in done.err for lease in leases)
    for shell in used:
        shell.end()
    world.ok("delete", "lease", *leases)


def test_run_that_waits_takes_a_lease_that_becomes_free(world: World, kind: str) -> None:
    lease = create(world, kind)
    first = Run(world, kind)
    first.used()
    other = world.start("jmp", "shell", "-l", kind, "--", "sh", "-c", "echo started; exec sleep 600")
    other.until("started")
    second = Run(world, kind)
    second.process.until("Waiting for an exporter")
    first.go()
    second.used()
    second.go()
    other.end()
    world.ok("delete", "lease", lease)


def waiting_shell(world: World, kind: str, mark: Path) -> Process:
    shell = world.start("jmp", "shell", "-l", kind, "--", "touch", str(mark))
    shell.until("Waiting for an exporter")
    return shell


def test_board_is_not_given_to_a_client_that_has_gone(world: World, kind: str) -> None:
    leases = [hold(world, kind) for _ in range(2)]
    gone = waiting_shell(world, kind, world.home / "gone")
    there = waiting_shell(world, kind, world.home / "there")
    gone.end(signal.SIGKILL)
    give_back(world, *leases)
    assert there.wait() == 0
    # Both boards are free. Whoever comes later is given one, and so whoever waited before could have been, too.
    later = create(world, kind)
    assert [lease["name"] for lease in world.leases() if lease.get("exporter")] == [later]
    for lease in world.leases():
        world.ok("delete", "lease", lease["name"])


def test_lease_that_nobody_waits_for_ends(own_world: World) -> None:
    world = own_world
    controller = world.processes[0]
    controller.end()
    world.start_controller({"leasePolicy": {"waiterGrace": "16s"}})
    world.add_exporter("board", "kind=graced")
    world.run_exporter("board")
    lease = hold(world, "kind=graced")
    gone = waiting_shell(world, "kind=graced", world.home / "gone")
    gone.end(signal.SIGKILL)
    wait_for(lambda: [each["name"] for each in world.leases()] == [lease], "the waiting lease has ended")
    ended = json.loads(world.ok("get", "leases", "--all", "-o", "json"))["leases"]
    messages = [c["message"] for each in ended for c in each["conditions"]]
    assert "its client went away, nobody waited for it any more" in messages


def test_lease_that_nobody_was_to_wait_for_is_granted(world: World, kind: str) -> None:
    leases = [create(world, kind) for _ in range(2)]
    third = world.ok("create", "lease", "-l", kind, "-o", "name").strip()
    world.ok("delete", "lease", *leases)
    wait_for(lambda: [each["name"] for each in world.leases() if each.get("exporter")] == [third], "granted")
    world.ok("delete", "lease", third)


def test_waiting_is_told_again_and_again(world: World, kind: str) -> None:
    leases = [hold(world, kind) for _ in range(2)]
    shell = waiting_shell(world, kind, world.home / "late")
    shell.until("s now)", times=2)
    give_back(world, *leases)
    assert shell.wait() == 0
