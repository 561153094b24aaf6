"""A driver that raises fails the one call, in words that arrive; the exporter goes on."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
from anyio import BrokenResourceError
from jumpstarter.common.exceptions import (
    DriverError,
    DriverInvalidArgument,
    DriverMethodNotImplemented,
    ExporterNotReady,
)

from .conftest import Exporter, Process, running

#: What a driver raises, what a client gets.
KINDS = {
    "RuntimeError": DriverError,
    "OSError": DriverError,
    "KeyError": DriverError,
    "AssertionError": DriverError,
    "MemoryError": DriverError,
    "TimeoutError": DriverError,
    "ConnectionError": DriverError,
    "MissingDriverError": DriverError,
    "ConfigurationError": DriverError,
    "ValueError": DriverInvalidArgument,
    "UnicodeDecodeError": DriverInvalidArgument,
    "NotImplementedError": DriverMethodNotImplemented,
    "ExporterNotReady": ExporterNotReady,
    "ExceptionGroup": DriverError,
    "StopIteration": DriverError,
    "StopAsyncIteration": DriverError,
    # These end programs: here they may end no more than the call.
    "SystemExit": DriverError,
    "KeyboardInterrupt": DriverError,
    "GeneratorExit": DriverError,
    "CancelledError": DriverError,
    "BaseException": DriverError,
}


def raised(client: Any, method: str, kind: str, text: str = "plain") -> DriverError:
    """The error of a call of *method*; an item comes before it where there are items."""
    faulty = client.faulty
    with pytest.raises(DriverError) as caught:
        if "items" in method:
            items = faulty.streamingcall(method, kind, text)
            assert next(items) == 1
            next(items)
        else:
            faulty.call(method, kind, text)
    return caught.value


@pytest.mark.parametrize("method", ["fail", "fail_async", "fail_items", "fail_items_async"])
def test_every_class_arrives(exporter: Exporter, method: str) -> None:
    with exporter.client() as client:
        for kind, expected in KINDS.items():
            error = raised(client, method, kind)
            assert type(error) is expected, kind
            assert str(error).startswith(f"'{method}' failed on the exporter: "), kind
            assert kind in str(error) or kind == "ExceptionGroup", str(error)
            if kind != "UnicodeDecodeError":
                assert "the relay is stuck" in str(error) or kind.startswith("Stop"), str(error)
        assert client.other.call("ping") == "pong"


@pytest.mark.parametrize("method", ["fail", "fail_async", "fail_items", "fail_items_async"])
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("lines", "RuntimeError: first line\nsecond line\n\tthird"),
        ("unicode", "RuntimeError: Gerät läuft nicht: ⚡ 電源 \U0001f50c"),
        ("surrogate", "RuntimeError: bad name: \\udcff"),
        ("empty", "RuntimeError: RuntimeError"),
        ("nul", "RuntimeError: a\\x00b\\x1b[31mred"),
        ("huge", "more characters are left out)"),
    ],
    ids=lambda value: value if value.islower() else "",
)
def test_every_text_arrives(exporter: Exporter, method: str, text: str, shown: str) -> None:
    with exporter.client() as client:
        error = raised(client, method, "RuntimeError", text)
    assert shown in str(error)
    assert error.remote_type == "RuntimeError"
    assert len(str(error)) < 10_000


def test_an_error_without_text_is_told_by_its_class(exporter: Exporter) -> None:
    with exporter.client() as client:
        for method in ("fail", "fail_async", "fail_items"):
            error = raised(client, method, "MuteError")
            assert "MuteError: an error without text (RuntimeError in its __str__)" in str(error)


@pytest.mark.parametrize("text", ["lines", "empty", "surrogate", "nul"])
def test_a_command_shows_it_in_one_line(exporter: Exporter, text: str) -> None:
    with exporter.command("j", "faulty", "call", "fail", "RuntimeError", text) as process:
        assert process.end() == 1
        assert len(process.errors) == 1, process.lines
    assert "'fail' failed on the exporter: RuntimeError" in process.errors[0]


def test_streams_tell_why_they_cannot_be_opened(exporter: Exporter) -> None:
    with exporter.client() as client:
        with pytest.raises(DriverError, match="Input/output error: '/dev/ttyUSB0'"):
            client.faulty.open_stream("fail_opening")
        with pytest.raises(DriverMethodNotImplemented, match="method nope not found on driver Faulty"):
            client.faulty.open_stream("nope")
        with pytest.raises(DriverMethodNotImplemented, match="not exported for this kind of call"):
            client.faulty.open_stream("ping")


def test_streams_tell_why_they_broke(exporter: Exporter) -> None:
    broken = pytest.raises(BrokenResourceError, match=r"OSError: .* Input/output error: '/dev/ttyUSB0'")
    with exporter.client() as client, client.faulty.stream("fail_streaming") as stream, broken:
        stream.receive()


def test_a_stream_whose_driver_fails_to_close_gave_its_data(exporter: Exporter) -> None:
    with exporter.client() as client, client.faulty.stream("fail_closing") as stream:
        stream.send(b"data")
        assert stream.receive() == b"data"


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("object", "a value of type object cannot be sent"),
        ("function", "a value of type function cannot be sent"),
        ("error", "a value of type ValueError cannot be sent"),
        ("mute", "a value of type MuteError cannot be sent"),
        ("bytes", "bytes that are not UTF-8 text cannot be sent"),
        ("key", "bytes that are not UTF-8 text cannot be sent"),
        ("surrogate", "surrogates not allowed"),
        ("huge int", "cannot be sent"),
        ("loop", "RecursionError"),
        ("deep", "RecursionError"),
    ],
)
def test_a_value_that_cannot_be_sent_is_an_error(exporter: Exporter, kind: str, words: str) -> None:
    with exporter.client() as client, pytest.raises(DriverError, match=words):
        client.faulty.call("odd", kind)


def test_values_too_deep_or_too_large_are_errors(exporter: Exporter) -> None:
    deep: Any = 1
    for _ in range(60):
        deep = [deep]
    with exporter.client() as client:
        with pytest.raises(DriverError, match="nest some 30 levels deep at the most"):
            client.faulty.call("ping", deep)
        with pytest.raises(DriverError, match=r"big returned 9\.5 MiB: a call carries 4 MiB at the most"):
            client.faulty.call("big", 10_000_000)
        with pytest.raises(DriverError, match="a call carries 4 MiB at the most"):
            client.faulty.call("ping", "x" * (5 << 20))
        assert client.faulty.call("big", 4_000_000) == "x" * 4_000_000


CLOSING = """\
metadata: {{name: closing}}
export:
  first: {{type: faulty.Closing, config: {{log: {log}}}}}
  second: {{type: faulty.{kind}, config: {{log: {log}, error: {error}}}}}
  third: {{type: faulty.Closing, config: {{log: {log}}}}}
