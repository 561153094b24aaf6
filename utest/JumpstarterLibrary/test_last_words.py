"""What a board says that no keyword reads is in Robot's log: a TCP peer is the board, Robot runs in a process of its own."""

from __future__ import annotations

import re
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from .robot_runs import RobotRun, messages

#: What the board answers to a line: in one piece, so that what stands after the text that is read has come with it.
ANSWERS = {
    b"boot": b"kernel\r\nlogin: \r\npanic: first\r\nend of panic\r\n",
    b"bye": b"going down\r\nhalted: <b>&\r\n",
    b"late": b"long after\r\n",
}
#: What it says line by line when it is told to shut down, and the seconds between two lines.
SHUTDOWN = [b"stopping %d\r\n" % number for number in range(8)] + [b"reboot: Power down\r\n"]
PAUSE = 0.1


class Board:
    """Answers lines on every connection and says the same to all of them."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._connections: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._server.accept()
            self._connections.append(connection)
            if not self._answer(connection):
                return

    def _answer(self, connection: socket.socket) -> bool:
        """Answer until the other side closes; whether others may connect."""
        with connection.makefile("rb") as lines:
            for line in lines:
                if line.strip() == b"end":
                    return False
                if line.strip() == b"shutdown":
                    self._shut_down(connection)
                elif line.strip() == b"talk":
                    self._talk(connection)
                else:
                    connection.sendall(ANSWERS[line.strip()])
        return True

    @staticmethod
    def _shut_down(connection: socket.socket) -> None:
        for line in SHUTDOWN:
            time.sleep(PAUSE)
            connection.sendall(line)

    @staticmethod
    def _talk(connection: socket.socket) -> None:
        """Say something again and again until the other side closes."""
        with suppress(OSError):
            while not select.select([connection], [], [], PAUSE)[0]:
                connection.sendall(b"and then\r\n")

    def close(self) -> None:
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.sendall(b"end\n")
            self._thread.join()
        for each in (self._server, *self._connections):
            each.close()


@pytest.fixture
def board() -> Iterator[Board]:
    board = Board()
    yield board
    board.close()


def run(tmp_path: Path, board: Board, **suites: str) -> RobotRun:
    export = f"""\
    serial:
      type: jumpstarter_driver_pyserial.driver.PySerial
      config: {{url: "socket://127.0.0.1:{board.port}"}}
    """
    return RobotRun(tmp_path, export, **suites)


def test_unread_text_is_logged_once_with_times_at_the_end_of_the_test(board: Board, tmp_path: Path) -> None:
    robot = run(
        tmp_path,
        board,
        suite="""\
        *** Settings ***
        Library           JumpstarterLibrary
        Suite Setup       Connect To Exporter    config=${CONFIG}

        *** Test Cases ***
        Passing
            Serial Write Line    boot
            Serial Read Until    login:

        First Failing
            Fail    on purpose

        Failing Read
            Serial Read Until    never    timeout=0.1 s

        Last Failing
            Fail    on purpose
        """,
    )
    assert robot.wait() == 3, robot.console
    passing = robot.test("Passing")
    assert passing.find("status").attrib["status"] == "PASS"  # type: ignore[union-attr]
    last = messages(passing).rpartition("said, and no keyword has read:")[2]
    assert re.search(r"\d\d:\d\d:\d\d\.\d{3}  panic: first\n\d\d:\d\d:\d\d\.\d{3}  end of panic", last), (
        messages(passing)
    )
    assert "login" not in last
    for name in ("First Failing", "Last Failing"):
        assert "panic" not in "".join(robot.test(name).itertext())
    # The message of the failed read shows it, the log has it already.
    assert "end of panic" in (robot.test("Failing Read").find("status").text or "")  # type: ignore[union-attr]
    assert "said, and" not in messages(robot.test("Failing Read"))


TALKS_AFTER_THE_LAST_TEST = """\
*** Settings ***
Library           JumpstarterLibrary
Suite Setup       Connect To Exporter    config=${CONFIG}
Suite Teardown    Say Goodbye

*** Test Cases ***
Passing
    Serial Write Line    boot
    Serial Read Until    end of panic

*** Keywords ***
Say Goodbye
    Serial Write Line    bye
    Serial Read Until    going down
