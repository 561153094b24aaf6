"""Robot suites and pytest classes that lease their boards."""

from __future__ import annotations

import signal
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from .world import Process, World


@pytest.fixture(scope="module")
def boards(world: World) -> Iterator[tuple[Process, Process]]:
    world.add_exporter("left", "vendor=acme,model=widget-v2,side=left")
    world.add_exporter("right", "vendor=acme,model=widget-v3,side=right")
    processes = world.run_exporter("left"), world.run_exporter("right")
    yield processes
    for process in processes:
        process.end()


def robot(world: World, tmp_path: Path, suite: str) -> Process:
    path = tmp_path / "suite.robot"
    path.write_text("*** Settings ***\nLibrary    JumpstarterLibrary\n\n" + textwrap.dedent(suite))
    command = (
        sys.executable,
        "-m",
        "robot",
        "--outputdir",
        str(tmp_path),
        "--consolecolors",
        "off",
        str(path),
    )
    return world.start(*command)


def test_suite_leases_by_selector_and_releases(
    world: World, boards: tuple[Process, Process], tmp_path: Path
) -> None:
    run = robot(
        world,
        tmp_path,
        """\
        *** Test Cases ***
        Leased
            ${info}    Connect To Exporter    selector=vendor=acme,model=widget-v2
            Power On
            Should Be Equal    ${info.name}    left
            ${lease}    Get Lease    ${info.lease}
            Should Be Equal    ${lease.status}    In-Use
            Should Be Equal    ${lease.exporter}    left
        """,
    )
    assert run.wait() == 0, run.text()
    assert "power on" in boards[0].text()
    world.nothing_is_leased()


def test_several_boards_under_aliases(world: World, boards: tuple[Process, Process], tmp_path: Path) -> None:
    run = robot(
        world,
        tmp_path,
        """\
        *** Test Cases ***
        Two
            Connect To Exporter    selector=side=left    alias=left
            Connect To Exporter    name=right    alias=right
            Left Power On
            Right Power Off
            Call Driver Method    power    on    alias=right
            ${info}    Get Exporter Info    alias=right
            Should Be Equal    ${info.name}    right
            Disconnect From Exporter    left
            Run Keyword And Expect Error    *no exporter is connected*    Left Power On
            Right Power On
        """,
    )
    assert run.wait() == 0, run.text()
    assert "power off" in boards[1].text()
    world.nothing_is_leased()


def test_lease_of_the_environment_is_used_once_by_what_its_board_satisfies(
    world: World, boards: tuple[Process, Process], tmp_path: Path
) -> None:
    lease = world.ok("create", "lease", "-l", "model=widget-v2", "--wait", "30", "-o", "name").strip()
    try:
        run = robot(
            world,
            tmp_path,
            f"""\
            *** Test Cases ***
            Reused
                Evaluate    os.environ.update(JMP_LEASE="{lease}")
                ${{info}}    Connect To Exporter    selector=vendor=acme,side=left    alias=left
                Should Be Equal    ${{info.lease}}    {lease}
                ${{info}}    Connect To Exporter    selector=vendor=acme    alias=right
                Should Be Equal    ${{info.name}}    right
            Found By Its Selector
                Evaluate    os.environ.pop("JMP_LEASE")
                Disconnect From Exporter
                ${{info}}    Connect To Exporter    selector=model=widget-v2
                Should Be Equal    ${{info.lease}}    {lease}
            """,
        )
        assert run.wait() == 0, run.text()
        assert [each["name"] for each in world.leases()] == [lease]
    finally:
        world.ok("delete", "lease", lease)


def test_created_leases_are_connected_to_and_released(
    world: World, boards: tuple[Process, Process], tmp_path: Path
) -> None:
    run = robot(
        world,
        tmp_path,
        """\
        *** Test Cases ***
        Created
            ${left}    Create Lease    selector=side=left    duration=2 min
            ${right}    Create Lease    name=right
            Connect To Exporter    lease=${left}    alias=left
            Left Power On
            ${info}    Connect To Exporter
            Should Be Equal    ${info.name}    right
            Disconnect From Exporter
            Release Lease    ${left}
            ${gone}    Get Lease    ${left}
            Should Be Equal    ${gone.status}    Ended
            Should Start With    ${gone.reason}    has ended
            Run Keyword And Expect Error    *none of `Create Lease`*    Release Lease    ${left}
        """,
    )
    assert run.wait() == 0, run.text()
    world.nothing_is_leased()


