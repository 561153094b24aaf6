"""The constraints with which continuous integration tests the lowest versions that pyproject.toml allows."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "lowest-versions"


def constraints(script: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)


def test_every_dependency_of_the_base_and_of_the_extras_has_its_lowest_version() -> None:
    found = dict(line.split("==") for line in constraints(SCRIPT).stdout.splitlines())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = (needs for extra, needs in project["optional-dependencies"].items() if extra != "dev")
    for need in [*project["dependencies"], *(need for needs in extras for need in needs)]:
        name, _, version = need.partition(">=")
        if not name.startswith(project["name"]):
            assert found.pop(re.sub(r"\[.*", "", name)) == version
    assert found == {}


@pytest.mark.parametrize("need", ["opendal", "opendal==1.0", "opendal~=1.0", "opendal<2"])
def test_a_dependency_without_a_lower_bound_is_an_error(need: str, tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    script = Path(shutil.copy(SCRIPT, tmp_path / "scripts"))
    (tmp_path / "pyproject.toml").write_text(
        f'[project]\nname = "p"\ndependencies = ["{need}"]\noptional-dependencies = {{}}\n'
    )
    done = constraints(script)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"pyproject.toml: '{need}' has no lower bound: expected NAME>=VERSION\n"
