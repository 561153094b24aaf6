"""Continuous integration does what the README tells a newcomer to do, and calls nothing that is not there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CI = (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def targets(text: str) -> set[str]:
    return set(re.findall(r"^(?:step \"[^\"]*\" )?make ([a-z]+)$", text, re.MULTILINE))


def test_ci_runs_the_commands_of_the_readme() -> None:
    printed = targets((ROOT / "README.md").read_text(encoding="utf-8"))
    assert {"demo", "test"} <= printed <= targets(CI)


def test_every_target_of_the_pages_is_in_the_makefile() -> None:
    rules = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    pages = [ROOT / "README.md", ROOT / "DEVELOPERS.md", *(ROOT / "docs").rglob("*.md")]
    named = {
        name for page in pages for name in re.findall(r"(?:^|`)make ([a-z]+)", page.read_text(), re.MULTILINE)
    }
    assert named <= rules


def test_every_script_that_ci_calls_is_there() -> None:
    scripts = set(re.findall(r"\bscripts/[\w/-]+", CI))
    assert scripts
    assert [name for name in sorted(scripts) if not (ROOT / name).exists()] == []
