"""Examples of the seed documents, taken out of them and run as printed, with the names that they assume."""

from __future__ import annotations

import doctest
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import yaml
from jumpstarter.common.utils import serve
from jumpstarter.config.exporter import ExporterConfigV1Alpha1DriverInstance

from utest.docs.execute import environment
from utest.docs.seeds import DOCUMENTATION, block_with, blocks_under, doctests_under

pytestmark = [
    pytest.mark.skipif(not DOCUMENTATION.is_file(), reason="the seed documents are not beside this checkout"),
    pytest.mark.timeout(180),
]

COUNTS = {"Network drivers": 4, "OpenDAL driver": 17}


def run(config: str) -> AbstractContextManager[Any]:
    """The client of the driver that a piece of YAML describes, as the documents' examples use it."""
    return serve(ExporterConfigV1Alpha1DriverInstance.from_str(config).instantiate())


def examples(title: str) -> list[str]:
    return doctests_under(title) if DOCUMENTATION.is_file() else []


def run_doctest(text: str, names: dict[str, Any]) -> None:
    test = doctest.DocTestParser().get_doctest(text, names, "documentation.md", None, 0)
    report: list[str] = []
    runner = doctest.DocTestRunner(verbose=False)
    runner.run(test, out=report.append, clear_globs=False)
    assert runner.failures == 0, "".join(report)


def run_script(text: str, folder: Path, *arguments: str) -> str:
    script = folder / "example.py"
    script.write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script), *arguments],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while chunk := self.request.recv(1024):
            self.request.sendall(chunk)


@pytest.fixture
def tcp_echo_server() -> Iterator[tuple[str, int]]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address  # type: ignore[misc]
        server.shutdown()
        thread.join()


def test_the_documents_have_the_examples_that_are_run_here() -> None:
    assert {title: len(doctests_under(title)) for title in COUNTS} == COUNTS


def test_custom_driver(tmp_path: Path) -> None:
    run_script(block_with("class GenericDriver(GenericInterface, Driver):"), tmp_path)


def test_adapter(tmp_path: Path) -> None:
    serving = """
from jumpstarter.common.utils import serve
from jumpstarter_driver_network.driver import EchoNetwork

with serve(EchoNetwork()) as client:
    example_usage()
"""
    printed = run_script(block_with("def example_usage():") + serving, tmp_path)
    assert printed == "Service available at 127.0.0.1:8080\n"


@pytest.mark.parametrize("example", examples("Network drivers"))
def test_network(example: str, request: pytest.FixtureRequest) -> None:
    run_doctest(example, {"run": run, "getfixture": request.getfixturevalue})


@pytest.fixture
def opendal(tmp_path: Path) -> Iterator[Any]:
    """A client of the driver as the documents configure it, in a folder of this test's own."""
    (config,) = [block for block in blocks_under("OpenDAL driver") if block.startswith("type:")]
    described = yaml.safe_load(config)
    described["config"]["kwargs"]["root"] = str(tmp_path / "storage")
    with run(yaml.safe_dump(described)) as client:
        yield client


@pytest.mark.parametrize("example", examples("OpenDAL driver"))
def test_opendal(example: str, opendal: Any, tmp_path: Path) -> None:
    run_doctest(example, {"opendal": opendal, "tmp": tmp_path})


def pyserial_examples() -> list[str]:
    if not DOCUMENTATION.is_file():
        return []
    return [block for block in blocks_under("PySerial driver") if "pyserialclient" in block]


@pytest.mark.parametrize("example", pyserial_examples())
def test_pyserial(example: str) -> None:
    with run('{type: jumpstarter_driver_pyserial.driver.PySerial, config: {url: "loop://"}}') as client:
        names: dict[str, Any] = {"pyserialclient": client}
        exec(compile(example, DOCUMENTATION.name, "exec"), names)
        assert names.get("data", b"Hello, world!") == b"Hello, world!"


def test_pyserial_has_four_examples() -> None:
    assert len(pyserial_examples()) == 4


@pytest.fixture
def shell() -> Iterator[Any]:
    (config,) = [block for block in blocks_under("Shell driver") if block.startswith("export:")]
    with run(yaml.safe_dump(yaml.safe_load(config)["export"]["shell"])) as client:
        yield client


@pytest.mark.parametrize(
    ("method", "arguments", "settings", "expected"),
    [
        ("method2", (), {}, ("Hello World 2\n", "", 0)),
        ("method3", ("a", "b"), {}, ("Hello World $1\nHello World $2\n", "", 0)),
        ("env_var", ("a", "b"), {"ENV_VAR": "value"}, ("a,b,value\n", "", 0)),
    ],
)
def test_shell_methods_return_output_errors_and_code(
    method: str,
    arguments: tuple[str, ...],
    settings: dict[str, str],
    expected: tuple[str, str, int],
    shell: Any,
) -> None:
    result = getattr(shell, method)(*arguments, **settings)
    assert isinstance(result, tuple)
    assert result == expected


def test_shell_ls(shell: Any) -> None:
    stdout, stderr, code = shell.ls()
    assert (isinstance(stdout, str), stderr, code) == (True, "", 0)


def test_uboot_configuration_is_valid() -> None:
    (config,) = [block for block in blocks_under("U-Boot driver") if block.startswith("type:")]
    with run(config) as client:
        assert client.prompt == "=>"
        assert sorted(client.children) == ["power", "serial"]


def test_uboot(tmp_path: Path) -> None:
    """The example, on the simulated board's boot prompt."""
    board = """
type: jumpstarter_driver_composite.driver.Composite
children:
  board:
    type: jumpstarter_driver_simulated.driver.SimulatedBoard
  uboot:
    type: jumpstarter_driver_uboot.driver.UbootConsole
    children:
      power:
        ref: board.power
      serial:
        ref: board.serial
"""
    (example,) = doctests_under("U-Boot driver")
    with run(board) as client:
        # Not as a doctest: the page leaves out the value that an interactive `setup_dhcp()` shows.
        exec(doctest.script_from_examples(example), {"uboot": client.uboot})
