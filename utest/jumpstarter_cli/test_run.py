"""`jmp run` in direct mode, and `jmp shell --tls-grpc` against it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from jumpstarter_cli.commands.run import parse_listener
from jumpstarter_testing.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Cli, Running

READY = r"exporter '.*' is ready"
LISTENS = r"listens on (\S+):(\d+)"
OPEN = ("--tls-grpc-listener", "127.0.0.1:0", "--tls-grpc-insecure")

HOOKS = """\
hooks:
  beforeLease:
    script: |
      echo "before $LEASE_NAME"
      j power on
    onFailure: {failure}
  afterLease:
    script: echo after; j power off
"""


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for localhost and its key."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        (
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost "
            f"-addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout {key} -out {cert}"
        ).split(),
        check=True,
        capture_output=True,
    )
    return cert, key


def run_exporter(start: Callable[..., Running], path: Path, *options: str) -> tuple[Running, str]:
    running = start("jmp", "run", "--exporter-config", str(path), *options)
    host, port = running.wait_for(LISTENS).groups()
    running.wait_for(READY)
    return running, f"{host}:{port}"


def test_client_drives_an_exporter_over_tcp(cli: Cli, board: Path, start: Callable[..., Running]) -> None:
    running, address = run_exporter(start, board, *OPEN)
    script = 'j power on; echo "$JUMPSTARTER_HOST $JMP_EXPORTER $JMP_LEASE $JMP_GRPC_INSECURE"; exit 5'
    result = cli.jmp("shell", "--tls-grpc", address, "--tls-grpc-insecure", "--", "sh", "-c", script)
    assert (result.code, result.err) == (5, "")
    assert result.out == f"ok\n{address} direct direct 1\n"
    assert running.end() == 128 + signal.SIGTERM


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal_stops_the_exporter(
    cli: Cli, board: Path, start: Callable[..., Running], signum: signal.Signals
) -> None:
    running, address = run_exporter(start, board, *OPEN)
    assert running.end(signum) == 128 + signum
    assert not any("Traceback" in line or "Error" in line for line in running.seen)
    result = cli.jmp("shell", "--tls-grpc", address, "--tls-grpc-insecure", "--", "true")
    assert result.code == 1
    assert address in result.error


def test_it_is_one_process(cli: Cli, board: Path, start: Callable[..., Running]) -> None:
    running, _ = run_exporter(start, board, *OPEN)
    children = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children").read_text()
    assert children == ""


def test_passphrase_is_wanted(cli: Cli, board: Path, start: Callable[..., Running]) -> None:
    _, address = run_exporter(start, board, *OPEN, "--passphrase", "open sesame")
    target = ("shell", "--tls-grpc", address, "--tls-grpc-insecure")
    assert cli.ok("jmp", *target, "--passphrase", "open sesame", "--", "j", "power", "on") == "ok\n"
    for wrong in ((), ("--passphrase", "x")):
        result = cli.jmp(*target, *wrong, "--", "j", "power", "on")
        assert result.code == 1
        assert "invalid or missing passphrase" in result.error


@pytest.mark.parametrize(
    ("options", "environment"),
    [
        (("--passphrase", ""), {}),
        (("--passphrase", "  "), {}),
        ((), {"JMP_GRPC_PASSPHRASE": ""}),
        ((), {"JMP_GRPC_PASSPHRASE": " "}),
    ],
)
def test_empty_passphrase_is_wrong_usage(
    cli: Cli, board: Path, options: tuple[str, ...], environment: dict[str, str]
) -> None:
    result = cli.run("jmp", "run", "--exporter-config", str(board), *OPEN, *options, env=environment)
    assert result.code == 2
    assert "passphrase" in result.err and "is empty" in result.err


def test_open_exporter_says_so(start: Callable[..., Running], board: Path) -> None:
    running, address = run_exporter(start, board, *OPEN)
    assert any(
        f"no passphrase: whoever reaches {address} can use the drivers" in line for line in running.seen
    )


def test_lines_of_its_log_begin_with_their_time(start: Callable[..., Running], board: Path) -> None:
    running, _ = run_exporter(start, board, *OPEN)
    running.end()
    lines = [line for line in running.seen if re.search("(INFO|WARNING):", line)]
    assert lines
    for line in lines:
        assert re.match(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d", line), line


def test_calls_without_the_passphrase_are_logged_now_and_then(
    cli: Cli, board: Path, start: Callable[..., Running]
) -> None:
    running, address = run_exporter(start, board, *OPEN, "--passphrase", "open sesame")
    with grpc.insecure_channel(address) as channel:
        report: Any = channel.unary_unary("/jumpstarter.v1.ExporterService/GetReport")
        for _ in range(50):
            with pytest.raises(grpc.RpcError):
                report(b"", timeout=60)
    running.end()
    lines = [line for line in running.seen if "a call of 127.0.0.1 was refused: invalid or missing" in line]
    assert 1 <= len(lines) <= 3


def test_tls(cli: Cli, board: Path, start: Callable[..., Running], certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    options = ("--tls-grpc-listener", "127.0.0.1:0", "--tls-cert", str(cert), "--tls-key", str(key))
    _, address = run_exporter(start, board, *options)
    trusting = {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(cert)}
    command = ("jmp", "shell", "--tls-grpc", address, "--", "j", "power", "on")
    assert cli.ok(*command, env=trusting) == "ok\n"
    result = cli.run(*command)
    assert result.code == 1
    assert address in result.error


def test_port_in_use_is_an_error(cli: Cli, board: Path, start: Callable[..., Running]) -> None:
    _, address = run_exporter(start, board, *OPEN)
    result = cli.jmp(
        "-q", "run", "--exporter-config", str(board), "--tls-grpc-listener", address, "--tls-grpc-insecure"
    )
    assert result.code == 1
    assert address in result.error and "in use" in result.error


def test_hooks_run_once_and_their_output_is_logged(
    cli: Cli, board: Path, start: Callable[..., Running]
) -> None:
    board.write_text(board.read_text() + HOOKS.format(failure="exit"))
    running, _ = run_exporter(start, board, *OPEN, "--passphrase", "not for hooks")
    assert running.end() == 143
    text = "".join(running.seen)
    said = re.findall(r"INFO:(?:jumpstarter\.exporter\.hooks|driver\.MockPower):(.*)", text)
    assert said == ["before standalone", "power on", "ok", "after", "power off", "ok"]


@pytest.mark.parametrize("failure", ["endLease", "exit"])
def test_failing_before_hook_stops_the_exporter(cli: Cli, board: Path, failure: str) -> None:
    hooks = HOOKS.format(failure=failure).replace("j power on", "exit 3")
    board.write_text(board.read_text() + hooks)
    result = cli.jmp("run", "--exporter-config", str(board), *OPEN)
    assert result.code == 1
    assert "beforeLease hook failed with exit code 3" in result.err.splitlines()[-1]
    assert "hooks:after" not in result.err


def test_failing_hook_with_warn_is_a_warning(cli: Cli, board: Path, start: Callable[..., Running]) -> None:
    board.write_text(board.read_text() + HOOKS.format(failure="warn").replace("j power on", "exit 3"))
    running, address = run_exporter(start, board, *OPEN)
    assert any("WARNING" in line and "exit code 3" in line for line in running.seen)
    client = cli.jmp("shell", "--tls-grpc", address, "--tls-grpc-insecure", "--", "j", "power", "on")
    assert (client.code, client.out) == (0, "ok\n")


def test_client_waits_for_the_hook_and_shows_its_output(
    cli: Cli, board: Path, start: Callable[..., Running], tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    board.write_text(board.read_text() + f"hooks:\n  beforeLease:\n    script: echo preparing; cat {gate}\n")
    running = start("jmp", "run", "--exporter-config", str(board), *OPEN)
    host, port = running.wait_for(LISTENS).groups()
    client = start(
        "jmp", "shell", "--tls-grpc", f"{host}:{port}", "--tls-grpc-insecure", "--", "sh", "-c", "echo in >&2"
    )
    client.wait_for("INFO:exporter:beforeLease:preparing")
    gate.write_text("go\n")
    client.wait_for("^in$")
    assert client.process.wait(60) == 0


def test_logs_of_a_remote_exporter_on_request(cli: Cli, board: Path, start: Callable[..., Running]) -> None:
    _, address = run_exporter(start, board, *OPEN)
    target = ("jmp", "shell", "--tls-grpc", address, "--tls-grpc-insecure")
    client = start(*target, "--exporter-logs", "--", "sh", "-c", "j power on; exec sleep 60")
    client.wait_for("INFO:exporter:driver:.*power on")
    client.end()
    assert cli.run(*target, "--", "sh", "-c", "j power on").err == ""


def test_run_without_listener_says_what_the_configuration_lacks(cli: Cli, board: Path) -> None:
    result = cli.jmp("run", "--exporter", "example-local")
    assert result.code == 1
    assert "endpoint and token missing" in result.error
    assert "--tls-grpc-listener" in result.error


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "Specify one of --exporter and --exporter-config"),
        (("--exporter", "example-local", "--tls-grpc-listener", "70000"), "'70000' is not [HOST:]PORT"),
        (("--exporter", "example-local", "--tls-grpc-listener", "1"), "--tls-cert and --tls-key"),
        (
            (
                "--exporter",
                "example-local",
                "--tls-grpc-listener",
                "1",
                "--tls-cert",
                "/nope",
                "--tls-key",
                "x",
            ),
            "No such file",
        ),
    ],
    ids=str,
)
def test_wrong_usage(cli: Cli, board: Path, options: tuple[str, ...], words: str) -> None:
    result = cli.jmp("run", *options)
    assert result.code == 2
    assert words in result.error


@pytest.mark.parametrize("address", ["127.0.0.1", "host:0", "host:99999", ":1", "host:x"])
def test_address_that_is_none_is_wrong_usage(cli: Cli, address: str) -> None:
    result = cli.jmp("shell", "--tls-grpc", address, "--tls-grpc-insecure", "--", "true")
    assert result.code == 2
    assert address in result.error


def test_nothing_listening_is_one_line(cli: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    result = cli.jmp("shell", "--tls-grpc", f"127.0.0.1:{port}", "--tls-grpc-insecure", "--", "true")
    assert result.code == 1
    assert f"127.0.0.1:{port}" in result.error


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1234", ("0.0.0.0", 1234)),
        ("127.0.0.1:1", ("127.0.0.1", 1)),
        ("[::1]:65535", ("::1", 65535)),
        ("lab:0", ("lab", 0)),
    ],
)
def test_listener_forms(text: str, expected: tuple[str, int]) -> None:
    assert parse_listener(text) == expected


#: Starts three processes that want to live on: one of them in a session of its own, and one whose parent has ended.
PROCESSES = """\
hooks:
  beforeLease:
    script: |
      sleep 600 > /dev/null 2>&1 & echo "pid $!."
      setsid sh -c 'echo "pid $$."; exec sleep 600' &
      (setsid sh -c 'echo "pid $$."; exec sleep 600' &)
      {then}
