from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from jumpstarter.client.core import DriverError, DriverInvalidArgument
from jumpstarter.common.utils import serve
from jumpstarter_driver_shell.client import ShellClient
from jumpstarter_driver_shell.driver import Shell
from jumpstarter_testing.eventually import eventually

METHODS: dict[str, Any] = {
    "ls": "ls",
    "method2": "echo 'Hello World 2'",
    "method3": 'echo "Hello World $1"\necho "Hello World $2"\n',
    "env_var": 'echo "$1,$2,$ENV_VAR${X:+}"',
    "own_name": 'echo "$0"',
    "fail": {"command": "echo bad >&2; exit 3", "description": "Exit with 3"},
    "killed": "kill -9 $$",
    "slow": {"command": 'echo begun; sleep 600 & echo $! >"$1"; sleep 600', "timeout": 5},
    "endless": 'echo $$ >"$1"; sleep 60 & sleep 60',
    "flood": "head -c 5000000 /dev/zero | tr '\\0' x",
    "daemon": "sleep 60 & echo $!",
    "umlaut": "printf 'a\\303'; sleep 0.1; printf '\\244\\377'",
    "args": {"command": 'printf "<%s>" "$@"', "env": ["X"]},
    "stdin": "cat; echo end",
}


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[ShellClient]:
    (tmp_path / "a_file").touch()
    with serve(
        Shell(methods=METHODS, cwd=str(tmp_path), log_level="INFO", shell=["/bin/bash", "-c"])
    ) as client:
        yield client


def run(client: ShellClient, *args: str) -> Result:
    return CliRunner().invoke(client.cli(), args, catch_exceptions=False)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie that nobody has waited for yet has ended.
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


def test_the_documented_methods(shell: ShellClient) -> None:
    assert shell.ls() == ("a_file\n", "", 0)
    assert shell.method2() == ("Hello World 2\n", "", 0)
    assert shell.method3("foo", "bar") == ("Hello World foo\nHello World bar\n", "", 0)
    assert shell.env_var("arg1", "arg2", ENV_VAR="value") == ("arg1,arg2,value\n", "", 0)


def test_the_return_code_is_an_int_and_stderr_is_apart(shell: ShellClient) -> None:
    result = shell.fail()
    assert result == ("", "bad\n", 3)
    assert type(result[2]) is int


def test_the_command_sees_its_name_and_no_input(shell: ShellClient) -> None:
    assert shell.own_name() == ("own_name\n", "", 0)
    assert shell.stdin() == ("end\n", "", 0)


def test_arguments_arrive_whole_and_are_not_evaluated(shell: ShellClient) -> None:
    assert shell.args("a b", "$HOME", "`id`", "", 7)[0] == "<a b><$HOME><`id`><><7>"


def test_a_character_cut_in_two_is_joined_and_a_wrong_byte_marked(shell: ShellClient) -> None:
    assert shell.umlaut()[0] == "aä\ufffd"


def test_large_output_arrives_whole(shell: ShellClient) -> None:
    stdout, _, code = shell.flood()
    assert (len(stdout), code) == (5_000_000, 0)


def test_a_signal_is_a_negative_return_code(shell: ShellClient) -> None:
    assert shell.killed()[2] == -9


def test_methods_are_listed_and_others_are_no_attributes(shell: ShellClient) -> None:
    assert shell.call("get_methods") == list(METHODS)
    assert set(METHODS) <= set(dir(shell))
    assert "Exit with 3" in shell.fail.__doc__
    with pytest.raises(AttributeError, match="no method 'nosuch'"):
        _ = shell.nosuch


def test_an_unknown_method_and_a_forbidden_variable_are_refused(shell: ShellClient) -> None:
    with pytest.raises(DriverInvalidArgument, match="no shell method 'nosuch'; there are: ls, method2"):
        list(shell.streamingcall("call_method", "nosuch", {}))
    with pytest.raises(DriverInvalidArgument, match="LD_PRELOAD may not be set by a client"):
        shell.ls(LD_PRELOAD="evil.so")


def test_a_timeout_is_an_error_and_kills_the_process_group(shell: ShellClient, tmp_path: Path) -> None:
    with pytest.raises(DriverError, match=r"'slow' was killed after 5 s.*begun"):
        shell.slow(str(tmp_path / "pid"))
    pid = int((tmp_path / "pid").read_text())
    eventually(lambda: not is_alive(pid), timeout=60)
    assert shell.method2()[2] == 0


def test_leaving_the_stream_kills_the_process_group(shell: ShellClient, tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    pidfile.touch()
    chunks = shell.streamingcall("call_method", "slow", {}, str(pidfile))
    assert next(chunks) == ["begun\n", "", None]
    eventually(lambda: pidfile.read_text() != "", timeout=60)
    chunks.close()
    pid = int(pidfile.read_text())
    eventually(lambda: not is_alive(pid), timeout=60)


def test_a_program_left_behind_survives_a_command_that_ended(shell: ShellClient) -> None:
    pid = int(shell.daemon()[0])
    try:
        assert is_alive(pid)
    finally:
        os.kill(pid, 9)


def test_calls_run_at_the_same_time(shell: ShellClient, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with serve(Shell(methods={"wait": f"cat {fifo}", "go": f"echo done >{fifo}"})) as client:
        got: list[Any] = []
        waiting = threading.Thread(target=lambda: got.append(client.wait()))
        waiting.start()
        assert client.go() == ("", "", 0)
        waiting.join(60)
    assert got == [("done\n", "", 0)]


def test_a_missing_directory_is_named() -> None:
    with (
        serve(Shell(methods={"ls": "ls"}, cwd="/nosuch/dir")) as client,
        pytest.raises(DriverError, match="cwd is '/nosuch/dir', which is not a directory"),
    ):
        client.ls()


def test_command_line_streams_and_exits_with_the_code(shell: ShellClient) -> None:
    result = run(shell, "fail")
    assert (result.exit_code, result.stdout, result.stderr) == (3, "", "bad\n")
    assert (run(shell, "method2").exit_code, run(shell, "method2").stdout) == (0, "Hello World 2\n")
    assert run(shell, "killed").exit_code == 128 + 9


def test_command_line_arguments_and_variables(shell: ShellClient) -> None:
    assert run(shell, "env_var", "-e", "ENV_VAR=a=b", "--env", "X=1", "one", "two").stdout == "one,two,a=b\n"
    assert run(shell, "args", "-e", "X=1", "first", "-e", "--long", "-n").stdout == "<first><-e><--long><-n>"
    assert run(shell, "args", "--flag", "x").stdout == "<--flag><x>"


@pytest.mark.parametrize("value", ["X", "=1"])
def test_command_line_refuses_a_malformed_variable(shell: ShellClient, value: str) -> None:
    result = run(shell, "ls", "-e", value)
    assert result.exit_code == 2
    assert "is not of the form NAME=VALUE" in result.stderr


def test_command_line_help_shows_descriptions(shell: ShellClient) -> None:
    text = run(shell, "--help").stdout
    assert "Exit with 3" in text
    assert list(METHODS) == [line.split()[0] for line in text.split("Commands:")[1].strip().splitlines()]
    assert run(shell, "nosuch").exit_code == 2
