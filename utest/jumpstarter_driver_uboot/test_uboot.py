"""U-Boot's console, on a real U-Boot in QEMU."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jumpstarter.common.exceptions import ConfigurationError, DriverError
from jumpstarter.common.utils import serve
from jumpstarter.driver import export
from jumpstarter_driver_composite.driver import Composite, Proxy
from jumpstarter_driver_network.driver import TcpNetwork
from jumpstarter_driver_power.driver import MockPower
from jumpstarter_driver_pyserial.driver import PySerial
from jumpstarter_driver_qemu.driver import Qemu
from jumpstarter_driver_shell.driver import Shell
from jumpstarter_driver_uboot.common import DhcpInfo, UbootError, UbootTimeout
from jumpstarter_driver_uboot.driver import UbootConsole

STEP = 120
RETRIES = 240


@contextmanager
def board(prompt: str = "=>", **config: Any) -> Iterator[Any]:
    """A board as a configuration writes it: U-Boot's children refer to those of the board."""
    qemu = Qemu(arch="aarch64", smp=1, **config)
    uboot = UbootConsole(
        children={"power": Proxy(ref="qemu.power"), "serial": Proxy(ref="qemu.console")}, prompt=prompt
    )
    with serve(Composite(children={"qemu": qemu, "uboot": uboot})) as client:
        yield client


@pytest.fixture(scope="module")
def uboot(qemu: None) -> Iterator[Any]:
    """U-Boot at its prompt, for tests that leave it there."""
    with board() as client, client.uboot.reboot_to_console(retries=RETRIES):
        yield client.uboot


@pytest.mark.board
class TestAtThePrompt:
    def test_command_gives_what_it_wrote(self, uboot: Any) -> None:
        assert uboot.run_command("version").startswith(b"U-Boot 20")
        assert uboot.run_command("echo hello").strip() == b"hello"

    def test_void_output(self, uboot: Any) -> None:
        assert uboot.run_command("true") == b""
        assert uboot.run_command_checked("true") == []

    def test_answer_without_a_line_end(self, uboot: Any) -> None:
        assert uboot.run_command("echo -n no end") == b"no end"
        assert uboot.run_command("echo next").strip() == b"next"

    def test_prompt_within_an_answer_does_not_cut_it(self, uboot: Any) -> None:
        assert uboot.run_command_checked("echo '=> one'; echo '=>'; echo two") == ["=> one", "=>", "two"]

    def test_checked_command_gives_lines(self, uboot: Any) -> None:
        assert uboot.run_command_checked("echo a; echo b c") == ["a", "b c"]

    def test_command_that_fails_tells_its_exit_code_and_words(self, uboot: Any) -> None:
        with pytest.raises(
            UbootError, match=r"`nonsense` ended with exit code 1; it wrote .*Unknown command"
        ):
            uboot.run_command_checked("nonsense")
        assert uboot.run_command_checked("false", check=False) == []

    def test_tries_count_attempts(self, uboot: Any) -> None:
        uboot.set_env("count", "0")
        command = "setexpr count ${count} + 1; test ${count} = 3"
        uboot.run_command_checked(command, tries=3)
        assert uboot.get_env("count") == "3"
        uboot.set_env("count", "0")
        with pytest.raises(UbootError, match=r"exit code 1"):
            uboot.run_command_checked(command, tries=2)

    @pytest.mark.parametrize(
        "value",
        [
            "plain",
            "two words",
            "a;b && c",
            "${not_expanded} $x",
            "it's",
            'a "quoted" word',
            "back\\slash",
            "=> ",
        ],
    )
    def test_variable_keeps_its_value_as_it_is(self, uboot: Any, value: str) -> None:
        uboot.set_env("foo", value, STEP)
        assert uboot.get_env("foo", STEP) == value

    def test_variable_that_is_not_set_is_none(self, uboot: Any) -> None:
        assert uboot.get_env("no_such_variable") is None

    def test_several_variables_and_removal(self, uboot: Any) -> None:
        uboot.set_env_dict({"one": "1", "two": "2", "three": "3"})
        uboot.set_env_dict({"two": None, "three": "drei"})
        assert [uboot.get_env(key) for key in ("one", "two", "three")] == ["1", None, "drei"]

    def test_long_value(self, uboot: Any) -> None:
        value = "x" * 400
        uboot.set_env("long", value)
        assert uboot.get_env("long") == value

    def test_dhcp(self, uboot: Any) -> None:
        info = uboot.setup_dhcp()
        assert info == DhcpInfo(ip_address="10.0.2.15", gateway="10.0.2.2", netmask="255.255.255.0")
        assert info.cidr == "10.0.2.15/24"
        assert IPv4Interface(info.cidr).network.prefixlen == 24
        assert uboot.get_env("autoload") == "no"

    def test_command_that_takes_too_long_is_interrupted_and_the_prompt_usable(self, uboot: Any) -> None:
        with pytest.raises(UbootTimeout, match=r"`sleep 1000` did not end within 1 s"):
            uboot.run_command("sleep 1000", timeout=1)
        assert uboot.run_command_checked("echo back") == ["back"]

    @pytest.mark.parametrize("command", ["a\nb", "a\r", "\x03"])
    def test_command_of_several_lines_is_refused(self, uboot: Any, command: str) -> None:
        with pytest.raises(ValueError, match=r"expected a command of one line"):
            uboot.run_command(command)

    @pytest.mark.parametrize("name", ["", "a b", "a=b", "a;b", "$a"])
    def test_what_is_no_name_of_a_variable_is_refused(self, uboot: Any, name: str) -> None:
        with pytest.raises(ValueError, match=r"expected the name of an environment variable"):
            uboot.set_env(name, "x")
        with pytest.raises(ValueError, match=r"expected the name of an environment variable"):
            uboot.get_env(name)

    def test_context_is_entered_once(self, uboot: Any) -> None:
        with pytest.raises(UbootError, match=r"in use already"), uboot.reboot_to_console():
            pass
        assert uboot.run_command_checked("echo still") == ["still"]


