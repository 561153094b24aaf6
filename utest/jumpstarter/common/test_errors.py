"""The error table: what a driver raises, what travels, what the client raises, what a command prints and exits with."""

from __future__ import annotations

import builtins
import inspect
from typing import Any

import click
import grpc
import pytest
from jumpstarter.common import errors, exceptions
from jumpstarter.common.exceptions import (
    ArgumentError,
    ConfigurationError,
    DriverError,
    DriverInvalidArgument,
    DriverMethodNotImplemented,
    ExporterNotReady,
    JumpstarterException,
    MissingDriverError,
)

Code = grpc.StatusCode


class Failed(grpc.RpcError):
    """A failed call as gRPC gives it."""

    def __init__(self, code: grpc.StatusCode, details: str = "details", kind: str | None = None) -> None:
        super().__init__()
        self._code, self._details, self._kind = code, details, kind

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details

    def trailing_metadata(self) -> Any:
        return ((errors.ERROR_TYPE_KEY, self._kind),) if self._kind else None


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.MethodNotFoundError("m"), Code.NOT_FOUND),
        (NotImplementedError("m"), Code.UNIMPLEMENTED),
        (DriverMethodNotImplemented("m"), Code.UNIMPLEMENTED),
        (ValueError("m"), Code.INVALID_ARGUMENT),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "m"), Code.INVALID_ARGUMENT),
        (DriverInvalidArgument("m"), Code.INVALID_ARGUMENT),
        (TimeoutError("m"), Code.DEADLINE_EXCEEDED),
        (ExporterNotReady("m"), Code.FAILED_PRECONDITION),
        (KeyError("m"), Code.UNKNOWN),
        (OSError("m"), Code.UNKNOWN),
        (RuntimeError("m"), Code.UNKNOWN),
    ],
    ids=lambda v: type(v).__name__ if isinstance(v, Exception) else v.name,
)
def test_what_a_driver_raises_has_its_status(error: Exception, code: grpc.StatusCode) -> None:
    assert errors.status_of(error)[0] is code
    assert "m" in errors.status_of(error)[1]


def test_an_error_without_text_is_named() -> None:
    assert errors.status_of(RuntimeError()) == (Code.UNKNOWN, "RuntimeError")


@pytest.mark.parametrize(
    ("code", "kind", "expected"),
    [
        (Code.NOT_FOUND, None, DriverMethodNotImplemented),
        (Code.UNIMPLEMENTED, None, DriverMethodNotImplemented),
        (Code.UNIMPLEMENTED, "NotImplementedError", DriverMethodNotImplemented),
        (Code.INVALID_ARGUMENT, "ValueError", DriverInvalidArgument),
        (Code.FAILED_PRECONDITION, None, ExporterNotReady),
        (Code.DEADLINE_EXCEEDED, "TimeoutError", DriverError),
        (Code.UNKNOWN, "KeyError", DriverError),
        (Code.UNKNOWN, None, DriverError),
        (Code.RESOURCE_EXHAUSTED, None, DriverError),
        (Code.UNAVAILABLE, "ConnectionError", DriverError),
        (Code.UNAVAILABLE, None, exceptions.ConnectionError),
        (Code.UNAUTHENTICATED, None, exceptions.ConnectionError),
        (Code.PERMISSION_DENIED, None, exceptions.ConnectionError),
    ],
)
def test_a_status_has_its_exception(
    code: grpc.StatusCode, kind: str | None, expected: type[JumpstarterException]
) -> None:
    error = errors.driver_error(Failed(code, "the reason", kind), "power_on")
    assert type(error) is expected
    if isinstance(error, DriverError):
        assert str(error).startswith("'power_on' failed on the exporter: ")
        assert error.remote_type == kind
        assert (kind or "") in str(error)
    assert "the reason" in str(error)
    assert "\n" not in str(error)


def test_documented_exceptions_are_also_the_builtin_ones() -> None:
    assert issubclass(DriverMethodNotImplemented, NotImplementedError)
    assert issubclass(DriverInvalidArgument, ValueError)
    assert issubclass(exceptions.FileNotFoundError, builtins.FileNotFoundError)


