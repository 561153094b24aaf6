"""Tables of pages whose last column names tests."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def rows(section: str) -> list[tuple[str, list[str]]]:
    """All rows of the tables of *section* but their headings: (first column, names of tests)."""
    cells = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return [(row[0], re.findall(r"`([^`]+)`", row[-1])) for row in cells if row[-1] not in ("test", "tests")]


def check(promise: str, tests: list[str]) -> None:
    """Fail unless there are *tests*, and each of them exists."""
    assert tests, f"no test for: {promise}"
    for test in tests:
        path, _, name = test.partition("::")
        assert (ROOT / path).is_file(), test
        if name:
            assert re.search(rf"\bdef {re.escape(name)}\(", (ROOT / path).read_text()), test
