"""SECURITY.md: every promise names tests, and there are such tests."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from utest.docs.promised_tests import ROOT, check, rows

JMP = Path(sys.executable).with_name("jmp")
TEXT = (ROOT / "SECURITY.md").read_text()


PROMISES = rows(TEXT.partition("## What is promised")[2].partition("## What is not promised")[0])


@pytest.mark.parametrize(("promise", "tests"), PROMISES)
def test_each_promise_names_tests_that_exist(promise: str, tests: list[str]) -> None:
    check(promise, tests)


@pytest.mark.parametrize("line", sorted(set(re.findall(r"`(jmp [^`]+)`", TEXT))))
def test_the_commands_that_it_names_exist(line: str) -> None:
    words = line.split()[1:]
    # Names and values are in capitals; what is left are commands and options.
    command = [word for word in words if re.fullmatch(r"[a-z]+", word)]
    done = subprocess.run([JMP, *command, "--help"], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    for option in (word for word in words if word.startswith("-")):
        assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", done.stdout), option


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
