from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from jumpstarter.common.utils import serve
from jumpstarter_driver_opendal.client import OpendalClient
from jumpstarter_driver_opendal.driver import Opendal


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The directory that `opendal` serves."""
    path = tmp_path / "root"
    path.mkdir()
    return path


@pytest.fixture
def opendal(root: Path) -> Iterator[OpendalClient]:
    with serve(Opendal(scheme="fs", kwargs={"root": str(root)})) as client:
        yield client