def test_created_leases_are_taken_by_what_they_fit_and_never_waited_for(
    world: World, boards: tuple[Process, Process], tmp_path: Path
) -> None:
    before = len(world.leases("--all"))
    run = robot(
        world,
        tmp_path,
        """\
        *** Keywords ***
        Connection Should Be
            [Arguments]    ${expected}    ${alias}=${EMPTY}    &{asked}
            ${info}    Connect To Exporter    alias=${alias}    &{asked}
            Should Be Equal    ${info.lease}    ${expected}

        *** Test Cases ***
        By Selector And Name
            ${LEFT}    Create Lease    selector=side=left
            VAR    ${LEFT}    ${LEFT}    scope=SUITE
            Connection Should Be    ${LEFT}    selector=side=left
            Connection Should Be    ${LEFT}    selector=side=left    client=anna
            Connection Should Be    ${LEFT}    selector=vendor=acme
            Connection Should Be    ${LEFT}    selector=vendor=acme,model=widget-v2
            Connection Should Be    ${LEFT}    name=left
            Connection Should Be    ${LEFT}
            Power On

        Several Aliases
            ${RIGHT}    Create Lease    name=right
            VAR    ${RIGHT}    ${RIGHT}    scope=SUITE
            Disconnect From Exporter
            Connection Should Be    ${LEFT}    one    selector=vendor=acme
            Connection Should Be    ${RIGHT}    two    selector=vendor=acme
            Connection Should Be    ${LEFT}    one
            Connection Should Be    ${RIGHT}    two

        Nothing Is Free
            VAR    ${both}    left is connected as 'one', right is connected as 'two'
            Run Keyword And Expect Error    *library holds all that fit (${both})*
            ...    Connect To Exporter    selector=vendor=acme    alias=three
            Run Keyword And Expect Error    *library holds all that fit (right is connected as 'two')*
            ...    Create Lease    name=right
            Run Keyword And Expect Error    *${LEFT} connected as 'one', ${RIGHT} connected as 'two'*
            ...    Connect To Exporter    alias=three
            Connection Should Be    ${LEFT}    three    lease=${LEFT}
            Disconnect From Exporter
            Run Keyword And Expect Error    *holds all that fit (left is kept by `Create Lease`)*
            ...    Create Lease    selector=side=left

        Released Leases Are Not Taken
            Connection Should Be    ${LEFT}    one    selector=side=left
            Release Lease    ${LEFT}
            ${info}    Connect To Exporter    selector=side=left    alias=two
            Should Not Be Equal    ${info.lease}    ${LEFT}
            Connection Should Be    ${RIGHT}
        """,
    )
    assert run.wait() == 0, run.text()
    assert len(world.leases("--all")) == before + 3
    world.nothing_is_leased()


def test_created_leases_of_other_clients_and_ended_ones_are_not_taken(
    world: World, boards: tuple[Process, Process], tmp_path: Path
) -> None:
    world.add_client("bob")
    world.ok("config", "client", "use", "anna")
    run = robot(
        world,
        tmp_path,
        """\
        *** Settings ***
        Library    Process

        *** Test Cases ***
        Of Another Client
            ${bobs}    Create Lease    selector=side=left    client=bob
            Run Keyword And Expect Error    *holds all that fit (left is kept by `Create Lease`)*
            ...    Connect To Exporter    selector=side=left
            ${info}    Connect To Exporter    selector=side=left    client=bob    alias=bobs
            Should Be Equal    ${info.lease}    ${bobs}
            ${info}    Connect To Exporter    selector=vendor=acme
            Should Be Equal    ${info.name}    right
            Disconnect From Exporter
            ${info}    Connect To Exporter
            Should Be Equal    ${info.lease}    ${bobs}
            Disconnect From Exporter
            Release Lease

        Ended
            ${first}    Create Lease    selector=side=left
            ${done}    Run Process    jmp    delete    lease    ${first}
            Should Be Equal As Integers    ${done.rc}    0    ${done.stderr}
            Wait Until Keyword Succeeds    1 min    50 ms    Run Keyword And Expect Error
            ...    *no lease of `Create Lease` is free (${first} has ended*    Connect To Exporter
            ${info}    Connect To Exporter    selector=side=left
            Should Not Be Equal    ${info.lease}    ${first}
        """,
    )
    assert run.wait() == 0, run.text()
    world.nothing_is_leased()


