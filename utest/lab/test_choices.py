"""A shell whose command line names no board, where a client of a lab is configured."""

from __future__ import annotations

from collections.abc import Iterator

import pexpect
import pytest

from .world import Process, World

SHOW = ("--", "sh", "-c", "echo $JMP_EXPORTER")


@pytest.fixture(scope="module")
def boards(world: World) -> Iterator[None]:
    processes: list[Process] = []
    for side in ("left", "right"):
        world.add_exporter(side, f"kind=board,side={side}")
        processes.append(world.run_exporter(side))
    yield
    for process in processes:
        process.end()


@pytest.fixture(autouse=True)
def released(world: World, boards: None) -> Iterator[None]:
    yield
    world.jmp("delete", "lease", "--all")


def lease(world: World, name: str) -> str:
    return world.ok("create", "lease", "-n", name, "--wait", "30", "-o", "name").strip()


def test_the_one_active_lease_is_used_and_told(world: World) -> None:
    name = lease(world, "left")
    done = world.jmp("shell", *SHOW)
    assert (done.code, done.out) == (0, "left\n")
    assert done.err == f"Using left: lease {name} of anna\n"
    assert [each["name"] for each in world.leases()] == [name]
    quiet = world.jmp("-q", "shell", "--client", "anna", *SHOW)
    assert (quiet.code, quiet.out, quiet.err) == (0, "left\n", "")


@pytest.mark.parametrize("options", [(), ("--client", "anna"), ("--retry-timeout", "5s")], ids=str)
def test_several_active_leases_are_an_error_that_lists_them(world: World, options: tuple[str, ...]) -> None:
    names = [lease(world, "left"), lease(world, "right")]
    done = world.jmp("shell", *options, *SHOW)
    assert (done.code, done.out) == (2, "")
    assert len(done.err.splitlines()) == 1
    assert all(f"{name} ({side})" in done.err for name, side in zip(names, ("left", "right"), strict=True))


def test_without_a_lease_the_boards_are_listed(world: World) -> None:
    done = world.jmp("shell", *SHOW)
    assert (done.code, done.out) == (2, "")
    assert "You have no active lease; the lab has: left (kind=board,side=left), right" in done.err


def test_duration_alone_does_not_say_what_to_lease(world: World) -> None:
    done = world.jmp("shell", "--duration", "1h", *SHOW)
    assert done.code == 2
    assert "--duration is for a new lease" in done.err


def test_lease_of_someone_else_is_not_taken(world: World) -> None:
    world.add_client("ben")
    name = world.ok("create", "lease", "--client", "ben", "-n", "left", "-o", "name").strip()
    try:
        assert world.jmp("shell", *SHOW).code == 2
    finally:
        world.ok("delete", "lease", "--client", "ben", name)


def test_board_that_a_selector_found_is_told(world: World) -> None:
    done = world.jmp("shell", "-l", "side=right", *SHOW)
    assert (done.code, done.out) == (0, "right\n")
    assert done.err.startswith("Using right: lease ")


def test_on_a_terminal_the_user_chooses(world: World) -> None:
    lease(world, "left"), lease(world, "right")
    child = pexpect.spawn("jmp", ["shell", *SHOW], env=world.environment(), encoding="utf-8", timeout=60)
    try:
        child.expect("You have 2 active leases:")
        child.expect("Which one: ")
        child.sendline("2")
        child.expect("Using right: lease")
        child.expect(pexpect.EOF)
    finally:
        child.close()
    assert child.exitstatus == 0


def test_shell_in_a_leased_shell_has_its_board(world: World) -> None:
    inner = "jmp shell -- sh -c 'echo $JMP_EXPORTER $JMP_LEASE'"
    done = world.jmp("shell", "-n", "left", "--", "sh", "-c", f"echo $JMP_EXPORTER $JMP_LEASE; {inner}")
    outer, same = done.out.splitlines()
    assert outer == same
    assert "Using the exporter of the surrounding shell: left" in done.err


def test_lease_that_is_set_in_a_shell_is_the_one_for_the_next(world: World) -> None:
    name = lease(world, "right")
    inner = f"JMP_LEASE={name} jmp shell -- sh -c 'echo $JMP_EXPORTER'"
    done = world.jmp("shell", "-n", "left", "--", "sh", "-c", inner)
    assert (done.code, done.out) == (0, "right\n")


PYTEST = """
from jumpstarter_testing.pytest import JumpstarterTest

class TestBoard(JumpstarterTest):
    {selector}
    def test_board(self, client):
        client.power.on()
"""


@pytest.mark.parametrize(
    ("selector", "named"),
    [
        ("", True),
        ("selector = 'side=left'", True),
        ("selector = 'side=left'", False),
        ("selector = 'side=right'", False),
    ],
)
def test_pytest_says_which_board_and_lease_it_uses(world: World, selector: str, named: bool) -> None:
    name = world.ok("create", "lease", "-l", "side=left", "--wait", "30", "-o", "name").strip()
    (world.home / "test_told.py").write_text(PYTEST.format(selector=selector))
    run = world.start(
        "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", str(world.home / "test_told.py"),
        env={"JMP_LEASE": name} if named else {},
    )  # fmt: skip
    assert run.wait() == 0, run.text()
    if "right" in selector:
        assert "Using right: lease " in run.text() and name not in run.text()
        return
    told = f"Using left: lease {name} of anna"
    assert (f"{told}, which JMP_LEASE names" if named else f"{told}\n") in run.text()
