from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jumpstarter.common.durations import format_duration, parse_duration
from jumpstarter.common.exceptions import ArgumentError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("90", 90),
        (90, 90),
        ("2.5", 2.5),
        (".5", 0.5),
        ("30m", 1800),
        ("3h30m", 12600),
        ("1d3h40m", 99600),
        ("1d 3h 40m", 99600),
        ("1d, 3h", 97200),
        ("500ms", 0.5),
        ("1.5h", 5400),
        ("1w", 604800),
        ("2 hours", 7200),
        ("1 hour 30 minutes", 5400),
        ("1 days", 86400),
        ("01:30:00", 5400),
        ("00:30:00", 1800),
        ("10:30", 37800),
        ("25:00:00", 90000),
        ("00:00:01.5", 1.5),
        ("1 day, 01:00:00", 90000),
        ("2 days, 01:00:00", 176400),
        ("2 d, 01:00:00", 176400),
        ("1d,00:10:00", 87000),
        ("P1D", 86400),
        ("PT30M", 1800),
        ("PT1.5H", 5400),
        ("P1Y2M3DT4H5M6S", 425 * 86400 + 3 * 86400 + 4 * 3600 + 5 * 60 + 6),
        ("P1W", 604800),
        ("  5m ", 300),
    ],
)
def test_documented_forms(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "5x",
        "5m5m",
        "00:75:00",
        "1:2:3",
        "P",
        "PT",
        "P1H",
        "1d3",
        "m5",
        "1,5h",
        "1e3",
        "nan",
        "٣m",
        "5m;",
        True,
    ],
)
def test_other_text_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ArgumentError, match=f"'{text}' is not a duration; write for example 90, 30m"):
        parse_duration(text)


def test_negative_and_endless_durations_are_refused() -> None:
    with pytest.raises(ArgumentError, match="is negative"):
        parse_duration("-30m")
    with pytest.raises(ArgumentError, match="is negative"):
        parse_duration(timedelta(seconds=-1))
    for twice in ("--5", "- -5", "--PT5M"):
        with pytest.raises(ArgumentError, match="is not a duration"):
            parse_duration(twice)
    with pytest.raises(ArgumentError, match="too long"):
        parse_duration("99999999999d")
    with pytest.raises(ArgumentError, match="too long"):
        parse_duration("9" * 400)


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (0, "0s"),
        (0.5, "500ms"),
        (1.5, "1.5s"),
        (100, "1m40s"),
        (timedelta(days=1, hours=3, minutes=40), "1d3h40m"),
        (timedelta(microseconds=1), "0.001ms"),
        (timedelta(seconds=-90), "-1m30s"),
    ],
)
def test_format(duration: timedelta | float, text: str) -> None:
    assert format_duration(duration) == text


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=10000)))
def test_every_formatted_duration_reads_back(duration: timedelta) -> None:
    assert parse_duration(format_duration(duration)) == duration


@given(st.text(alphabet="0123456789dhmsPTYMHS:., -w", max_size=20))
def test_no_text_raises_anything_but_the_argument_error(text: str) -> None:
    try:
        parse_duration(text)
    except ArgumentError as error:
        assert text in str(error)
