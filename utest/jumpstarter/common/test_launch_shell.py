"""`launch_shell`: a command that is connected to an exporter, for programs."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jumpstarter.common.utils import launch_shell, lease_ending_handler
from jumpstarter.connection import local_session
from jumpstarter_driver_power.driver import MockPower
from jumpstarter_testing.eventually import eventually

TOLD = ("JUMPSTARTER", "JMP", "_JMP")


def environment(folder: Path, *args: Any, **options: Any) -> dict[str, str]:
    """The variables of a command that tell of its exporter."""
    file = folder / "environment"
    dump = f"import json, os; open({str(file)!r}, 'w').write(json.dumps(dict(os.environ)))"
    assert launch_shell(*args, command=(sys.executable, "-c", dump), **options) == 0
    return {name: value for name, value in json.loads(file.read_text()).items() if name.startswith(TOLD)}


@pytest.fixture(autouse=True)
def outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("JMP_EXPORTER", "JMP_LEASE", "JMP_GRPC_INSECURE", "JMP_GRPC_PASSPHRASE"):
        monkeypatch.delenv(name, raising=False)


def lease() -> SimpleNamespace:
    return SimpleNamespace(name="l-1", exporter_name="board", exporter_labels={"b": "1", "a": "2"})


def test_command_uses_the_exporter_and_gives_its_code() -> None:
    with local_session(MockPower()) as path:
        assert launch_shell(path, "local", [], True, False, command=("sh", "-c", "j on && exit 7")) == 7
        assert launch_shell(path, "local", ["nothing.*"], False, False, command=("j", "on")) == 1
    assert launch_shell(path, "local", [], True, False, command=("no-such-command",)) == 127


def test_environment_tells_what_the_arguments_say(tmp_path: Path) -> None:
    local = environment(tmp_path, "/run/s", "local", ["a.*", "b"], False, False)
    assert Path(local.pop("JMP_END_REASON_FILE")).name == "end-reason"
    assert local == {
        "JUMPSTARTER_HOST": "/run/s",
        "JMP_DRIVERS_ALLOW": "a.*,b",
        "_JMP_SUPPRESS_DRIVER_WARNINGS": "1",
    }
    options = {"lease": lease(), "insecure": True, "passphrase": "p"}
    remote = environment(tmp_path, Path("/run/s"), "remote", ["a"], True, False, **options)
    assert Path(remote.pop("JMP_END_REASON_FILE")).name == "end-reason"
    assert remote == {
        "JUMPSTARTER_HOST": "/run/s",
        "JMP_DRIVERS_ALLOW": "UNSAFE",
        "JMP_EXPORTER": "board",
        "JMP_EXPORTER_LABELS": "a=2,b=1",
        "JMP_GRPC_INSECURE": "1",
        "JMP_GRPC_PASSPHRASE": "p",
        "JMP_LEASE": "l-1",
        "_JMP_SHELL_LEASE": "l-1",
        "_JMP_SUPPRESS_DRIVER_WARNINGS": "1",
    }


def test_shell_shows_the_context_in_its_prompt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shell = tmp_path / "myshell"
    shell.write_text(f'#!/bin/sh\necho "$PS1" > {tmp_path}/prompt\nexit 3\n')
    shell.chmod(0o755)
    monkeypatch.setenv("SHELL", str(shell))
    assert launch_shell("/run/s", "remote", [], True, False, lease=lease()) == 3
    assert (tmp_path / "prompt").read_text() == "⚡remote ➤ \n"


def in_thread(run: Callable[[], int]) -> tuple[threading.Thread, list[int]]:
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(run()))
    thread.start()
    return thread, codes


def test_shell_may_be_launched_on_any_thread_and_is_ended_with_the_lease(tmp_path: Path) -> None:
    script = f"trap 'exit 9' TERM; touch {tmp_path}/started; sleep 600 & wait"
    held = lease()
    thread, codes = in_thread(
        lambda: launch_shell("/run/s", "remote", [], True, False, command=("sh", "-c", script), lease=held)
    )
    eventually((tmp_path / "started").exists, timeout=60)
    held.lease_ending_callback(held, timedelta(minutes=5))
    assert thread.is_alive()
    held.lease_ending_callback(held, timedelta(0))
    thread.join(60)
    assert codes == [9]


def test_ending_lease_is_told_and_its_end_hangs_up(caplog: pytest.LogCaptureFixture) -> None:
    with subprocess.Popen(["sleep", "600"]) as process:
        lease_ending_handler(process, lease(), timedelta(minutes=5))
        assert "lease l-1 ends in 5m" in caplog.text
        assert process.poll() is None
        lease_ending_handler(process, lease(), timedelta(0))
        assert process.wait(60) == -signal.SIGHUP
