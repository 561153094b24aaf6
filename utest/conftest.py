"""Boards that tests of several drivers use. Tests that need them carry the mark ``board``."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest
from jumpstarter.common.loop import EventLoop

ROOT = Path(__file__).resolve().parents[1]
UBOOT = Path("/usr/lib/u-boot/qemu_arm64/u-boot.bin")

# A shell that runs the tests in the background, and nohup, make them and all their children deaf to these.
signal.signal(signal.SIGINT, signal.default_int_handler)
for deaf in (signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM):
    signal.signal(deaf, signal.SIG_DFL)

# Loops of tests come and go: what a call of gRPC has to tell after the end of its own loop fails no test that comes later.
asyncio.new_event_loop = asyncio.events.new_event_loop = EventLoop


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep each failure in the file that TEST_FAILURES names: scripts/utest runs those tests again."""
    report = yield
    file = os.environ.get("TEST_FAILURES")
    if file and report.failed:
        name = "::".join([str(item.path), *item.nodeid.split("::")[1:]])
        sections = [f"{title}\n{text}" for title, text in report.sections]
        with Path(file).open("a") as failures:
            failures.write(json.dumps([name, "\n".join([report.longreprtext, *sections])]) + "\n")
    return report


@pytest.fixture(scope="session")
def qemu() -> None:
    """QEMU for aarch64 and x86_64 with U-Boot; without them tests are skipped."""
    programs = ("qemu-system-aarch64", "qemu-system-x86_64", "qemu-img")
    missing = [program for program in programs if shutil.which(program) is None]
    if missing or not UBOOT.is_file():
        pytest.skip(f"no {' '.join(missing) or UBOOT}: scripts/board/install-qemu installs it")


@pytest.fixture(scope="session")
def linux(qemu: None) -> Path:
    """The folder with Image and initrd.gz of the aarch64 board."""
    script = ROOT / "scripts" / "board" / "get-debian-arm64"
    done = subprocess.run([str(script)], capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())
