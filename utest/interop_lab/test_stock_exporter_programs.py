"""A program that runs exporters with stock Jumpstarter's Python API does with our names what it does with stock's."""

from __future__ import annotations

from pathlib import Path

import pytest

from .lab import Installation, Lab

PROGRAM = Path(__file__).with_name("exporter_program.py")


@pytest.mark.parametrize("stock", ["0.9.0"], indirect=True)  # whose names are promised
def test_program_prints_the_same_with_both(
    stock: Installation, ours: Installation, lab: Lab, alice: Path
) -> None:
    config = lab.exporter_config("program", board="program")
    said = []
    for installation in (stock, ours):
        done = installation.run("python", str(PROGRAM), str(config), str(alice))
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    assert said[0].splitlines() == said[1].splitlines()
    assert "leased ['power']" in said[0]