@pytest.mark.board
@pytest.mark.usefixtures("qemu")
def test_example_of_the_documents() -> None:
    with board() as client:
        uboot = client.uboot
        assert uboot.prompt == "=>"
        with uboot.reboot_to_console(debug=True, retries=RETRIES):
            uboot.set_env("foo", "bar")
            uboot.setup_dhcp()
        with pytest.raises(UbootError, match=r"within `with uboot.reboot_to_console\(\):`"):
            uboot.set_env("foo", "baz")
        # A power cycle: the variable was never saved.
        with uboot.reboot_to_console(retries=RETRIES):
            assert uboot.get_env("foo") is None


@pytest.mark.board
@pytest.mark.usefixtures("qemu")
def test_debug_shows_the_console_on_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    with board() as client, client.uboot.reboot_to_console(debug=True, retries=RETRIES):
        pass
    out, err = capfd.readouterr()
    assert "U-Boot 20" in err
    assert out == ""


@pytest.mark.board
@pytest.mark.usefixtures("qemu")
def test_board_that_is_on_is_power_cycled_and_old_output_does_not_count() -> None:
    with board() as client:
        client.qemu.power.on()
        with client.qemu.console.pexpect() as console:
            console.expect_exact("autoboot", timeout=STEP)
            console.send("\r")
            console.expect_exact("=> ", timeout=STEP)
            console.send("setenv old boot\r")
            console.expect_exact("=> ", timeout=STEP)
        with client.uboot.reboot_to_console(retries=RETRIES):
            assert client.uboot.get_env("old") is None


@pytest.mark.board
@pytest.mark.usefixtures("qemu")
def test_newline_in_the_prompt_is_allowed() -> None:
    with board(prompt="\n=>") as client, client.uboot.reboot_to_console(retries=RETRIES):
        assert client.uboot.run_command_checked("echo hello") == ["hello"]


@pytest.mark.board
@pytest.mark.usefixtures("qemu")
def test_wrong_prompt_is_told_with_the_words_of_the_console() -> None:
    with (
        board(prompt="U-Boot>") as client,
        pytest.raises(
            UbootTimeout, match=r"no U-Boot prompt 'U-Boot>' after 4 attempts \(2 s\); .*last words"
        ),
        client.uboot.reboot_to_console(retries=4),
    ):
        pass


@pytest.mark.board
def test_linux_from_the_prompt(linux: Path) -> None:
    with board(tftp=linux) as client:
        uboot = client.uboot
        with uboot.reboot_to_console(retries=RETRIES):
            uboot.setup_dhcp()
            uboot.set_env_dict({"tftpblocksize": "1468", "bootargs": "console=ttyAMA0 quiet"})
            uboot.run_command_checked("tftpboot ${kernel_addr_r} Image", timeout=STEP)
            uboot.run_command_checked("tftpboot ${ramdisk_addr_r} initrd.gz", timeout=STEP)
            with pytest.raises(UbootError, match=r"no_such_file"):
                uboot.run_command_checked("tftpboot ${loadaddr} no_such_file", timeout=STEP)
            size = uboot.get_env("filesize")
            assert size is not None and int(size, 16) == (linux / "initrd.gz").stat().st_size


