"""What `pip install robotframework-jumpstarter` brings into a fresh environment stays small."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MOST_DISTRIBUTIONS = 22
MOST_BYTES = 90_000_000
HEAVY = ("opendal", "websockets", "fabric", "paramiko", "zstandard", "pytest", "requests", "aiohttp", "rich")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment without pip that holds the wheel of this checkout and its base dependencies."""
    folder = tmp_path_factory.mktemp("base")
    venv = folder / "venv"
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT))
    run(sys.executable, "-m", "venv", "--without-pip", str(venv))
    (wheel,) = folder.glob("*.whl")
    run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(venv / "bin" / "python"),
        "install",
        "--quiet",
        str(wheel),
    )
    return venv


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def site_packages(venv: Path) -> Path:
    (folder,) = venv.glob("lib/python3*/site-packages")
    return folder


def test_base_install_has_few_distributions(installed: Path) -> None:
    names = sorted(path.name for path in site_packages(installed).glob("*.dist-info"))
    assert len(names) <= MOST_DISTRIBUTIONS, names
    assert [name for name in names if name.startswith(tuple(f"{heavy}-" for heavy in HEAVY))] == []


def test_base_install_is_small(installed: Path) -> None:
    size = sum(path.stat().st_size for path in site_packages(installed).rglob("*") if path.is_file())
    assert size <= MOST_BYTES


def test_base_install_has_both_commands(installed: Path) -> None:
    assert "Usage: jmp" in run(str(installed / "bin" / "jmp"), "--help")
    assert "Usage: j" in run(str(installed / "bin" / "j"), "--help")


@pytest.mark.parametrize(
    "module", ["JumpstarterLibrary", "jumpstarter.driver", "jumpstarter.client", "jumpstarter_protocol"]
)
def test_base_install_imports(module: str, installed: Path) -> None:
    run(str(installed / "bin" / "python"), "-W", "error", "-c", f"import {module}")


def test_every_driver_client_imports_without_extras(installed: Path) -> None:
    clients = sorted(path.parent.name for path in (ROOT / "drivers").glob("*/client.py"))
    imports = "; ".join(f"import {package}.client" for package in clients)
    run(str(installed / "bin" / "python"), "-W", "error", "-c", imports)
