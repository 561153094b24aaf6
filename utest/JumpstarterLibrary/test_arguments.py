"""What is given to `Call Driver Method` and to drivers' keywords reaches the driver, or is refused."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from jumpstarter.client import DriverClient
from jumpstarter.common.exceptions import ArgumentError, DriverError
from jumpstarter.common.utils import serve
from jumpstarter.driver import Driver, export
from jumpstarter_driver_composite.driver import Composite
from jumpstarter_driver_opendal.driver import MockFlasher
from jumpstarter_driver_power.driver import MockPower
from robot.api.types import Secret

from JumpstarterLibrary._connection import Connection
from JumpstarterLibrary.errors import NotConnectedError, UnknownDriverError
from JumpstarterLibrary.library import JumpstarterLibrary
from JumpstarterLibrary.selection import Choice, Where
from JumpstarterLibrary.session import Session
from JumpstarterLibrary.timeouts import Timeouts


@dataclass(kw_only=True)
class Recorder(Driver):
    """Returns what it was called with."""

    @classmethod
    def client(cls) -> str:
        return f"{__name__}.RecorderClient"

    @export
    def record(self, called: Any) -> Any:
        return called

    @export
    def raw(self, number: int, text: str = "none", *more: int) -> list[Any]:
        return [number, text, *more]


@dataclass(kw_only=True)
class RecorderClient(DriverClient):
    """Hands on all of its arguments."""

    def plain(self, path: str, method: str = "m", *, alias: str = "a", wait: float = 1) -> Any:
        """Take arguments of the names that `Call Driver Method` has, too."""
        return self.call("record", [path, method, alias, wait])

    def many(self, first: int, *rest: int, **named: float) -> Any:
        """Take any number."""
        return self.call("record", [first, list(rest), named])

    def hidden_between(self, a: str, operator: Any = None, b: str = "b") -> Any:
        """Have an argument between two that a suite cannot give."""
        return self.call("record", [a, operator, b])

    def optional(self, count: int | None = None, flag: bool = False) -> Any:
        """Take values that may be none."""
        return self.call("record", [count, flag])


@pytest.fixture(autouse=True)
def _importable() -> None:
    sys.modules.setdefault(__name__, sys.modules[RecorderClient.__module__])


@contextmanager
def connected(**children: Driver) -> Iterator[JumpstarterLibrary]:
    """A library that is connected to a tree."""
    with serve(Composite(children=children)) as client:
        library = JumpstarterLibrary()
        session = Session(
            Choice(Where.LOCAL, "test", "test"), Connection(client, "test", "here"), Timeouts(), ()
        )
        library._sessions.add("", session)
        try:
            yield library
        finally:
            library._disconnect("")


@pytest.fixture
def call() -> Iterator[Any]:
    with connected(recorder=Recorder(), power=MockPower(), flasher=MockFlasher()) as library:

        def call(path: str, method: str, /, *args: Any, **named: Any) -> Any:
            return library.run_keyword("Call Driver Method", [path, method, *args], named)

        yield call


def test_a_named_argument_reaches_the_method(call: Any) -> None:
    assert call("recorder", "plain", "x", wait="2 min") == ["x", "m", "a", 120]


def test_a_word_that_is_neither_yes_nor_no_is_refused(call: Any) -> None:
    assert call("recorder", "optional", flag="off") == [None, False]
    with pytest.raises(ArgumentError, match="flag is 'flase', expected true or false"):
        call("recorder", "optional", flag="flase")
    with pytest.raises(ArgumentError, match="insecure is 'perhaps', expected true or false"):
        JumpstarterLibrary().connect_to_exporter(host="localhost:1", insecure="perhaps")  # type: ignore[arg-type]


def test_an_import_says_what_it_can_be_given() -> None:
    for wrong in ("exporter=board", "soon"):
        with pytest.raises(
            ValueError, match=f"timeout is '{wrong}', expected a time .* `Connect To Exporter`"
        ):
            JumpstarterLibrary(wrong)
    assert JumpstarterLibrary("2 min")._timeouts.seconds(None) == 120


def test_a_flasher_writes_to_the_named_target_alone(call: Any, tmp_path: Any) -> None:
    image = tmp_path / "image"
    image.write_bytes(b"boot")
    call("flasher", "flash", str(image), target="boot")
    call("flasher", "dump", str(tmp_path / "out"), target="boot")
    assert (tmp_path / "out").read_bytes() == b"boot"
    with pytest.raises(DriverError):
        call("flasher", "dump", str(tmp_path / "whole"))


@pytest.mark.parametrize(
    ("path", "method", "args", "named", "message"),
    [
        (
            "power",
            "on",
            ["now", "please"],
            {},
            "power.on: too many positional arguments, found 'now', 'please', expected no arguments",
        ),
        (
            "power",
            "on",
            [],
            {"now": "1"},
            "power.on: got an unexpected keyword argument 'now', found now='1'",
        ),
        ("recorder", "plain", [], {}, "recorder.plain: missing a required argument: 'path', found none"),
        ("recorder", "plain", ["x"], {"path": "y"}, r"recorder.plain: multiple values for argument 'path'"),
        (
            "recorder",
            "plain",
            ["a", "b", "c"],
            {},
            r"too many .* expected path, method=m, \*, alias=a, wait=1",
        ),
        ("power", "read", [], {"cuont": "2"}, r"unexpected .* expected \*, count=1, timeout=None"),
    ],
)
def test_what_does_not_fit_is_refused_before_the_driver_is_asked(
    call: Any, path: str, method: str, args: list[str], named: dict[str, str], message: str
) -> None:
    with pytest.raises(ArgumentError, match=message):
        call(path, method, *args, **named)


def test_arguments_may_have_the_names_that_the_keyword_itself_has(call: Any) -> None:
    assert call("recorder", "plain", path="p", method="q") == ["p", "q", "a", 1]


def test_variable_arguments_are_converted_each_and_all_arrive(call: Any) -> None:
    assert call("recorder", "many", "1", "2", "3", a="1.5") == [1, [2, 3], {"a": 1.5}]
    with pytest.raises(ValueError, match="Argument 'rest' got value 'x'"):
        call("recorder", "many", "1", "x")
    with pytest.raises(ValueError, match="Argument 'named' got value 'x'"):
        call("recorder", "many", "1", a="x")


def test_an_argument_behind_one_that_suites_cannot_give_is_not_taken_for_it(call: Any) -> None:
    assert call("recorder", "hidden_between", "A", "B") == ["A", None, "B"]


def test_defaults_hold_and_none_stays_none(call: Any) -> None:
    assert call("recorder", "optional") == [None, False]
    assert call("recorder", "optional", None, "yes") == [None, True]
    assert call("recorder", "optional", "7", flag="True") == [7, True]
    with pytest.raises(ValueError, match="'count' got value 'seven'"):
        call("recorder", "optional", "seven")


def test_a_stream_is_bounded_by_its_named_arguments(call: Any) -> None:
    assert len(call("power", "read", count="2")) == 2
    with pytest.raises(ValueError, match="'timeout' got value 'soon'"):
        call("power", "read", timeout="soon")


def test_a_method_that_only_the_driver_has_takes_its_arguments_in_order(call: Any) -> None:
    assert call("recorder", "raw", "5", "text", "6", "7") == [5, "text", 6, 7]
    with pytest.raises(ArgumentError, match=r"recorder.raw: number cannot be given by name"):
        call("recorder", "raw", number="5")
    with pytest.raises(DriverError, match="positional argument"):
        call("recorder", "record", "1", "2")


def test_a_method_that_there_is_not_is_named_with_those_that_there_are(call: Any) -> None:
    with pytest.raises(
        UnknownDriverError, match=r"driver 'power' has no method 'onn', expected one of cycle, off, on"
    ):
        call("power", "onn")
    with pytest.raises(UnknownDriverError, match="has no method '_x'"):
        call("power", "_x")


def test_methods_whose_keywords_would_have_one_name_are_reached_as_their_keywords_would_be() -> None:
    with connected(re_corder=Recorder(), recorder=Recorder()) as library:
        assert not library._sessions.keywords
        told = library.run_keyword("Call Driver Method", ["re_corder", "plain", "x"], {"wait": "3 s"})
        assert told == ["x", "m", "a", 3]


def test_a_generated_keyword_refuses_what_does_not_fit_when_python_calls_it() -> None:
    with connected(power=MockPower(), recorder=Recorder()) as library:
        keywords = library._sessions.keywords
        with pytest.raises(ArgumentError, match="Power On: too many positional arguments"):
            keywords["Power On"]("now")
        assert keywords["Recorder Plain"]("x", wait=timedelta(seconds=2)) == ["x", "m", "a", 2]
        with pytest.raises(ArgumentError, match="<secret>"):
            keywords["Power On"](Secret("hidden"))


def test_an_import_with_other_arguments_hints_at_the_one_that_is_connected() -> None:
    other = JumpstarterLibrary(timeout=timedelta(seconds=5))
    with connected(power=MockPower()), pytest.raises(NotConnectedError) as failure:
        other.run_keyword("Call Driver Method", ["power", "on"])
    assert str(failure.value) == (
        "Call Driver Method: no exporter is connected; use `Connect To Exporter` first; test is connected by an import of "
        "the library with other arguments: import it with the same ones to share the connection"
    )
