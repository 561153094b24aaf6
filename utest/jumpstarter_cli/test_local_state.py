"""The state file of the local exporter, with real processes holding the lock."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from jumpstarter.common import local
from jumpstarter.common.exceptions import FileAccessError

HOLDER = """
import os
from jumpstarter.common import local
with local.announced("board", "/etc/board.yaml") as announcement:
    announcement.publish(local.LocalExporter(os.getpid(), "board", "/etc/board.yaml", "/run/board"))
    print("held", flush=True)
    input()
"""


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path / "jumpstarter"


@contextmanager
def holder() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_no_exporter_runs_at_first() -> None:
    assert local.running_exporter() is None


def test_running_exporter_is_found_by_other_processes() -> None:
    with holder() as process:
        assert local.running_exporter() == local.LocalExporter(
            process.pid, "board", "/etc/board.yaml", "/run/board"
        )


def test_killed_exporter_is_not_found() -> None:
    with holder() as process:
        process.kill()
        process.wait()
        local.wait_until_ended()
        assert local.running_exporter() is None


def test_second_exporter_is_refused() -> None:
    with holder(), pytest.raises(local.AlreadyRunning), local.announced("other", ""):
        pass


def test_exporter_that_starts_is_not_found_yet() -> None:
    with local.announced("board", ""):
        assert local.running_exporter() is None
        assert local.exporter_process() == local.LocalExporter(os.getpid(), "board", "", "")


def test_runtime_directory_is_private(runtime: Path) -> None:
    local.make_runtime_directory()
    assert runtime.stat().st_mode & 0o777 == 0o700


def test_directory_that_others_can_write_is_refused(runtime: Path) -> None:
    runtime.mkdir()
    runtime.chmod(0o777)
    with pytest.raises(FileAccessError, match="belongs to another user or others may write"):
        local.make_runtime_directory()


def test_without_xdg_the_directory_names_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert local.runtime_directory().name == f"jumpstarter-{os.getuid()}"
