"""One lab of ours for each module, with clients and exporters of ours and of stock Jumpstarter."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from utest.interop_lab.lab import Installation, own_scripts, running_lab
from utest.scenarios.peers import OURS, STOCK, Peers

REPOSITORY = Path(__file__).resolve().parents[2]


class Installations(Mapping[str, Installation]):
    """Ours, and one for each stock version that is asked for."""

    def __init__(self, factory: pytest.TempPathFactory) -> None:
        self._factory = factory
        self._made: dict[str, Installation] = {}

    def __getitem__(self, owner: str) -> Installation:
        if owner not in self._made:
            self._made[owner] = Installation(self._bin(owner), self._factory.mktemp(owner))
        return self._made[owner]

    def _bin(self, owner: str) -> Path:
        if owner == OURS:
            return own_scripts()
        made = subprocess.run(
            [REPOSITORY / "scripts" / "peer-venv", owner], capture_output=True, text=True, check=False
        )
        assert made.returncode == 0, made.stderr
        return Path(made.stdout.strip()) / "bin"

    def __iter__(self) -> Iterator[str]:
        return iter((OURS, *STOCK))

    def __len__(self) -> int:
        return 1 + len(STOCK)


@pytest.fixture(scope="session")
def installations(tmp_path_factory: pytest.TempPathFactory) -> Installations:
    return Installations(tmp_path_factory)


@pytest.fixture(scope="module")
def peers(installations: Installations, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peers]:
    with running_lab(installations[OURS], tmp_path_factory.mktemp("lab")) as lab:
        yield Peers(lab, installations, {})
