"""scripts/stock-drivers, on packages that the test makes."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
import sysconfig
import venv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "stock-drivers"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.setenv("JMP_CACHE", str(tmp_path / "cache"))
    loader = importlib.machinery.SourceFileLoader("stock_drivers", str(SCRIPT))
    spec = importlib.util.spec_from_loader("stock_drivers", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "stock_drivers", module)
    loader.exec_module(module)
    return module


def write_package(folder: Path) -> None:
    package = folder / "jumpstarter_driver_made"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "client_test.py").write_text("def test_client():\n    pass\n")
    (package / "driver_test.py").write_text("def test_driver():\n    raise RuntimeError('no registry')\n")


def layer_of(folder: Path) -> Any:
    """An environment that sees this one, and the packages in *folder*."""
    where = folder / "layer"
    venv.create(where, symlinks=True)
    python = where / "bin" / "python"
    paths = (sysconfig.get_path("purelib"), str(folder))
    site = next(where.glob("lib/python*/site-packages"))
    (site / "core.pth").write_text("".join(f"import site; site.addsitedir({path!r})\n" for path in paths))
    return SimpleNamespace(folder=where, python=python)


@pytest.mark.parametrize("sdist", [False, True], ids=["installed", "sources"])
def test_files_that_are_to_be_left_out_are_left_out(script: Any, tmp_path: Path, sdist: bool) -> None:
    package = script.Package("made", 1, False, (), sdist, ("driver_test.py",), {})
    write_package(script.cache() / "sdists" / "jumpstarter_driver_made-0.9.0" if sdist else tmp_path)
    results = tmp_path / "results"
    results.mkdir()
    found, output = script.run_tests(layer_of(tmp_path), package, results)
    assert list(found.values()) == ["passed"], output
    assert script.judge(package, found) == []
