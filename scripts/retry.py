"""Runs failed tests again, each by itself, and keeps a record of those that pass then: such a test is unstable.

TEST_RETRIES says how often (0: never, as everywhere but in continuous integration). The record is results/unstable.txt, or
the file that TEST_UNSTABLE names.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
RECORD: Final = Path(os.environ.get("TEST_UNSTABLE") or ROOT / "results" / "unstable.txt")

#: With more failures than this something is broken, and no test is run again.
MOST: Final = 10


def retries() -> int:
    """How often a failed test is run again."""
    return int(os.environ.get("TEST_RETRIES") or 0)


def passed_later(failures: Mapping[str, str], run: Callable[[str], bool]) -> bool:
    """Whether each test of *failures* (its first failure by its name) passes when *run* runs it again by itself."""
    if not failures or not retries() or len(failures) > MOST:
        return False
    passed = [_passes(name, failure, run) for name, failure in failures.items()]
    return all(passed)


def _passes(name: str, failure: str, run: Callable[[str], bool]) -> bool:
    for number in range(1, retries() + 1):
        print(f"\n=== once more, by itself ({number} of {retries()}): {name}", flush=True)
        if run(name):
            RECORD.parent.mkdir(parents=True, exist_ok=True)
            with RECORD.open("a") as record:
                record.write(f"{name}: passed at attempt {number + 1}; the first failure was\n{failure}\n\n")
            return True
    return False