@pytest.mark.board
@pytest.mark.usefixtures("qemu")
def test_run_of_the_command_line_prints_what_the_commands_wrote() -> None:
    with board() as client:
        runner = CliRunner()
        arguments = ["run", "--retries", str(RETRIES), "version", "echo second"]
        done = runner.invoke(client.uboot.cli(), arguments, catch_exceptions=False)
        assert done.exit_code == 0
        assert done.stdout.startswith("U-Boot 20")
        assert done.stdout.endswith("second\n")
        failed = runner.invoke(client.uboot.cli(), ["run", "--retries", str(RETRIES), "false"])
        assert failed.exit_code == 1
        assert isinstance(failed.exception, UbootError)


def test_commands_of_the_command_line() -> None:
    with serve(uboot_on_loop()) as client:
        group = client.cli()
        assert set(group.list_commands(None)) == {"power", "serial", "run", "console"}


def uboot_on_loop() -> UbootConsole:
    """The example configuration of the documents: both children inline."""
    return UbootConsole(children={"power": MockPower(), "serial": PySerial(url="loop://")}, prompt="=>")


def test_silent_board_is_told_as_such() -> None:
    # A line with nobody at its far end.
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        children = {"power": MockPower(), "serial": TcpSerial(host="127.0.0.1", port=port)}
        with (
            serve(UbootConsole(children=children)) as client,
            pytest.raises(UbootTimeout, match=r"after 2 attempts \(1 s\); nothing came from the serial line"),
            client.reboot_to_console(retries=2),
        ):
            pass


def test_line_that_ends_is_told_as_such() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"last words\n")
                connection.recv(1)

        thread = threading.Thread(target=hang_up)
        thread.start()
        children = {"power": MockPower(), "serial": TcpSerial(host="127.0.0.1", port=server.getsockname()[1])}
        with (
            serve(UbootConsole(children=children)) as client,
            pytest.raises(UbootError, match=r"the serial line ended"),
            client.reboot_to_console(retries=20),
        ):
            pass
        thread.join()


class TcpSerial(TcpNetwork):
    """A serial line at a TCP port, for peers that a test plays."""

    @classmethod
    def client(cls) -> str:
        return "jumpstarter_driver_pyserial.client.PySerialClient"


class Board:
    """A U-Boot that stops for *stop* only, behind a TCP port that is there while it has power."""

    def __init__(self, stop: bytes, *, at_prompt: bool = False) -> None:
        self.stop = stop
        self.at_prompt = at_prompt
        self.caught = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]

    def start(self) -> None:
        if not self._thread.is_alive():
            self._thread.start()

    def _serve(self) -> None:
        with socket.create_server(("127.0.0.1", self.port)) as server:
            peer, _ = server.accept()
            with peer:
                if not self.at_prompt:
                    peer.sendall(b"U-Boot 2026.01\r\nAutoboot in 3\r\n")
                    heard = b""
                    while not heard.endswith(self.stop):
                        heard += peer.recv(1)
                    peer.sendall(b"=> ")
                    self.caught.set()
                self._answer(peer)

    @staticmethod
    def _answer(peer: socket.socket) -> None:
        line = b""
        while byte := peer.recv(1):
            if byte == b"\x03":
                line = b""
                peer.sendall(b"<INTERRUPT>\r\n=> ")
            elif byte == b"\r":
                words = line.removeprefix(b"echo ").replace(b"$?", b"0")
                known = line.startswith(b"echo ")
                peer.sendall(b"\r\n" + (words if known else b"Unknown command") + b"\r\n=> ")
                line = b""
            else:
                line += byte
                peer.sendall(byte)


@dataclass(kw_only=True)
class BoardPower(MockPower):
    """The supply of a `Board`: its serial port comes with it."""

    board: Any

    @export
    async def on(self) -> None:
        self.board.start()


def uboot_on(board: Board, **config: Any) -> UbootConsole:
    children = {"power": BoardPower(board=board), "serial": PySerial(url=f"socket://127.0.0.1:{board.port}")}
    return UbootConsole(children=children, **config)


