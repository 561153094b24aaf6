"""`jmp local start` and `jmp local stop`."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Cli


@pytest.fixture(autouse=True)
def stopped(cli: Cli) -> Iterator[None]:
    yield
    cli.jmp("local", "stop")


def state(cli: Cli) -> dict[str, object]:
    loaded: dict[str, object] = json.loads((cli.home / "run" / "jumpstarter" / "local.json").read_text())
    return loaded


def test_every_client_finds_the_exporter_until_it_is_stopped(cli: Cli, board: Path) -> None:
    started = cli.ok("jmp", "local", "start", f"--config={board}")
    assert started.startswith("Local exporter 'example-local' started (pid ")
    assert cli.ok("j", "power", "on") == "ok\n"
    assert cli.ok("jmp", "-q", "shell", "--", "j", "power", "off") == "ok\n"
    python = "from jumpstarter.common.utils import env\nwith env() as c: c.power.on(); print('env')"
    assert cli.ok("python", "-c", python) == "env\n"
    assert cli.ok("jmp", "local", "stop") == "Local exporter 'example-local' stopped.\n"
    assert cli.j("power", "on").code == 1


def test_without_config_it_is_a_simulated_board(cli: Cli) -> None:
    assert "a simulated board" in cli.ok("jmp", "local", "start")
    assert cli.ok("j", "power", "on") == "ok\n"


def test_stop_without_start_says_so_and_succeeds(cli: Cli) -> None:
    assert cli.ok("jmp", "local", "stop") == "No local exporter is running.\n"


def test_second_start_says_that_one_runs(cli: Cli, board: Path) -> None:
    cli.ok("jmp", "local", "start", "--exporter", "example-local")
    result = cli.jmp("local", "start", "-c", str(board))
    assert result.code == 1
    assert result.error == (
        f"Error: local exporter 'example-local' is already running (pid {state(cli)['pid']}); "
        "use it, or end it with: jmp local stop"
    )
    assert cli.ok("j", "power", "on") == "ok\n"


def test_start_after_a_kill_works(cli: Cli, board: Path) -> None:
    cli.ok("jmp", "local", "start", "-c", str(board))
    pid = state(cli)["pid"]
    assert isinstance(pid, int)
    descriptor = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    import select

    assert select.select([descriptor], [], [], 60)[0]
    os.close(descriptor)
    assert cli.ok("jmp", "local", "stop") == "No local exporter is running.\n"
    cli.ok("jmp", "local", "start", "-c", str(board))
    assert cli.ok("j", "power", "on") == "ok\n"


def test_config_that_is_wrong_is_reported_by_start(cli: Cli) -> None:
    path = cli.exporter("bad", "metadata: {name: bad}\nexprt: {}\n")
    result = cli.jmp("local", "start", "-c", str(path))
    assert result.code == 1
    assert "bad.yaml:2: exprt: unknown key" in result.error
    assert cli.ok("jmp", "local", "stop") == "No local exporter is running.\n"


def test_what_the_exporter_logs_is_in_its_file(cli: Cli, board: Path) -> None:
    cli.ok("jmp", "local", "start", "-c", str(board))
    cli.ok("j", "power", "on")
    assert "INFO:driver.MockPower:power on" in (cli.home / "run" / "jumpstarter" / "local.log").read_text()
