"""A supply that the shell driver switches by the commands of a tool."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any

import pytest
from jumpstarter.client.core import DriverError
from jumpstarter.common.utils import serve
from jumpstarter_driver_composite.driver import Composite
from jumpstarter_driver_pyserial.driver import PySerial
from jumpstarter_driver_shell.driver import Shell
from jumpstarter_driver_shell.supply import switches

from JumpstarterLibrary.adapters import Context
from JumpstarterLibrary.consoles import Consoles
from JumpstarterLibrary.generation import driver_keywords
from JumpstarterLibrary.timeouts import Timeouts


class Bench:
    """A board on a console server without memory: what it says is lost to whoever is not connected at that moment."""

    def __init__(self) -> None:
        self.console = socket.create_server(("127.0.0.1", 0))
        self.switch = socket.create_server(("127.0.0.1", 0))
        self._listeners: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            connection, _ = self.switch.accept()
            with connection:
                if not (word := connection.recv(16)):
                    return
                while select.select([self.console], [], [], 0)[0]:
                    self._listeners.append(self.console.accept()[0])
                for listener in self._listeners:
                    listener.sendall(b"boot " + word + b"\r\n")

    def close(self) -> None:
        socket.create_connection(self.switch.getsockname()).close()
        self._thread.join()
        for each in (self.console, self.switch, *self._listeners):
            each.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


@contextmanager
def connected(bench: Bench, methods: dict[str, str], name: str = "power") -> Iterator[Any]:
    ports = {"SWITCH": bench.switch.getsockname()[1]}
    methods = {key: command.format(**ports) for key, command in methods.items()}
    url = f"socket://127.0.0.1:{bench.console.getsockname()[1]}"
    root = Composite(children={name: Shell(methods=methods), "serial": PySerial(url=url)})
    with serve(root) as client, ExitStack() as cleanup:
        consoles = Consoles()
        cleanup.callback(consoles.close)
        context = lambda path: Context(path, Timeouts(), consoles, cleanup)  # noqa: E731
        yield driver_keywords(client, context, ()).keywords


TELL = "exec 3>/dev/tcp/127.0.0.1/{SWITCH}; echo -n %s >&3; exec 3>&-"
SWITCHES = {"on": TELL % "one", "off": "true", "cycle": TELL % "two", "blink": "exit 3"}


@pytest.mark.parametrize(("keyword", "text"), [("Power On", "boot one"), ("Power Cycle", "boot two")])
def test_the_consoles_are_open_before_a_command_switches_the_board_on(
    bench: Bench, keyword: str, text: str
) -> None:
    with connected(bench, SWITCHES) as keywords:
        keywords[keyword]()
        assert keywords["Serial Read Until"](text, timeout=timedelta(seconds=30)).endswith(text)


def test_commands_may_have_power_in_their_names(bench: Bench) -> None:
    with connected(bench, {"power_on": TELL % "up", "power_off": "true"}, "dut") as keywords:
        keywords["Dut Power On"]()
        keywords["Serial Read Until"]("boot up", timeout=timedelta(seconds=30))


def test_a_tool_that_fails_fails_the_keyword(bench: Bench) -> None:
    methods = {"on": "echo 'no relay found' >&2; exit 4", "off": "echo half; exit 1"}
    with connected(bench, methods) as keywords:
        with pytest.raises(DriverError, match="'on' ended with return code 4; it said: no relay found"):
            keywords["Power On"]()
        with pytest.raises(DriverError, match="'off' ended with return code 1; it said: half"):
            keywords["Power Off"]()


def test_other_commands_return_their_code(bench: Bench) -> None:
    with connected(bench, SWITCHES) as keywords:
        assert keywords["Power Blink"]() == ("", "", 3)
        assert keywords["Power Off"]() == ("", "", 0)


@pytest.mark.parametrize(
    ("names", "verbs"),
    [
        (["on", "off", "status"], {"on": "on", "off": "off"}),
        (
            ["power-on", "PowerOff", "power_cycle"],
            {"power-on": "on", "PowerOff": "off", "power_cycle": "cycle"},
        ),
        (["on", "blink"], {}),
        (["ls", "turn_on", "off"], {}),
    ],
)
def test_a_supply_has_both_on_and_off(names: list[str], verbs: dict[str, str]) -> None:
    assert switches(names) == verbs
