"""The load program, with a lab that is small."""

from __future__ import annotations

import os

import pytest

from benchmarks import load

#: TEST_BOARDS=2000 shows a lab of that size beside whatever else the machine does.
BOARDS = os.environ.get("TEST_BOARDS", "20")


def test_boards_are_back_after_a_kill_and_leases_are_granted(capsys: pytest.CaptureFixture[str]) -> None:
    assert load.main(["--boards", BOARDS, "--grants", "5", "--back", "500", "--p99", "30"]) == 0
    told = capsys.readouterr().out
    assert f"{BOARDS} boards: back in" in told and "gRPC alone" in told


def test_limit_that_is_not_held_is_an_error() -> None:
    figures = load.Figures(1000, 12.0, 5.0, 4.0, 8.0, 3.0, (0.02, 0.03, 0.5), 0.004)
    assert not load.held(figures, back=10.0, p99=None)
    assert not load.held(figures, back=None, p99=0.06)
    assert load.held(figures, back=15.0, p99=1.0)


def test_wrong_usage() -> None:
    with pytest.raises(SystemExit) as error:
        load.main(["--boards", "1"])
    assert error.value.code == 2
