"""A lab of ours, and stock Jumpstarter peers from environments of their own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .lab import Installation, Lab, Process, RawClient, own_scripts, running_lab

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session", params=["0.9.0", "0.8.1"])
def stock(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    made = subprocess.run(
        [REPOSITORY / "scripts" / "peer-venv", request.param], capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
    return Installation(Path(made.stdout.strip()) / "bin", tmp_path_factory.mktemp("stock"))


@pytest.fixture(scope="session")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return Installation(own_scripts(), tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="session")
def lab(ours: Installation, stock: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One for each version of the peers."""
    with running_lab(ours, tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.fixture(scope="session")
def raw(lab: Lab) -> RawClient:
    return lab.raw(lab.client_config("raw"))


@pytest.fixture(scope="session")
def alice(lab: Lab) -> Path:
    """The configuration file of a client."""
    return lab.client_config("alice")


@pytest.fixture(scope="session")
def bob(lab: Lab) -> Path:
    """The configuration file of another client."""
    return lab.client_config("bob")


@pytest.fixture(scope="session")
def board(lab: Lab, stock: Installation, raw: RawClient) -> Iterator[Process]:
    """A stock exporter that runs and can be leased with ``board=stock``."""
    config = lab.exporter_config("stock", board="stock")
    with stock.start("jmp", "run", "--exporter-config", str(config)) as process:
        raw.wait_for_board("board=stock")
        yield process