def test_a_message_that_is_too_large_says_what_to_use_instead() -> None:
    error = errors.driver_error(Failed(Code.RESOURCE_EXHAUSTED, "Sent message larger than max"), "read")
    assert "4 MiB at the most, use a stream or a resource" in str(error)


@pytest.mark.parametrize(
    ("code", "details", "text"),
    [
        (
            Code.UNAVAILABLE,
            "x; Failed to connect to remote host: Connection refused",
            "away: Connection refused",
        ),
        (Code.UNAVAILABLE, "", "no reason given"),
        (Code.UNAUTHENTICATED, "invalid", "refused the connection: invalid; give the right passphrase"),
        (Code.DEADLINE_EXCEEDED, "Deadline Exceeded", "did not answer in time"),
        (Code.INTERNAL, "odd", "answered INTERNAL: odd"),
    ],
)
def test_a_connection_that_fails_says_why(code: grpc.StatusCode, details: str, text: str) -> None:
    assert text in str(errors.connection_error(Failed(code, details)))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ArgumentError("x"), 2),
        (click.UsageError("x"), 2),
        (ConfigurationError("x"), 1),
        (DriverError("x"), 1),
        (KeyboardInterrupt(), 130),
        (SystemExit(7), 7),
        (SystemExit(None), 0),
        (SystemExit("text"), 1),
        (ExceptionGroup("many", [ExceptionGroup("more", [ArgumentError("x")])]), 2),
    ],
    ids=repr,
)
def test_every_error_has_its_exit_code(error: BaseException, code: int) -> None:
    assert errors.exit_code(error) == code


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ConfigurationError("the key is wrong"), "the key is wrong"),
        (click.UsageError("no such option"), "no such option"),
        (OSError(2, "No such file or directory", "a.img"), "a.img: No such file or directory"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (KeyError("x"), "KeyError: 'x'"),
        (RuntimeError(), "RuntimeError"),
        (KeyboardInterrupt(), "interrupted"),
        (ExceptionGroup("many", [DriverError("one")]), "one"),
        (Failed(Code.DEADLINE_EXCEEDED), "the exporter did not answer in time"),
    ],
    ids=repr,
)
def test_every_error_has_its_line(error: BaseException, line: str) -> None:
    assert errors.one_line(error) == line


def test_the_cause_is_in_the_text_and_the_message_is_not_changed() -> None:
    try:
        raise ConfigurationError("bad key") from ValueError("not a number")
    except ConfigurationError as error:
        assert str(error) == "bad key (Caused by: not a number)"
        assert error.message == "bad key"


def test_a_cause_of_grpc_is_kept_and_not_in_the_text() -> None:
    cause = grpc.aio.AioRpcError(Code.INTERNAL, grpc.aio.Metadata(), grpc.aio.Metadata(), "details")
    error = ConfigurationError("the controller answered INTERNAL: details")
    error.__cause__ = cause
    assert str(error) == "the controller answered INTERNAL: details"


def test_the_configuration_in_use_can_be_kept_with_an_error() -> None:
    error = ConfigurationError("x")
    assert error.get_config() is None
    error.set_config("config")
    assert error.get_config() == "config"


def test_print_writes_one_line_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    DriverError("the board is gone").print()
    DriverError("x").print("in other words")
    captured = capsys.readouterr()
    assert captured.err == "Error: the board is gone\nError: in other words\n"
    assert captured.out == ""


def test_a_missing_driver_keeps_its_class_path() -> None:
    error = MissingDriverError("not installed", "a.b.C")
    assert error.class_path == "a.b.C"
    assert str(error) == "not installed"


def test_the_tree_in_the_module_text_names_every_class() -> None:
    classes = [
        name
        for name, cls in inspect.getmembers(exceptions, inspect.isclass)
        if cls.__module__ == exceptions.__name__
    ]
    assert [name for name in classes if name not in (exceptions.__doc__ or "")] == []
    assert all(issubclass(getattr(exceptions, name), JumpstarterException) for name in classes)
