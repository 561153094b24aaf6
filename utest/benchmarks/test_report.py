"""The numbers of the speed table, without measuring anything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import parse
from benchmarks.bench import Bench, Scale
from benchmarks.processes import BenchError, Installation, Worker
from benchmarks.report import as_json, machine, table
from benchmarks.rows import ROWS, Better, Row
from benchmarks.runner import Result, measure

NOWHERE = Installation("ours", Path(), Path())


def row(better: Better, target: float, *, limit: float | None = 2.0) -> Row:
    return Row(
        name="row",
        title="a title",
        upstream=3.0,
        target=target,
        better=better,
        unit="us",
        measure=lambda bench, subject: 5.0,
        limit=None if limit is None else lambda bench, subject: limit,
    )


@pytest.mark.parametrize(
    ("better", "target", "holds"),
    [
        (Better.LOWER, 2.5, True),
        (Better.LOWER, 2.4, False),
        (Better.HIGHER, 2.5, True),
        (Better.HIGHER, 2.6, False),
    ],
)
def test_a_row_holds_on_the_better_side_of_its_target(better: Better, target: float, holds: bool) -> None:
    assert row(better, target).holds(2.5) is holds


def test_the_number_of_a_row_is_the_median_of_the_ratios_not_the_ratio_of_the_medians() -> None:
    result = Result(row(Better.LOWER, 1), "ours", measured=[1.0, 4.0, 9.0], limits=[1.0, 2.0, 1.0])
    assert result.ratios == [1.0, 2.0, 9.0]
    assert result.ratio == 2.0


def test_a_row_without_a_limit_is_its_own_number() -> None:
    assert Result(row(Better.LOWER, 60, limit=None), "ours", measured=[58.0]).ratio == 58.0


def test_limit_and_subject_take_turns_in_either_order(tmp_path: Path) -> None:
    order: list[str] = []

    def noted(name: str) -> float:
        order.append(name)
        return 1.0

    noting = Row(
        name="row",
        title="a title",
        upstream=1,
        target=1,
        better=Better.LOWER,
        unit="us",
        measure=lambda bench, subject: noted("subject"),
        limit=lambda bench, subject: noted("limit"),
    )
    (result,) = measure(Bench(tmp_path, Scale()), noting, [NOWHERE], repeats=2)
    assert order == ["limit", "subject", "subject", "limit"]
    assert result.ratios == [1.0, 1.0]


def test_the_table_tells_targets_that_are_missed_and_upstream_where_it_was_measured() -> None:
    ours = Result(row(Better.LOWER, 2), "ours", measured=[5.0], limits=[2.0])
    theirs = Result(row(Better.LOWER, 2), "upstream", measured=[14.0], limits=[2.0])
    assert "| a title | 3 | 2.5 | 2.5..2.5 | at most 2 | NO | 5 us | 2 us |" in table([[ours]])
    assert "| a title | 7 (7..7) | 2.5 | 2.5..2.5 | at most 2 | NO | 5 us | 2 us |" in table([[ours, theirs]])


def test_json_has_every_repeat() -> None:
    result = Result(row(Better.HIGHER, 2), "ours", measured=[4.0, 6.0], limits=[2.0, 2.0])
    told = json.loads(json.dumps(as_json(machine(), [[result]])))
    assert told["rows"][0]["ratios"] == [2.0, 3.0]
    assert told["rows"][0]["holds"] is True
    assert told["machine"]["cores"] > 0


def test_rows_have_names_of_their_own() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS) == 18


@pytest.mark.parametrize(
    "arguments", [["--rows", "nosuch"], ["--repeat", "0"], ["--json", "/nowhere/at/all/x.json"]]
)
def test_wrong_options_are_refused_before_anything_runs(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(arguments)
    assert ended.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_a_process_that_ends_early_is_told_with_its_own_words(tmp_path: Path) -> None:
    with (
        pytest.raises(BenchError, match="its own words"),
        Worker(["sh", "-c", "echo its own words >&2"], {"PATH": "/usr/bin:/bin"}, tmp_path),
    ):
        pass


def test_a_measurement_that_fails_is_told_with_its_traceback(tmp_path: Path) -> None:
    script = """echo 'bench:{}'; read line; echo 'bench:{"error": "ValueError: nothing came"}'"""
    with (
        Worker(["sh", "-c", script], {"PATH": "/usr/bin:/bin"}, tmp_path) as worker,
        pytest.raises(BenchError, match="nothing came"),
    ):
        worker.ask("ping", 1)
