"""The floors of .importlinter hold, and every package of the distribution stands on one of them."""

from __future__ import annotations

import subprocess
import sysconfig
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE_ROOTS = (".", "jumpstarter_core", "drivers", "exporter", "controller", "cli")
NO_PART_OF_THE_PRODUCT = {"utest", "atest", "benchmarks", "examples", "docs", "deploy", "scripts"}


def packages() -> set[str]:
    """The import packages that pyproject.toml ships."""
    found = {path.parent.name for root in SOURCE_ROOTS for path in (ROOT / root).glob("*/__init__.py")}
    return found - NO_PART_OF_THE_PRODUCT


def test_import_contracts_hold() -> None:
    linter = Path(sysconfig.get_path("scripts")) / "lint-imports"
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_package_is_under_contract() -> None:
    contracts = ConfigParser()
    contracts.read(ROOT / ".importlinter")
    named = set(contracts["importlinter"]["root_packages"].split())
    assert named == packages()


def test_every_driver_package_is_kept_off_the_upper_floors() -> None:
    contracts = ConfigParser()
    contracts.read(ROOT / ".importlinter")
    bound = set(contracts["importlinter:contract:drivers"]["source_modules"].split())
    assert bound == {name for name in packages() if name.startswith("jumpstarter_driver_")}
