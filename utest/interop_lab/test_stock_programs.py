"""A program for the Python API of stock Jumpstarter 0.9.0 does with our names what it does with stock's."""

from __future__ import annotations

from pathlib import Path

import pytest

from .lab import Installation

PROGRAM = Path(__file__).with_name("program.py")


@pytest.mark.usefixtures("board")
@pytest.mark.parametrize("stock", ["0.9.0"], indirect=True)  # whose names are promised
def test_program_prints_the_same_with_both(stock: Installation, ours: Installation, alice: Path) -> None:
    said = []
    for installation in (stock, ours):
        done = installation.run("python", str(PROGRAM), str(alice))
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    assert said[0] == said[1]
    assert said[0].startswith("default stock stock True\n")