"""


def closings(log: Path) -> int:
    return log.read_text().count("closed") if log.exists() else 0


def test_a_driver_that_fails_to_close_keeps_none_from_closing(tmp_path: Path) -> None:
    log = tmp_path / "log"
    config = CLOSING.format(log=log, kind="Closing", error="stuck")
    with running(tmp_path, config) as exporter:
        with exporter.client() as client:
            assert client.third.call("ping") == "pong"
        assert exporter.process.end(signal.SIGTERM) == 143
    assert closings(log) == 3
    told = "ERROR:driver.Closing:driver 'second' failed to close: RuntimeError: stuck"
    assert any(line.endswith(told) for line in exporter.process.lines), exporter.process.lines
    assert not any("Traceback" in line for line in exporter.process.lines), exporter.process.lines


@pytest.mark.parametrize(
    ("kind", "words"),
    [("BadInit", "no such adapter: is it plugged in?"), ("BadReset", "the board does not react")],
)
def test_a_driver_that_cannot_start_ends_the_exporter_with_its_reason(
    tmp_path: Path, kind: str, words: str
) -> None:
    path, log = tmp_path / "exporter.yaml", tmp_path / "log"
    path.write_text(CLOSING.format(log=log, kind=kind, error="''"))
    with Process(["jmp", "shell", "--exporter-config", str(path), "--", "true"], tmp_path) as process:
        assert process.end() == 1
        assert len(process.errors) == 1, process.errors
    assert words in process.errors[0]
    # Those that were made are closed.
    assert closings(log) == (3 if kind == "BadReset" else 1)
    assert not list(tmp_path.glob("jumpstarter-*"))
