"""JumpstarterTest in pytest runs of its own, in a shell and without one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from jumpstarter.connection.local import simulated_board

ARGUMENT_FORM = """
from jumpstarter_testing.pytest import JumpstarterTest

class MyTest(JumpstarterTest):
   def test_power_on(self, client):
      client.power.on()

   def test_power_off(self, client):
      client.power.off()
"""

ATTRIBUTE_FORM = """
from jumpstarter_testing.pytest import JumpstarterTest

class TestMyDevice(JumpstarterTest):
    # Optional: specify which exporter to use based on labels
    exporter_selector = "vendor=acme,model=widget-v2"

    def test_power_cycle(self):
        # Access the device driver through the provided client
        self.client.power.on()
        assert self.client.serial.read_until("boot complete") is not None
        self.client.power.off()
"""

BOTH = """
from jumpstarter_testing.pytest import JumpstarterTest

seen = []

class TestFirst(JumpstarterTest):
    selector = "a=b"

    def test_same(self, client):
        assert client is self.client
        seen.append(client)

    def test_again(self, client):
        assert seen == [client]

class TestSecond(JumpstarterTest):
    def test_own_connection(self):
        assert self.client is not seen[0]

def test_attribute_is_gone():
    assert "client" not in vars(TestFirst)
"""


def run(text: str, folder: Path, *, shell: bool) -> subprocess.CompletedProcess[str]:
    (folder / "example_test.py").write_text(text)
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "./example_test.py"]
    if shell:
        board = simulated_board()
        board.metadata.labels = {"a": "b", "vendor": "acme", "model": "widget-v2"}
        file = board.save(folder / "board.yaml")
        jmp = str(Path(sys.executable).with_name("jmp"))
        command = [jmp, "shell", "--exporter-config", str(file), "--", *command]
    environ = {
        key: value for key, value in os.environ.items() if not key.startswith(("JUMPSTARTER_", "JMP_"))
    }
    environ["XDG_CONFIG_HOME"] = str(folder / "config")
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, env=environ, cwd=folder
    )


@pytest.mark.parametrize(
    ("text", "passed"),
    [(ARGUMENT_FORM, 2), (ATTRIBUTE_FORM, 1), (BOTH, 4)],
    ids=["argument", "attribute", "both"],
)
def test_forms_in_a_shell(text: str, passed: int, tmp_path: Path) -> None:
    done = run(text, tmp_path, shell=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{passed} passed" in done.stdout


@pytest.mark.parametrize("text", [ARGUMENT_FORM, ATTRIBUTE_FORM], ids=["argument", "attribute"])
def test_without_a_shell_the_error_says_what_to_do(text: str, tmp_path: Path) -> None:
    done = run(text, tmp_path, shell=False)
    assert done.returncode == 1
    assert "jmp shell" in done.stdout
    assert "passed" not in done.stdout


FAILING = """
from jumpstarter_testing.pytest import JumpstarterTest

class TestBoard(JumpstarterTest):
    def test_login(self):
        self.client.serial.read_until("never said", timeout=0.1)

    def test_own_error(self):
        raise ValueError("my own")

    def test_of_a_helper(self):
        look(self.client)

def look(client):
    client.call("no_such_method")
"""

CLASS_SETUP = """
from jumpstarter_testing.pytest import JumpstarterTest

order = []

class Base(JumpstarterTest):
    @classmethod
    def setup_class(cls):
        cls.client.power.on()
        order.append("base")

    @classmethod
    def teardown_class(cls):
        cls.client.power.off()
        order.append("off")

class TestBoard(Base):
    @classmethod
    def setup_class(cls):
        super().setup_class()
        order.append("board")

    def test_board_is_on(self):
        assert order == ["base", "board"]

class TestPlain(JumpstarterTest):
    def setup_class(self):
        self.client.power.on()

    def test_plain(self):
        assert order == ["base", "board", "off"]

class TestStatic(JumpstarterTest):
    @staticmethod
    def setup_class():
        order.append("static")

    def test_static(self):
        assert order[-1] == "static"

class TestAgain(JumpstarterTest):
    @classmethod
    def setup_class(cls):
        cls.client.no_such_driver

    def test_never(self):
        pass
"""


def test_a_failure_is_short_and_has_its_reason(tmp_path: Path) -> None:
    done = run(FAILING, tmp_path, shell=True)
    assert done.returncode == 1
    assert (
        "E       jumpstarter_driver_pyserial.reader.SerialReadTimeout: 'never said' did not arrive within 0.1 s"
        in done.stdout
    )
    assert "take_until" not in done.stdout
    assert "def look(client)" in done.stdout
    assert ">       raise ValueError" in done.stdout
    body = done.stdout.split("test_login ____")[1].split("____")[0]
    assert len(body.splitlines()) < 15, body
    assert "::test_login - SerialReadTimeout: " in done.stdout


def test_what_keeps_a_class_from_its_board_is_told_without_the_librarys_source(tmp_path: Path) -> None:
    text = """
from jumpstarter_testing import JumpstarterTest

class TestBoard(JumpstarterTest):
    selector = {"kind": "board"}

    def test_it(self):
        pass
"""
    done = run(text, tmp_path, shell=True)
    assert done.returncode == 1
    body = done.stdout.split("at setup of TestBoard.test_it ____")[1].split("====")[0]
    assert "selector is {'kind': 'board'}, expected a text such as 'key=value,other=value'" in body
    assert len(body.splitlines()) < 6, body
    assert "::test_it - ConfigurationError: selector is" in done.stdout


def test_setup_and_teardown_of_a_class_have_the_client(tmp_path: Path) -> None:
    done = run(CLASS_SETUP, tmp_path, shell=True)
    assert "3 passed, 1 error" in done.stdout, done.stdout + done.stderr
    assert "no_such_driver" in done.stdout
    assert "Fixture" not in done.stdout


def test_what_is_waited_for_is_seen_though_output_is_captured(tmp_path: Path) -> None:
    text = """
from jumpstarter_testing.reports import say

def test_waits(request):
    print("captured")
    say(request.config, "Waiting for a board: 2 before this one")
"""
    done = run(text, tmp_path, shell=False)
    assert done.returncode == 0
    assert "Waiting for a board: 2 before this one\n" in done.stdout
    assert "captured" not in done.stdout
