"""What drivers and tests of other people use of the serial driver."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jumpstarter.common.utils import serve
from jumpstarter_driver_pyserial.driver import PySerial
from serial.urlhandler import protocol_loop as loop


def test_a_test_may_put_a_port_of_its_own_in_place_of_pyserials(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[bool] = []

    class Port(loop.Serial):  # type: ignore[misc]
        def _update_dtr_state(self) -> None:
            made.append(self._dtr_state)

    def make(url: str, **options: Any) -> Port:
        port = Port()
        port.port = url
        return port

    monkeypatch.setattr("jumpstarter_driver_pyserial.driver.serial_for_url", make)
    with serve(PySerial(url="loop://")) as client:
        client.set_dtr(False)
        client.set_rts(True)
        client.set_dtr(True)
    # Opening the port sets the line, too.
    assert (made[0], made[-1]) == (False, True)


def test_a_program_runs_the_console_by_itself(board: Any, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\n"
        "from jumpstarter.common.utils import serve\n"
        "from jumpstarter_driver_pyserial.client import Console\n"
        "from jumpstarter_driver_pyserial.driver import PySerial\n"
        "with serve(PySerial(url=sys.argv[1])) as client:\n"
        "    Console(serial_client=client).run()\n"
        "print('left')\n"
    )
    keyboard, terminal = os.openpty()
    command = [sys.executable, str(program), board.path]
    with subprocess.Popen(command, stdin=terminal, stdout=terminal) as process:
        os.close(terminal)
        shown = b""
        while b"board" not in shown:
            # What comes before the port is open is nobody's.
            board.say(b"hello from the board\r\n")
            if select.select([keyboard], [], [], 0.2)[0]:
                shown += os.read(keyboard, 1024)
        os.write(keyboard, b"\x02\x02\x02")
        while b"left" not in shown:
            shown += os.read(keyboard, 1024)
        assert process.wait(60) == 0
    os.close(keyboard)
