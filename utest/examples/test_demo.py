"""`make demo`: which board it takes, and a whole run on the simulated board."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "examples" / "demo.py"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("demo", DEMO)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["demo"] = module
    spec.loader.exec_module(module)
    return module


demo: Any = load()


@pytest.mark.parametrize(
    ("emulator", "uboot", "linux", "board"),
    [
        (False, False, False, demo.SIMULATED),
        (True, False, True, demo.SIMULATED),
        (False, True, True, demo.SIMULATED),
        (True, True, False, demo.QEMU),
        (True, True, True, demo.QEMU_LINUX),
    ],
)
def test_best_board(emulator: bool, uboot: bool, linux: bool, board: object) -> None:
    assert demo.best_board(emulator, uboot, linux) is board


@pytest.mark.parametrize(
    ("environ", "directory"),
    [
        ({"JMP_CACHE": "/c"}, "/c/boards/debian-arm64"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/jumpstarter/boards/debian-arm64"),
        ({}, "~/.cache/jumpstarter/boards/debian-arm64"),
        ({"JMP_CACHE": ""}, "~/.cache/jumpstarter/boards/debian-arm64"),
    ],
)
def test_linux_directory(environ: dict[str, str], directory: str) -> None:
    assert demo.linux_directory(environ) == Path(directory).expanduser()


@pytest.mark.parametrize("board", [demo.SIMULATED, demo.QEMU, demo.QEMU_LINUX])
def test_files_of_every_board_are_there(board: Any) -> None:
    examples = DEMO.parent
    config = yaml.safe_load((examples / "exporters" / board.exporter).read_text())
    assert {"power", "serial"} <= set(config["export"])
    assert (examples / "robot" / board.suite).is_file()
    assert (examples / "robot" / demo.SECOND_SUITE).is_file()


@pytest.mark.parametrize("board", [demo.SIMULATED, demo.QEMU])
def test_board_that_is_not_the_best_says_how_to_get_a_better_one(board: Any) -> None:
    words = board.better.split()
    (script,) = [word for word in words if word.startswith("scripts/")]
    assert os.access(ROOT / script, os.X_OK)


def test_lab_of_the_user_is_left_alone(tmp_path: Path) -> None:
    mine = {
        "JMP_LEASE": "mine",
        "JMP_CLIENT": "me",
        "JUMPSTARTER_HOST": "there",
        "JMP_CACHE": "/c",
        "HOME": "/h",
    }
    environ = demo.lab_environment(tmp_path, mine)
    assert {"JMP_CACHE", "HOME"} <= set(environ)
    assert not {"JMP_LEASE", "JMP_CLIENT", "JUMPSTARTER_HOST"} & set(environ)
    assert environ["JMP_CLIENT_CONFIG"].startswith(str(tmp_path))


def run_demo(results: Path, *robot: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(DEMO), "--board", "simulated", "--results", str(results)]
    return subprocess.run(
        [*command, "--", *robot], capture_output=True, text=True, check=False, timeout=200, cwd=results.parent
    )


def test_demo_passes_on_the_simulated_board(tmp_path: Path) -> None:
    done = run_demo(tmp_path / "results")
    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.splitlines()[-3:]
    assert last[0].startswith("Board: the simulated board")
    assert "install-qemu" in last[1]
    assert last[2] == f"Log: {tmp_path / 'results' / 'log.html'}"
    output = ElementTree.parse(tmp_path / "results" / "output.xml")
    total = output.find("statistics/total/stat")
    assert total is not None
    assert total.attrib["fail"] == "0" and int(total.attrib["pass"]) >= 10
    leased = [line.split() for line in done.stdout.splitlines() if " demo " in line]
    assert [(words[2], *words[4:6]) for words in leased] == [
        ("widget", "Ended", "(Released)"),
        ("simulated", "Ended", "(Released)"),
    ], leased


def test_demo_gives_the_exit_code_of_robot(tmp_path: Path) -> None:
    done = run_demo(
        tmp_path / "results", "--variable", "PYTHON:false", "--test", "Flashed*", "--test", "Erased*"
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert str(tmp_path / "results" / "lab") in done.stdout
    assert {path.name for path in (tmp_path / "results" / "lab").iterdir()} == {
        "controller.log",
        "simulated.log",
        "widget.log",
    }


def children_of(pid: int) -> set[int]:
    """All processes below *pid*."""
    found: set[int] = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        if int(fields[1]) == pid:
            child = int(stat.parent.name)
            found |= {child} | children_of(child)
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes through /proc")
def test_terminated_demo_leaves_no_process_behind(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-u",
        str(DEMO),
        "--board",
        "simulated",
        "--results",
        str(tmp_path / "results"),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "Simulated Board" in line:  # robot runs the second suite
                break
        below = children_of(process.pid)
        assert below
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
        assert process.wait(timeout=60) != 0
    assert not [pid for pid in below if Path(f"/proc/{pid}").exists()]
