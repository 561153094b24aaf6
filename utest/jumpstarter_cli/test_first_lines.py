"""Ctrl-C while a command still loads its modules."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

#: As the scripts do it, with Ctrl-C at the moment when the first module is looked for that the command needs.
PROGRAM = """
import signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("jumpstarter_cli.") and name.split(".")[1] not in ("{command}", "silence"):
            signal.raise_signal(signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Interrupting())
from jumpstarter_cli.{command} import main
main()
"""


@pytest.mark.parametrize("command", ["j", "jmp"])
def test_ctrl_c_while_a_command_loads_is_no_traceback(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(command=command)], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")
