"""SECURITY.md: every promise names tests, and there are such tests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "SECURITY.md").read_text()


def promises() -> list[tuple[str, list[str]]]:
    """The rows of all tables with tests: (promise, names of tests)."""
    section = TEXT.partition("## What is promised")[2].partition("## What is not promised")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return [(row[0], re.findall(r"`([^`]+)`", row[-1])) for row in rows if row != ["promise", "tests"]]


@pytest.mark.parametrize(("promise", "tests"), promises())
def test_each_promise_names_tests_that_exist(promise: str, tests: list[str]) -> None:
    assert tests, f"no test for: {promise}"
    for test in tests:
        path, _, name = test.partition("::")
        assert (ROOT / path).is_file(), test
        if name:
            assert re.search(rf"\bdef {re.escape(name)}\(", (ROOT / path).read_text()), test


def test_the_sections_that_a_reader_looks_for_are_there() -> None:
    found = re.findall(r"^## (.+)$", TEXT, re.MULTILINE)
    assert found == [
        "Report a fault",
        "Who trusts whom",
        "What is promised",
        "What is not promised",
        "Open defaults",
        "After a theft",
    ]
