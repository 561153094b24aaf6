"""Consoles of a served tree: loop ports say what they hear."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from datetime import timedelta

import pytest
from jumpstarter.common.utils import serve
from jumpstarter_driver_composite.driver import Composite, Proxy
from jumpstarter_driver_power.driver import MockPower
from jumpstarter_driver_pyserial.driver import PySerial

from JumpstarterLibrary.adapters import Context
from JumpstarterLibrary.console import find_text
from JumpstarterLibrary.consoles import Consoles
from JumpstarterLibrary.errors import ConsoleClosedError
from JumpstarterLibrary.generation import driver_keywords
from JumpstarterLibrary.timeouts import Timeouts


def board() -> Composite:
    return Composite(children={"power": MockPower(), "serial": PySerial(url="loop://")})


@contextmanager
def connected(root):
    with serve(root) as client, ExitStack() as cleanup:
        consoles = Consoles()
        cleanup.callback(consoles.close)
        context = lambda path: Context(path, Timeouts(), consoles, cleanup)  # noqa: E731
        found = driver_keywords(client, context, ()).keywords
        yield client, found, consoles


def said(client, consoles: Consoles, text: str) -> None:
    """Make the loop port say *text*, and wait until the console has it."""
    console = consoles.get(client.children["serial"].uuid)
    console.send(text.encode())
    console.read_until(find_text(text), 10, text)


def test_text_of_the_boot_before_is_not_read_after_powering_off_and_on():
    with connected(board()) as (_, keywords, _consoles):
        keywords["Power On"]()
        keywords["Serial Write"]("boot complete, first marker")
        keywords["Serial Read Until"]("first")
        keywords["Power Off"]()
        keywords["Power On"]()
        assert keywords["Serial Read"]() == ""


def test_text_that_is_on_its_way_while_powering_on_is_of_the_boot_before():
    with connected(board()) as (client, keywords, consoles):
        keywords["Power On"]()
        said(client, consoles, "up")
        keywords["Power Off"]()
        consoles.get(client.children["serial"].uuid).send(b"last words")
        keywords["Power On"]()
        assert keywords["Serial Read"](quiet=timedelta(seconds=1)) == ""


def test_text_is_kept_when_a_board_is_powered_on_that_was_not_powered_off():
    with connected(board()) as (_, keywords, _consoles):
        keywords["Power On"]()
        keywords["Serial Write"]("login: marker")
        keywords["Serial Read Until"]("login")
        keywords["Power On"]()
        assert keywords["Serial Read Until"]("marker") == ": marker"


def test_a_power_cycle_is_a_new_boot():
    with connected(board()) as (_, keywords, _consoles):
        keywords["Serial Write"]("old text marker")
        keywords["Serial Read Until"]("old")
        keywords["Power Cycle"](wait=0)
        assert keywords["Serial Read"]() == ""


def test_powering_one_board_leaves_the_text_of_another():
    root = Composite(children={"a": board(), "b": board()})
    with connected(root) as (_, keywords, _consoles):
        keywords["B Serial Write"]("text of b")
        keywords["B Serial Read Until"]("text")
        keywords["A Power Off"]()
        keywords["A Power On"]()
        assert keywords["B Serial Read Until"]("b") == " of b"


def test_powering_on_captures_a_console_that_no_keyword_has_used():
    with connected(board()) as (client, keywords, consoles):
        keywords["Power On"]()
        serial = client.children["serial"]
        with pytest.raises(Exception, match="busy"), serial.stream() as stream:
            stream.receive()
        assert not consoles.get(serial.uuid).ended


def test_a_driver_of_two_names_has_one_console():
    root = Composite(
        children={"serial": PySerial(url="loop://"), "dut": Composite(children={"uart": Proxy(ref="serial")})}
    )
    with connected(root) as (_, keywords, _consoles):
        keywords["Serial Write"]("one two")
        assert keywords["Serial Read Until"]("one") == "one"
        assert keywords["Dut Uart Read Until"]("two") == " two"


def test_a_lent_console_is_free_for_others_and_its_keywords_say_who_has_it():
    with connected(board()) as (client, keywords, consoles):
        said(client, consoles, "x")
        with consoles.lent("U-Boot has it"):
            with client.children["serial"].stream() as stream:
                stream.send(b"y")
                assert stream.receive() == b"y"
            with pytest.raises(
                ConsoleClosedError, match="serial: the console is not available, U-Boot has it"
            ):
                keywords["Serial Read"]()
        said(client, consoles, "z")
