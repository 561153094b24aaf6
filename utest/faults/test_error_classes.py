"""Every class of `jumpstarter.common.exceptions` as users of commands meet it: one line and an exit code."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from jumpstarter.common import exceptions
from jumpstarter.common.errors import exit_code, one_line
from jumpstarter_testing.eventually import eventually

from .conftest import CONFIG, LIMIT, Exporter, Process

Case = tuple[tuple[str, ...], dict[str, str], int, str]

SHELL = ("jmp", "shell", "--exporter-config", "exporter.yaml", "--")
CASES: dict[str, Case] = {
    "ArgumentError": (("jmp", "shell", "--tls-grpc", "nonsense", "--", "true"), {}, 2, "'nonsense' is not HOST:PORT"),
    "ConfigurationError": (
        ("jmp", "shell", "--exporter-config", "wrong.yaml", "--", "true"), {}, 1, "wrong.yaml:2: exprt"
    ),
    "EnvironmentVariableNotSetError": (("j", "power", "on"), {}, 1, "JUMPSTARTER_HOST is not set"),
    "ConnectionError": (
        ("j", "power", "on"),
        {"JUMPSTARTER_HOST": "127.0.0.1:1", "JMP_GRPC_INSECURE": "1"},
        1,
        "127.0.0.1:1: the exporter cannot be reached or went away",
    ),
    "FileNotFoundError": (
        ("jmp", "shell", "--exporter-config", "missing.yaml", "--", "true"), {}, 1, "missing.yaml"
    ),
    "FileAccessError": (("jmp", "shell", "--exporter-config", ".", "--", "true"), {}, 1, "directory"),
    "MissingDriverError": (
        (*SHELL, "env", "JMP_DRIVERS_ALLOW=other.*", "j", "power", "on"), {}, 1, "is not allowed"
    ),
    "DriverError": (
        (*SHELL, "j", "faulty", "call", "fail", "OSError", "plain"), {}, 1, "OSError: the relay is stuck"
    ),
    "DriverMethodNotImplemented": (
        (*SHELL, "j", "faulty", "call", "nope"), {}, 1, "method nope not found on driver Faulty"
    ),
    "DriverInvalidArgument": (
        (*SHELL, "j", "faulty", "call", "fail", "ValueError", "plain"), {}, 1, "ValueError: the relay is stuck"
    ),
    "ExporterNotReady": (
        (*SHELL, "j", "faulty", "call", "fail", "ExporterNotReady", "plain"), {}, 1, "the relay is stuck"
    ),
}  # fmt: skip
#: Only commands that need a controller raise them.
OF_CONTROLLERS = {"ExporterOfflineError", "ExporterUnreachableError", "LeaseError", "ReauthenticationFailed"}


@contextmanager
def in_folder(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@pytest.mark.parametrize("name", CASES)
def test_as_a_command_tells_it(tmp_path: Path, name: str) -> None:
    command, env, code, words = CASES[name]
    (tmp_path / "exporter.yaml").write_text(CONFIG)
    (tmp_path / "wrong.yaml").write_text("metadata: {name: x}\nexprt: {}\n")
    with in_folder(tmp_path), Process(list(command), tmp_path, **env) as process:
        assert process.end() == code, process.lines
    assert len(process.errors) == 1, process.lines
    assert process.errors[0].startswith("Error: ")
    assert words in process.errors[0]


@pytest.mark.parametrize("name", sorted(OF_CONTROLLERS))
def test_those_of_controllers_are_one_line_too(name: str) -> None:
    error = getattr(exceptions, name)("it went wrong")
    assert one_line(error) == "it went wrong"
    assert exit_code(error) == 1


def test_no_class_is_left_out() -> None:
    classes = {
        name
        for name, value in vars(exceptions).items()
        if isinstance(value, type) and issubclass(value, exceptions.JumpstarterException)
    }
    assert classes == set(CASES) | OF_CONTROLLERS | {"JumpstarterException"}


def test_a_reader_of_output_that_leaves_frees_the_device(exporter: Exporter) -> None:
    with exporter.command("sh", "-c", "j faulty items ticks 2>&1 >/dev/null | head -1 >&2") as process:
        process.wait_for("^0$")
        process.end()
    eventually(lambda: exporter.held() == [], timeout=LIMIT)
