"""The one parser and the one formatter of durations.

Accepted, everywhere a duration can be given:

===========================  ==============================================
``90``, ``2.5``              seconds
``30m``, ``3h30m``,          units w, d, h, m (min), s and ms, in any order,
``1d 3h 40m``, ``500ms``     with or without spaces, or as words (``2 hours``)
``01:30:00``, ``01:30``      hours:minutes:seconds, hours:minutes
``1 day, 01:00:00``,         days before a clock time
``2 d, 01:00:00``
``P1DT12H``, ``PT90S``       ISO 8601; a year counts 365 days, a month 30
===========================  ==============================================

The clock and ISO forms read as stock Jumpstarter reads them.
"""

from __future__ import annotations

import re
from datetime import timedelta

from jumpstarter.common.exceptions import ArgumentError

EXAMPLES = "90, 30m, 3h30m, 1d3h40m, 500ms, 01:30:00, '1 day, 01:00:00' or PT1H30M"

_UNITS = {
    "w": 604800.0,
    "d": 86400.0,
    "h": 3600.0,
    "m": 60.0,
    "s": 1.0,
    "ms": 0.001,
}
_WORDS = {
    **dict.fromkeys(("week", "weeks"), "w"),
    **dict.fromkeys(("day", "days"), "d"),
    **dict.fromkeys(("hour", "hours", "hr", "hrs"), "h"),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), "m"),
    **dict.fromkeys(("sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("millisecond", "milliseconds"), "ms"),
}
_NUMBER = r"\d+(?:\.\d+)?"
_SECONDS = re.compile(rf"{_NUMBER}\Z|\.\d+\Z", re.ASCII)
_PART = re.compile(rf"\s*({_NUMBER})\s*([a-z]+)\s*,?", re.ASCII)
_CLOCK = re.compile(
    r"(?:(?P<days>\d+)\s*(?:d|day|days)\s*,?\s*)?(?P<hours>\d{1,4}):(?P<minutes>\d{2})(?::(?P<seconds>\d{2}(?:\.\d+)?))?\Z",
    re.ASCII,
)
_ISO = re.compile(
    rf"P(?=.)(?:(?P<y>{_NUMBER})Y)?(?:(?P<mo>{_NUMBER})M)?(?:(?P<w>{_NUMBER})W)?(?:(?P<d>{_NUMBER})D)?"
    rf"(?:T(?=.)(?:(?P<h>{_NUMBER})H)?(?:(?P<m>{_NUMBER})M)?(?:(?P<s>{_NUMBER})S)?)?\Z",
    re.ASCII,
)
_ISO_UNITS = {"y": 365 * 86400.0, "mo": 30 * 86400.0, **_UNITS}


def parse_duration(text: str | int | float | timedelta) -> timedelta:
    """Read a duration in any of the forms of the module's table.

    A number is in seconds; a timedelta is returned as it is.

    Raises ArgumentError, with examples, for anything else, for a negative duration and for one of more than
    999999999 days.
    """
    duration: timedelta | None
    if isinstance(text, timedelta):
        duration = text
    else:
        seconds = _seconds(str(text).strip())
        try:
            duration = timedelta(seconds=seconds) if seconds is not None else None
        except (OverflowError, ValueError):
            raise ArgumentError(
                f"duration '{text}' is too long: at most 999999999 days can be counted"
            ) from None
    if duration is None or isinstance(text, bool):
        raise ArgumentError(f"'{text}' is not a duration; write for example {EXAMPLES}")
    if duration < timedelta(0):
        raise ArgumentError(f"duration '{text}' is negative; write for example {EXAMPLES}")
    return duration


def format_duration(duration: timedelta | int | float) -> str:
    """Write a duration (a number is in seconds) in the short form that `parse_duration` reads: ``1d3h40m``.

    Exact to the microsecond; zero is ``0s``; a negative one has a leading minus sign.
    """
    if not isinstance(duration, timedelta):
        duration = timedelta(seconds=duration)
    if duration < timedelta(0):
        return "-" + format_duration(-duration)
    hours, rest = divmod(duration.seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    parts = [
        f"{count}{unit}" for count, unit in ((duration.days, "d"), (hours, "h"), (minutes, "m")) if count
    ]
    micros = duration.microseconds
    if not parts and not seconds and micros:
        parts.append(_decimal(micros, 3) + "ms")
    elif seconds or micros:
        parts.append(_decimal(seconds * 1_000_000 + micros, 6) + "s")
    return "".join(parts) or "0s"


def _seconds(text: str) -> float | None:
    if _SECONDS.match(text):
        return float(text)
    if text.startswith("-"):
        rest = text[1:].strip()
        positive = None if rest.startswith("-") else _seconds(rest)
        return None if positive is None else -positive
    if match := _CLOCK.match(text.lower()):
        return _clock(match)
    if match := _ISO.match(text.upper()):
        return sum(float(count) * _ISO_UNITS[unit] for unit, count in match.groupdict().items() if count)
    return _parts(text)


def _clock(match: re.Match[str]) -> float | None:
    minutes, seconds = float(match["minutes"]), float(match["seconds"] or 0)
    if minutes >= 60 or seconds >= 60:
        return None
    return float(match["days"] or 0) * 86400 + float(match["hours"]) * 3600 + minutes * 60 + seconds


def _parts(text: str) -> float | None:
    """``3h30m``: every unit at most once, nothing else between the parts."""
    total, position, seen = 0.0, 0, set()
    while position < len(text):
        part = _PART.match(text, position)
        if part is None:
            return None
        unit = _WORDS.get(part[2], part[2])
        if unit not in _UNITS or unit in seen:
            return None
        seen.add(unit)
        total += float(part[1]) * _UNITS[unit]
        position = part.end()
    return total if seen else None


def _decimal(count: int, digits: int) -> str:
    """*count* / 10**digits without a trailing zero."""
    whole, fraction = divmod(count, 10**digits)
    return f"{whole}.{fraction:0{digits}d}".rstrip("0").rstrip(".") if fraction else str(whole)
