"""leases-and-faults.md: every figure names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/explanation/leases-and-faults.md").read_text()


def figures() -> list[tuple[str, list[str]]]:
    """The rows of the table: (what it is about, names of tests)."""
    section = TEXT.partition("## How fast it recovers")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return [(row[0], re.findall(r"`([^`]+)`", row[-1])) for row in rows[1:]]


@pytest.mark.parametrize(("figure", "tests"), figures())
def test_each_figure_names_tests_that_exist(figure: str, tests: list[str]) -> None:
    assert tests, f"no test for: {figure}"
    for test in tests:
        path, _, name = test.partition("::")
        assert (ROOT / path).is_file(), test
        if name:
            assert re.search(rf"\bdef {re.escape(name)}\(", (ROOT / path).read_text()), test


@pytest.mark.parametrize("path", re.findall(r"TEST=(\S+)", TEXT))
def test_each_longer_run_is_one_of_tests_that_exist(path: str) -> None:
    assert (ROOT / path).exists()
