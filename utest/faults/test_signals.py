"""Ctrl-C and SIGTERM in every phase of a command: exit code 130 or 143, drivers closed, nothing left."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest
from jumpstarter_testing.eventually import eventually

from .conftest import LIMIT, Process

CONFIG = """\
metadata: {{name: closing}}
export:
  first: {{type: faulty.Closing, config: {{log: {log}}}}}
  second: {{type: faulty.{kind}, config: {{log: {log}}}}}
{hooks}
"""
HOOKS = """\
hooks:
  beforeLease: {{script: "{before}"}}
  afterLease: {{script: "{after}"}}
"""
LISTEN = ("--tls-grpc-listener", "127.0.0.1:0", "--tls-grpc-insecure")

both = pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def write(folder: Path, kind: str = "Closing", before: str = "", after: str = "") -> str:
    hooks = HOOKS.format(before=before, after=after or "true") if before else ""
    path = folder / "exporter.yaml"
    path.write_text(CONFIG.format(log=folder / "log", kind=kind, hooks=hooks))
    return str(path)


def closed(log: Path) -> int:
    return log.read_text().count("closed") if log.exists() else 0


def check_clean(process: Process, folder: Path) -> None:
    assert not any("Traceback" in line for line in process.lines), process.lines
    assert not list(folder.glob("jumpstarter-*"))


@both
@pytest.mark.parametrize("command", ["run", "shell"])
def test_while_a_driver_is_made(tmp_path: Path, log: Path, command: str, signum: int) -> None:
    rest = LISTEN if command == "run" else ("--", "true")
    path = write(tmp_path, "SlowInit")
    with Process(["jmp", command, "--exporter-config", path, *rest], tmp_path) as process:
        process.wait_for("^preparing$")
        assert process.end(signum) == 128 + signum
    assert closed(log) == 1
    check_clean(process, tmp_path)


@both
def test_while_an_exporter_serves(tmp_path: Path, log: Path, signum: int) -> None:
    with Process(["jmp", "run", "--exporter-config", write(tmp_path), *LISTEN], tmp_path) as process:
        process.wait_for("is ready")
        assert process.end(signum) == 128 + signum
    assert closed(log) == 2
    check_clean(process, tmp_path)


@both
def test_while_a_hook_runs_before_the_lease(tmp_path: Path, log: Path, signum: int) -> None:
    path = write(tmp_path, before="echo in hook; exec sleep 600")
    with Process(["jmp", "run", "--exporter-config", path, *LISTEN], tmp_path) as process:
        process.wait_for("in hook")
        assert process.end(signum) == 128 + signum
    assert closed(log) == 2
    check_clean(process, tmp_path)
    eventually(lambda: not sleepers(tmp_path), timeout=LIMIT)


@both
def test_while_a_hook_runs_after_the_lease(tmp_path: Path, log: Path, signum: int) -> None:
    path = write(tmp_path, before="true", after="echo in hook; exec sleep 600")
    with Process(["jmp", "run", "--exporter-config", path, *LISTEN], tmp_path) as process:
        process.wait_for("is ready")
        process.popen.send_signal(signum)
        process.wait_for("in hook")
        # Whoever does not want to wait for the hook says it again.
        assert process.end(signum) == 128 + signum
    assert closed(log) == 2
    check_clean(process, tmp_path)
    eventually(lambda: not sleepers(tmp_path), timeout=LIMIT)


def sleepers(folder: Path) -> list[str]:
    """Processes that were started with *folder* as home and still run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"HOME={folder}\0".encode() in path.read_bytes():
                found.append((path.parent / "cmdline").read_text())
        except OSError:
            continue  # it has ended, or is not ours
    return found


@both
def test_while_the_command_of_a_shell_runs(tmp_path: Path, log: Path, signum: int) -> None:
    command = ["sh", "-c", "echo running >&2; exec sleep 600"]
    shell = ["jmp", "shell", "--exporter-config", write(tmp_path), "--", *command]
    with Process(shell, tmp_path) as process:
        process.wait_for("^running$")
        assert process.end(signum) == 128 + signum
    assert closed(log) == 2
    check_clean(process, tmp_path)
    eventually(lambda: not sleepers(tmp_path), timeout=LIMIT)


@both
def test_a_second_signal_ends_what_never_closes(tmp_path: Path, log: Path, signum: int) -> None:
    path = write(tmp_path, "SlowClose")
    with Process(["jmp", "run", "--exporter-config", path, *LISTEN], tmp_path) as process:
        process.wait_for("is ready")
        process.popen.send_signal(signum)
        process.wait_for("^closing$")
        assert process.end(signum) == 128 + signum
    assert closed(log) == 2
    check_clean(process, tmp_path)


@both
def test_while_a_client_waits_for_an_exporter_in_its_hook(tmp_path: Path, signum: int) -> None:
    path = write(tmp_path, before="echo in hook; exec sleep 600")
    with Process(["jmp", "run", "--exporter-config", path, *LISTEN], tmp_path) as exporter:
        address = exporter.wait_for(r"listens on (\S+)")[1]
        exporter.wait_for("in hook")
        shell = ["jmp", "shell", "--tls-grpc", address, "--tls-grpc-insecure", "--", "true"]
        with Process(shell, tmp_path) as client:
            client.wait_for("in hook")
            assert client.end(signum) == 128 + signum
            assert not any("Traceback" in line for line in client.lines), client.lines
        assert exporter.end(signal.SIGTERM) == 143


def test_a_local_exporter_that_was_killed_is_no_obstacle(tmp_path: Path, log: Path) -> None:
    env = {"XDG_RUNTIME_DIR": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    path = write(tmp_path)

    def jmp(*command: str) -> Process:
        return Process(["jmp", "local", *command], tmp_path, **env)

    with jmp("start", f"--config={path}") as first:
        assert first.end() == 0, first.lines
    pids = background(path)
    assert len(pids) == 1
    os.kill(pids[0], signal.SIGKILL)
    eventually(lambda: not Path(f"/proc/{pids[0]}").exists() or zombie(pids[0]), timeout=LIMIT)
    with jmp("start", f"--config={path}") as second:
        assert second.end() == 0, second.lines
    with jmp("stop") as stop:
        assert stop.end() == 0, stop.lines
    assert closed(log) == 2
    assert not list(tmp_path.glob("jumpstarter-socket-*"))


def background(path: str) -> list[int]:
    """The exporters in the background that have the configuration *path*."""
    found = []
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended meanwhile
            text = command.read_bytes()
            if b"jumpstarter_cli.background" in text and path.encode() in text:
                found.append(int(command.parent.name))
    return found


def zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
