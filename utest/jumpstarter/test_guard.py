"""A stock Jumpstarter in the same environment is told at once, with what to do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import _jumpstarter_guard
import pytest

ROOT = Path(_jumpstarter_guard.__file__).parent


def install(folder: Path, *names: str) -> Path:
    """A folder in which distributions with these metadata folders seem to be installed."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).mkdir()
    return folder


@pytest.mark.parametrize(
    ("installed", "foreign"),
    [
        ([], []),
        (["jumpstarter-0.9.0.dist-info"], ["jumpstarter"]),
        (
            ["jumpstarter_protocol-0.9.0.dist-info", "jumpstarter_cli-0.9.0.dist-info"],
            ["jumpstarter-cli", "jumpstarter-protocol"],
        ),
        (["Jumpstarter-0.8.0.dist-info"], ["jumpstarter"]),
        (["robotframework_jumpstarter-0.1.0.dist-info"], []),
        (["jumpstarter_driver_custom-1.0.dist-info", "jumpstarter-driver-custom-1.0.dist-info"], []),
        (["jumpstarter", "jumpstarter_protocol"], []),
        (["jumpstarter_tools-1.dist-info", "my_jumpstarter-1.dist-info"], []),
    ],
)
def test_only_stock_distributions_are_foreign(
    tmp_path: Path, installed: list[str], foreign: list[str]
) -> None:
    folder = install(tmp_path / "site-packages", *installed)
    assert _jumpstarter_guard.foreign_distributions([str(folder)]) == foreign


def test_all_folders_are_looked_at_and_missing_ones_passed_over(tmp_path: Path) -> None:
    one = install(tmp_path / "one", "jumpstarter-0.9.0.dist-info")
    two = install(tmp_path / "two", "jumpstarter_cli-0.9.0.dist-info")
    folders = [str(tmp_path / "missing"), str(one), str(two), str(one)]
    assert _jumpstarter_guard.foreign_distributions(folders) == ["jumpstarter", "jumpstarter-cli"]


def run(code: str, *path: Path) -> subprocess.CompletedProcess[str]:
    """Run *code* in a Python of its own that finds its modules on *path* first."""
    setup = f"import sys; sys.path[:0] = {[str(p) for p in path]!r}\n"
    return subprocess.run(
        [sys.executable, "-c", setup + code], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize(
    "module", ["jumpstarter", "jumpstarter.driver", "jumpstarter.common.utils", "JumpstarterLibrary"]
)
def test_importing_beside_a_stock_package_fails_with_how_to_mend_it(tmp_path: Path, module: str) -> None:
    folder = install(
        tmp_path / "site-packages", "jumpstarter-0.9.0.dist-info", "jumpstarter_cli-0.9.0.dist-info"
    )
    done = run(f"import {module}", ROOT, ROOT.parent, folder)
    assert done.returncode == 1
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith(
        "ImportError: robotframework-jumpstarter cannot share an environment with the stock package(s)"
    )
    assert "jumpstarter, jumpstarter-cli: " in line
    assert "'pip uninstall jumpstarter jumpstarter-cli'" in line
    assert "pip install --force-reinstall --no-deps robotframework-jumpstarter" in line


def test_it_fails_before_anything_else_is_imported(tmp_path: Path) -> None:
    folder = install(tmp_path / "site-packages", "jumpstarter-0.9.0.dist-info")
    code = """
try:
    import jumpstarter.driver
except ImportError:
    print(sorted(m for m in ("grpc", "anyio", "pydantic", "google.protobuf", "jumpstarter.driver") if m in sys.modules))
"""
    assert run(code, ROOT, folder).stdout.strip() == "[]"


def test_without_one_the_import_works(tmp_path: Path) -> None:
    folder = install(tmp_path / "site-packages", "jumpstarter_driver_custom-1.0.dist-info")
    done = run("import jumpstarter.driver; print('ok')", ROOT, folder)
    assert done.stdout == "ok\n", done.stderr
