"""leases-and-faults.md: every figure names tests that exist."""

from __future__ import annotations

import re

import pytest

from utest.docs.promised_tests import ROOT, check, rows

TEXT = (ROOT / "docs/explanation/leases-and-faults.md").read_text()


FIGURES = rows(TEXT.partition("## How fast it recovers")[2].partition("\n## ")[0])


@pytest.mark.parametrize(("figure", "tests"), FIGURES)
def test_each_figure_names_tests_that_exist(figure: str, tests: list[str]) -> None:
    check(figure, tests)


@pytest.mark.parametrize("path", re.findall(r"TEST=(\S+)", TEXT))
def test_each_longer_run_is_one_of_tests_that_exist(path: str) -> None:
    assert (ROOT / path).exists()
