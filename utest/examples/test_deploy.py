"""The files of deploy/: what they run exists, and what documentation shows of them is what they are."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
JMP = Path(sys.executable).with_name("jmp")
UNITS = sorted((DEPLOY / "systemd").iterdir())


def commands(path: Path) -> list[list[str]]:
    """The command lines of `jmp` in a unit, a quadlet or the Containerfile, without the path."""
    text = path.read_text()
    found = [shlex.split(line) for line in re.findall(r"^(?:ExecStart|Exec)=(.*)$", text, re.MULTILINE)]
    found += [re.findall(r'"([^"]*)"', line) for line in re.findall(r"^CMD (\[.*\])$", text, re.MULTILINE)]
    for words in found:
        assert Path(words[0]).name == "jmp"
    return [words[1:] for words in found]


@pytest.mark.parametrize(
    "path", sorted(p for p in DEPLOY.rglob("*") if p.is_file()), ids=lambda path: path.name
)
def test_commands_and_options_exist(path: Path) -> None:
    (words,) = commands(path)
    command = [
        word for word in words[:2] if not word.startswith("-") and word in ("controller", "router", "run")
    ]
    done = subprocess.run([JMP, *command, "--help"], capture_output=True, text=True, check=True, timeout=60)
    for option in (word for word in words if word.startswith("--")):
        assert f"  {option} " in done.stdout, option


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_reads_the_units(unit: Path, tmp_path: Path) -> None:
    copy = tmp_path / unit.name.replace("@.", "@bench.")
    # The checker wants to see the program.
    copy.write_text(unit.read_text().replace("/opt/jumpstarter/bin/jmp", str(JMP)))
    done = subprocess.run(
        ["systemd-analyze", "verify", copy], capture_output=True, text=True, check=False, timeout=60
    )
    complaints = [line for line in done.stderr.splitlines() if copy.name in line]
    assert complaints == []


def test_page_shows_the_quadlet_as_it_is() -> None:
    page = (ROOT / "docs" / "how-to" / "exporters-in-a-lab.md").read_text()
    assert (DEPLOY / "quadlet" / "my-exporter.container").read_text() in page


def test_image_installs_extras_that_exist() -> None:
    (extras,) = re.findall(r"'/source\[(.*)\]'", (DEPLOY / "Containerfile").read_text())
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(extras.split(",")) <= set(known)


def user_of(name: str) -> str:
    """The user that a unit or a quadlet names."""
    (path,) = DEPLOY.rglob(name)
    (user,) = re.findall(r"^User=(.*)$", path.read_text(), re.MULTILINE)
    return str(user)


def test_controller_and_exporters_are_different_users() -> None:
    assert user_of("jumpstarter-controller.service") != user_of("jumpstarter-exporter@.service")


@pytest.mark.parametrize("path", sorted((DEPLOY / "quadlet").iterdir()), ids=lambda path: path.name)
def test_containers_do_not_run_as_root(path: Path) -> None:
    assert user_of(path.name) not in ("0", "root")
    text = path.read_text()
    assert "--privileged" not in text
    for line in ("DropCapability=all", "NoNewPrivileges=true", "ReadOnly=true"):
        assert line in text
    assert re.search(r"^USER [1-9]", (DEPLOY / "Containerfile").read_text(), re.MULTILINE)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_units_give_their_service_few_rights(unit: Path, tmp_path: Path) -> None:
    copy = tmp_path / unit.name.replace("@.", "@bench.")
    copy.write_text(unit.read_text())
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", copy],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    found = re.search(r"Overall exposure level for .*: ([0-9.]+)", done.stdout)
    assert found is not None, done.stderr
    assert float(found[1]) <= 4.0, done.stdout
