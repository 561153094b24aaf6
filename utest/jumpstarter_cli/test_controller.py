"""`jmp controller run` from its first start to its end."""

from __future__ import annotations

import signal
import socket
import subprocess
from pathlib import Path

import pytest

from utest.jumpstarter_cli.conftest import Cli

SETTINGS = 'kind: ControllerConfig\nlogin: {listen: "127.0.0.1:0"}\n'


def start(cli: Cli, *more: str) -> tuple[subprocess.Popen[str], dict[str, str]]:
    """A controller, and what it printed: values by what they are called."""
    config = cli.home / "controller.yaml"
    config.write_text(SETTINGS)
    addresses = ("--listen", "127.0.0.1:0", "--router-listen", "127.0.0.1:0")
    process = cli.popen("jmp", "controller", "run", "--config", str(config), *addresses, *more)
    assert process.stdout is not None
    told = {}
    for line in process.stdout:
        if line.startswith("  "):
            name, _, value = line.strip().partition("  ")
            told[name] = value.strip()
        if line.startswith("Ctrl-C"):
            return process, told
    raise AssertionError(process.communicate()[1])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_runs_without_being_told_anything_until_a_signal(cli: Cli, number: signal.Signals) -> None:
    process, told = start(cli, "--data-dir", str(cli.home / "lab"))
    with process:
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert out == ""
    assert "Traceback" not in err
    assert (cli.home / "lab" / "admin.token").stat().st_mode & 0o777 == 0o600
    assert told["administrator token"].endswith("lab/admin.token")
    assert told["certificate"].endswith("lab/ca/ca.pem")
    assert told["controller"].startswith("127.0.0.1:")


def test_endpoint_is_what_clients_are_told(cli: Cli) -> None:
    process, told = start(cli, "--data-dir", str(cli.home / "lab"), "--endpoint", "lab.example.com:8082")
    with process:
        process.terminate()
        process.communicate(timeout=60)
    assert told["controller"] == "lab.example.com:8082"
    assert told["router"].startswith("lab.example.com:")


def test_one_line_says_why_it_does_not_start(cli: Cli, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("kind: ControllerConfig\nlisten: here\n")
    result = cli.jmp("controller", "run", "--config", str(wrong))
    assert (result.code, "expected HOST:PORT" in result.error) == (1, True)
    result = cli.jmp("controller", "run", "--config", str(tmp_path / "none.yaml"))
    assert (result.code, "does not exist" in result.error) == (1, True)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        options = ("--listen", address, "--router-listen", "127.0.0.1:0", "--data-dir", str(tmp_path / "lab"))
        result = cli.jmp("controller", "run", *options)
    assert result.code == 1
    assert f"cannot listen on {address}" in result.err.splitlines()[-1]


@pytest.mark.skipif(not Path("/proc/self/limits").exists(), reason="there is no /proc")
def test_may_have_as_many_files_open_as_the_system_allows(cli: Cli) -> None:
    config = cli.home / "controller.yaml"
    config.write_text(SETTINGS)
    command = f"ulimit -Sn 300; ulimit -Hn 900; exec jmp controller run --config {config} --data-dir {cli.home / 'lab'}"
    with cli.popen("sh", "-c", f"{command} --listen 127.0.0.1:0 --router-listen 127.0.0.1:0") as process:
        assert process.stdout is not None
        assert next(line for line in process.stdout if line.startswith("Ctrl-C"))
        limits = Path(f"/proc/{process.pid}/limits").read_text()
        process.terminate()
        process.communicate(timeout=60)
    assert next(line for line in limits.splitlines() if "open files" in line).split()[3:5] == ["900", "900"]