@pytest.mark.parametrize(
    ("stop", "key"), [("esc", b"\x1b"), ("space", b" "), ("s3cret", b"s3cret"), ("ctrl-c", b"\x03")]
)
def test_countdown_is_stopped_by_what_is_configured_on_a_line_that_comes_with_the_power(
    stop: str, key: bytes
) -> None:
    with (
        serve(uboot_on(Board(key), autoboot_stop=stop)) as client,
        client.reboot_to_console(retries=RETRIES),
    ):
        assert client.run_command_checked("echo here") == ["here"]


def test_what_stops_the_countdown_may_be_given_with_the_call() -> None:
    with serve(uboot_on(Board(b"pass"))) as client:
        with client.reboot_to_console(retries=RETRIES, stop="pass"):
            assert client.run_command_checked("echo here") == ["here"]
        said = client.take_said()
        assert b"Autoboot in 3" in said
        assert b"here" in said


def test_prompt_that_is_there_is_taken_without_a_power_cycle() -> None:
    board = Board(b"", at_prompt=True)
    board.start()
    with serve(uboot_on(board)) as client:
        with client.take_console(retries=RETRIES):
            assert client.run_command_checked("echo here") == ["here"]
        with pytest.raises(UbootError, match="U-Boot is not at its prompt"):
            client.run_command("echo gone")


def shell_supply(board: Board, **commands: str) -> UbootConsole:
    """The board, with a supply that a tool switches."""
    children = {
        "power": Shell(methods=commands),
        "serial": PySerial(url=f"socket://127.0.0.1:{board.port}"),
    }
    return UbootConsole(children=children)


@pytest.mark.parametrize(
    ("commands", "told"),
    [
        ({"on": "true", "off": "echo no relay >&2; exit 3"}, r"'off' ended with return code 3; it said: no relay"),
        ({"on": "exit 4", "off": "true"}, r"'on' ended with return code 4; it said: nothing"),
        ({"power_on": "exit 5", "power_off": "true"}, r"'power_on' ended with return code 5"),
    ],
)  # fmt: skip
def test_supply_whose_tool_fails_is_told(commands: dict[str, str], told: str) -> None:
    with (
        serve(shell_supply(Board(b"\x03"), **commands)) as client,
        pytest.raises(DriverError, match=told),
        client.reboot_to_console(retries=2),
    ):
        pass


@pytest.mark.parametrize("names", [("on", "off"), ("power_on", "power_off"), ("PowerOn", "PowerOff")])
def test_supply_may_be_switched_by_a_tool(names: tuple[str, str]) -> None:
    board = Board(b"\x03")
    board.start()
    with (
        serve(shell_supply(board, **dict.fromkeys(names, "true"))) as client,
        client.reboot_to_console(retries=RETRIES),
    ):
        assert client.run_command_checked("echo here") == ["here"]


def test_countdown_is_stopped_while_the_supplys_tool_is_still_busy() -> None:
    board = Board(b"\x03")
    with socket.create_server(("127.0.0.1", 0)) as done:
        # The tool ends when somebody connects, which happens when the board is at its prompt.
        wait = f"exec 3<>/dev/tcp/127.0.0.1/{done.getsockname()[1]}; head -c 1 <&3"
        board.start()
        with serve(shell_supply(board, on=wait, off="true")) as client, ThreadPoolExecutor(1) as pool:

            def end_when_caught() -> None:
                tool, _ = done.accept()
                with tool:
                    board.caught.wait(60)
                    tool.sendall(b"x")

            ending = pool.submit(end_when_caught)
            with client.reboot_to_console(retries=1):
                assert client.run_command_checked("echo here") == ["here"]
            ending.result()


def test_line_that_never_comes_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    children = {"power": MockPower(), "serial": PySerial(url=f"socket://127.0.0.1:{port}")}
    with (
        serve(UbootConsole(children=children)) as client,
        pytest.raises(
            UbootTimeout, match=r"after 2 attempts .*the serial line could not be opened: .*refused"
        ),
        client.reboot_to_console(retries=2),
    ):
        pass


def test_void_autoboot_stop_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"autoboot_stop: found ''"):
        UbootConsole(children={"power": MockPower(), "serial": MockPower()}, autoboot_stop="")


@pytest.mark.parametrize("missing", ["power", "serial"])
def test_missing_child_is_named(missing: str) -> None:
    children = {"power": MockPower(), "serial": MockPower()}
    del children[missing]
    with pytest.raises(ConfigurationError, match=rf"UbootConsole: no child '{missing}'"):
        UbootConsole(children=children)


def test_void_prompt_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"prompt: found '\\n', expected text such as '=>'"):
        UbootConsole(children={"power": MockPower(), "serial": MockPower()}, prompt="\n")
