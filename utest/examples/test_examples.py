"""The Robot suites and Python examples, as their own text says to run them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
BIN = Path(sys.executable).parent


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "XDG_CONFIG_HOME": str(cwd / "config")}
    return subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=environ,
        cwd=cwd,
    )


def test_board_suite_runs_without_any_configuration(tmp_path: Path) -> None:
    suite = EXAMPLES / "robot" / "simulated_board.robot"
    done = run(sys.executable, "-m", "robot", "--variable", f"PYTHON:{sys.executable}", suite, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_board_suite_takes_an_exporter_file(tmp_path: Path) -> None:
    suite = EXAMPLES / "robot" / "simulated_board.robot"
    config = EXAMPLES / "exporters" / "simulated.yaml"
    command = [
        sys.executable,
        "-m",
        "robot",
        "--variable",
        f"CONFIG:{config}",
        "--test",
        "Boot Prompt*",
        suite,
    ]
    done = run(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("suite", ["device_boot_test.robot", "simulated_board.robot", "qemu_board.robot"])
def test_suite_is_well_formed(suite: str, tmp_path: Path) -> None:
    """Robot can read it; keywords of drivers are known only once a board is connected."""
    from robot.api import TestSuite

    built = TestSuite.from_file_system(EXAMPLES / "robot" / suite)
    assert built.test_count > 0


def test_python_example_runs_in_a_shell(tmp_path: Path) -> None:
    done = run(BIN / "jmp", "shell", "--", sys.executable, EXAMPLES / "python" / "example.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "boot complete" in done.stdout


def test_pytest_example_runs_in_a_shell(tmp_path: Path) -> None:
    options = ["-q", "-p", "no:cacheprovider", "--rootdir", tmp_path, "-c", "/dev/null"]
    example = EXAMPLES / "python" / "example_test.py"
    done = run(BIN / "jmp", "shell", "--", sys.executable, "-m", "pytest", *options, example, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout


@pytest.mark.parametrize(
    "config", sorted((EXAMPLES / "exporters").glob("*.yaml")), ids=lambda path: path.stem
)
def test_exporter_files_are_valid(config: Path, tmp_path: Path) -> None:
    from jumpstarter.config.exporter import ExporterConfigV1Alpha1

    assert ExporterConfigV1Alpha1.load_path(config).export
