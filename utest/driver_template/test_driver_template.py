"""The driver template as a user has it: built as a wheel, installed beside the product, used in every way."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

TEMPLATE = Path(__file__).resolve().parents[2] / "examples" / "driver-template"
BIN = Path(sys.executable).parent

EXPORTER = """
apiVersion: jumpstarter.dev/v1alpha1
kind: ExporterConfig
metadata:
  namespace: default
  name: template
export:
  power:
    type: jumpstarter_driver_template.driver.ExamplePower
  custom:
    type: jumpstarter_driver_template.driver.ExampleCustom
    config:
      greeting: Good morning
      start: 7
"""

SUITE = """
*** Settings ***
Library    JumpstarterLibrary
Suite Setup    Connect To Exporter    config=${CONFIG}

*** Test Cases ***
Standard Driver
    Power On
    ${readings}=    Power Read
    Should Be Equal As Numbers    ${readings[0].voltage}    5

Custom Driver
    ${greeting}=    Custom Greet    Ada
    Should Be Equal    ${greeting}    Good morning, Ada!
    ${numbers}=    Custom Count    3    count=3
    Should Be Equal    ${{ [int(number) for number in $numbers] }}    ${{ [7, 8, 9] }}
    ${echo}=    Custom Echo    over and back
    Should Be Equal    ${echo}    over and back
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, TEMPLATE]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = out.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", target, wheel]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return target


@pytest.fixture
def run(installed: Path, tmp_path: Path) -> Run:
    (tmp_path / "template.yaml").write_text(EXPORTER)
    environ = {
        **os.environ,
        "PYTHONPATH": str(installed),
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
    }

    def run(*command: str | Path, shell: bool = False) -> subprocess.CompletedProcess[str]:
        if shell:
            command = ("jmp", "shell", "--exporter-config", "template.yaml", "--", *command)
        words = [str(word) for word in command]
        return subprocess.run(
            words, capture_output=True, text=True, check=False, timeout=120, env=environ, cwd=tmp_path
        )

    return run


def test_wheel_holds_the_package_and_its_entry_points(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (entry_points,) = [name for name in names if name.endswith("entry_points.txt")]
        assert "[jumpstarter.drivers]" in archive.read(entry_points).decode()
    assert {f"jumpstarter_driver_template/{name}.py" for name in ("driver", "client", "driver_test")} <= set(
        names
    )


def test_drivers_appear_in_the_list(run: Run) -> None:
    done = run("jmp", "driver", "list")
    assert done.returncode == 0, done.stderr
    assert "jumpstarter_driver_template.driver:ExamplePower" in done.stdout.replace(
        ".ExamplePower", ":ExamplePower"
    )
    assert "ExampleCustom" in done.stdout


def test_own_tests_of_the_template_pass(run: Run, installed: Path) -> None:
    test = installed / "jumpstarter_driver_template" / "driver_test.py"
    options = ["-q", "-p", "no:cacheprovider", "-c", os.devnull, "-W", "error"]
    done = run(
        sys.executable, "-m", "pytest", *options, "--pyargs", "jumpstarter_driver_template.driver_test"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert test.exists() and "7 passed" in done.stdout


@pytest.mark.parametrize(
    ("command", "output"),
    [
        ("j power on", "ok\n"),
        ("j custom greet Ada", "Good morning, Ada!\n"),
        ("j custom add 1 2.5", "3.5\n"),
        ("j custom count 2", "7\n8\n"),
        ("j custom echo over", "over\n"),
    ],
)
def test_commands(run: Run, command: str, output: str) -> None:
    done = run(*command.split(), shell=True)
    assert (done.returncode, done.stdout) == (0, output), done.stderr


def test_help_names_the_drivers_commands(run: Run) -> None:
    done = run("j", "custom", "--help", shell=True)
    assert done.returncode == 0, done.stderr
    assert "Greet NAME" in done.stdout and "Example of a custom driver" in done.stdout


def test_robot_keywords(run: Run, tmp_path: Path) -> None:
    (tmp_path / "suite.robot").write_text(SUITE)
    done = run(sys.executable, "-m", "robot", "--variable", "CONFIG:template.yaml", "suite.robot")
    assert done.returncode == 0, done.stdout + done.stderr


def test_bad_configuration_is_one_clear_error(run: Run, tmp_path: Path) -> None:
    (tmp_path / "template.yaml").write_text(EXPORTER.replace("start: 7", "start: -7"))
    done = run("true", shell=True)
    assert done.returncode != 0
    assert "start is -7, expected 0 or more" in done.stderr
    assert "Traceback" not in done.stderr