"""


def started(running: Running) -> list[int]:
    """The processes that a hook has started."""
    return [int(running.wait_for(r"pid (\d+)\.").group(1)) for _ in range(3)]


def have_ended(pids: list[int]) -> None:
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), timeout=60)


@pytest.mark.skipif(sys.platform != "linux", reason="processes that moved away are found on Linux only")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_hook_and_all_that_it_started_end_with_the_exporter(
    board: Path, start: Callable[..., Running], number: signal.Signals
) -> None:
    board.write_text(board.read_text() + PROCESSES.format(then="sleep 600"))
    running = start("jmp", "run", "--exporter-config", str(board), *OPEN)
    pids = started(running)
    running.end(number)
    have_ended(pids)


@pytest.mark.skipif(sys.platform != "linux", reason="processes that moved away are found on Linux only")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_what_a_hook_left_in_the_background_lives_as_long_as_the_exporter(
    board: Path, start: Callable[..., Running], number: signal.Signals
) -> None:
    board.write_text(board.read_text() + PROCESSES.format(then="sleep 1"))
    running, _ = run_exporter(start, board, *OPEN)
    pids = [int(pid) for pid in re.findall(r"pid (\d+)\.", "".join(running.seen))]
    assert len(pids) == 3
    assert all(Path(f"/proc/{pid}").exists() for pid in pids)
    running.end(number)
    have_ended(pids)