"""


def test_text_after_the_last_test_is_logged_by_disconnecting(board: Board, tmp_path: Path) -> None:
    robot = run(tmp_path, board, suite=TALKS_AFTER_THE_LAST_TEST + "    Disconnect From Exporter\n")
    assert robot.wait() == 0, robot.console
    (disconnect,) = (kw for kw in robot.root.iter("kw") if kw.attrib["name"] == "Disconnect From Exporter")
    assert re.search(r"no keyword has read:\n\s*\d\d:\d\d:\d\d\.\d{3}  halted: <b>&", messages(disconnect))
    assert robot.text().count("halted") == 1


def in_one_test(*steps: str) -> str:
    head = "*** Settings ***\nLibrary    JumpstarterLibrary\n\n*** Test Cases ***\nTest\n"
    return head + "".join(f"    {step}\n" for step in steps)


def test_disconnecting_waits_until_the_board_has_said_all(board: Board, tmp_path: Path) -> None:
    steps = (
        "Connect To Exporter    config=${CONFIG}",
        "Serial Write Line    shutdown",
        "Disconnect From Exporter",
    )
    robot = run(tmp_path, board, suite=in_one_test(*steps))
    assert robot.wait() == 0, robot.console
    said = messages(robot.test("Test"))
    assert all(line.decode().strip() in said for line in SHUTDOWN), said
    assert "still talking" not in said


def test_a_board_that_goes_on_talking_is_left_and_that_is_told(board: Board, tmp_path: Path) -> None:
    steps = (
        "Connect To Exporter    config=${CONFIG}",
        "Serial Write Line    talk",
        "Disconnect From Exporter",
    )
    robot = run(tmp_path, board, suite=in_one_test(*steps))
    assert robot.wait() == 0, robot.console
    assert "serial was still talking when its console was closed" in messages(robot.test("Test"))


def test_the_log_names_a_console_with_the_alias_of_its_connection(board: Board, tmp_path: Path) -> None:
    steps = (
        "Connect To Exporter    config=${CONFIG}    alias=left",
        "Left Serial Write Line    boot",
        "Left Serial Read Until    login:",
        "Run Keyword And Expect Error    left serial: 'never' was not seen*    Left Serial Read Until    never    timeout=0.1 s",
        "Left Serial Write Line    bye",
        "Disconnect From Exporter    left",
    )
    robot = run(tmp_path, board, suite=in_one_test(*steps))
    assert robot.wait() == 0, robot.console
    said = messages(robot.test("Test"))
    assert re.search(
        r"^left serial said, and no keyword has read:\n.*halted", said, re.MULTILINE | re.DOTALL
    ), said
    assert not re.search(r"^serial said", said, re.MULTILINE)


def test_text_after_the_last_test_is_in_the_log_of_a_suite_that_never_disconnects(
    board: Board, tmp_path: Path
) -> None:
    robot = run(tmp_path, board, suite=TALKS_AFTER_THE_LAST_TEST)
    assert robot.wait() == 0, robot.console
    (said,) = robot.root.iter("meta")
    assert said.attrib["name"] == "serial said after the last test"
    assert re.fullmatch(r"\| \d\d:\d\d:\d\d\.\d{3}  halted: <b>&", said.text or "")
    assert robot.text().count("halted") == 1
    assert "halted" in (tmp_path / "log.html").read_text()


def test_text_that_comes_when_the_suite_is_over_is_told_at_the_end_of_the_run(
    board: Board, tmp_path: Path
) -> None:
    robot = run(
        tmp_path,
        board,
        first="""\
        *** Settings ***
        Library    JumpstarterLibrary

        *** Test Cases ***
        Passing
            Connect To Exporter    config=${CONFIG}
            Serial Write Line    boot
            Serial Read Until    end of panic
        """,
        second="""\
        *** Test Cases ***
        Without The Library
            ${console}    Evaluate
            ...    next(each for each in gc.get_objects() if type(each).__name__ == "Console")    modules=gc
            Evaluate    $console.send(b"late\\\\n")
            Wait Until Keyword Succeeds    1 min    50 ms    Has Said    ${console}

        *** Keywords ***
        Has Said
            [Arguments]    ${console}
            Should Be True    b"after" in $console.peek()
        """,
    )
    assert robot.wait() == 0, robot.console
    (warning,) = robot.root.iter("errors")
    assert re.search(
        r"serial said after the last test:\n\d\d:\d\d:\d\d\.\d{3}  long after", messages(warning)
    )