def test_a_created_lease_comes_before_one_of_the_command_line(
    world: World, boards: tuple[Process, Process], tmp_path: Path
) -> None:
    outside = world.ok("create", "lease", "-l", "vendor=acme", "--wait", "30", "-o", "name").strip()
    try:
        run = robot(
            world,
            tmp_path,
            f"""\
            *** Test Cases ***
            Before And After
                ${{lease}}    Create Lease    selector=vendor=acme
                ${{info}}    Connect To Exporter    selector=vendor=acme
                Should Be Equal    ${{info.lease}}    ${{lease}}
                Disconnect From Exporter
                Release Lease
                ${{info}}    Connect To Exporter    selector=vendor=acme
                Should Be Equal    ${{info.lease}}    {outside}
            """,
        )
        assert run.wait() == 0, run.text()
    finally:
        world.ok("delete", "lease", outside)


def test_failing_suite_releases(world: World, boards: tuple[Process, Process], tmp_path: Path) -> None:
    run = robot(
        world,
        tmp_path,
        """\
        *** Test Cases ***
        Failing
            Create Lease    name=right
            Connect To Exporter    selector=side=left
            Fail    on purpose
        """,
    )
    assert run.wait() == 1
    world.nothing_is_leased()


def test_interrupted_suite_releases(world: World, boards: tuple[Process, Process], tmp_path: Path) -> None:
    run = robot(
        world,
        tmp_path,
        """\
        *** Test Cases ***
        Long
            Connect To Exporter    selector=side=left
            Log To Console    LEASED
            Sleep    10 min
        """,
    )
    run.until("LEASED")
    assert len(world.leases()) == 1
    assert run.end(signal.SIGINT) != 0
    world.nothing_is_leased()


def test_waiting_is_told_on_the_console_and_can_be_interrupted(
    world: World, boards: tuple[Process, Process], tmp_path: Path
) -> None:
    lease = world.ok("create", "lease", "-n", "left", "--wait", "30", "-o", "name").strip()
    run = robot(
        world,
        tmp_path,
        """\
        *** Test Cases ***
        Waiting
            Connect To Exporter    selector=side=left
        """,
    )
    run.until("Waiting for an exporter (side=left); position 1")
    assert run.end(signal.SIGINT) != 0
    assert [each["name"] for each in world.leases()] == [lease]
    world.ok("delete", "lease", lease)


PYTEST = """\
from jumpstarter_testing.pytest import JumpstarterTest

class TestBoard(JumpstarterTest):
    exporter_selector = "vendor=acme,model=widget-v2"

    def test_on(self, client):
        client.power.on()

    def test_off(self):
        self.client.power.off()
"""


def pytest_run(world: World, tmp_path: Path) -> Process:
    path = tmp_path / "test_board.py"
    path.write_text(PYTEST)
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path))
    # As of most who run pytest: what it writes into a file is buffered.
    return world.start(*command, str(path), env={"PYTHONUNBUFFERED": ""})


def test_pytest_class_leases_by_selector(
    world: World, boards: tuple[Process, Process], tmp_path: Path
) -> None:
    before = len(world.leases("--all"))
    run = pytest_run(world, tmp_path)
    assert run.wait() == 0, run.text()
    assert len(world.leases("--all")) == before + 1
    world.nothing_is_leased()


def test_pytest_class_uses_the_lease_that_was_created_for_it(
    world: World, boards: tuple[Process, Process], tmp_path: Path
) -> None:
    world.ok("create", "lease", "--selector", "vendor=acme,model=widget-v2", "--wait", "300")
    before = len(world.leases("--all"))
    run = pytest_run(world, tmp_path)
    assert run.wait() == 0, run.text()
    assert len(world.leases("--all")) == before
    assert len(world.leases()) == 1
    world.ok("delete", "lease")
    world.nothing_is_leased()


def test_pytest_classes_that_wait_for_a_board_tell_their_place(
    world: World, boards: tuple[Process, Process], tmp_path: Path
) -> None:
    holder = world.ok("create", "lease", "-n", "left", "--wait", "300", "-o", "name").strip()
    runs = []
    for place in (1, 2):
        directory = tmp_path / str(place)
        directory.mkdir()
        runs.append(pytest_run(world, directory))
        runs[-1].until(f"Waiting for an exporter (model=widget-v2,vendor=acme); position {place}")
    world.ok("delete", "lease", holder)
    for run in runs:
        assert run.wait() == 0, run.text()
        assert "2 passed" in run.text()
    world.nothing_is_leased()
