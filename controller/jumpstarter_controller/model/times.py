"""When a lease begins, how long it lasts and when it ends.

=================  ==========================================================================================
given              meaning
=================  ==========================================================================================
duration           begins when an exporter is assigned
begin, duration    scheduled; ends at begin + duration, however late an exporter is assigned
begin, end         the same; the duration is end - begin
end, duration      "finish by": begin is end - duration; when that is past it begins at once and still ends at end
all three          must agree
=================  ==========================================================================================
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from jumpstarter.common.durations import format_duration

from .errors import InvalidRequest, WrongState

#: The fields of a lease that are about time, as an update mask names them.
TIME_FIELDS = frozenset({"begin_time", "duration", "end_time"})

#: What can always be added to the time of day, whatever the calendar of a peer.
MAX_DURATION = timedelta(days=36525)

_NOTHING = timedelta(0)


@dataclass(frozen=True)
class LeaseTimes:
    """What was asked for, made whole: *begin* is set whenever *end* is."""

    duration: timedelta
    begin: datetime | None = None
    end: datetime | None = None

    @property
    def window_end(self) -> datetime | None:
        """When the lease is over whenever it began; None when that depends on its begin."""
        if self.end is not None:
            return self.end
        return self.begin + self.duration if self.begin is not None else None


def resolve_times(begin: datetime | None, duration: timedelta | None, end: datetime | None) -> LeaseTimes:
    """The times of a new lease from those that were given (aware datetimes).

    Raises:
        InvalidRequest: too little is given, they contradict one another, or the duration is not positive.
    """
    if begin is not None and end is not None:
        between = end - begin
        if duration is not None and duration != between:
            raise InvalidRequest(
                f"begin time, end time and duration contradict one another: {between} lie between {begin.isoformat()} and "
                f"{end.isoformat()}, the duration is {duration}; leave one of the three out"
            )
        duration = between
    if duration is None:
        raise InvalidRequest("duration required: give a duration, or a begin time and an end time")
    if duration <= _NOTHING:
        raise InvalidRequest(f"duration must be positive, got {format_duration(duration)}")
    if duration > MAX_DURATION:
        raise InvalidRequest(f"duration {format_duration(duration)} is too long, expected at most 100 years")
    if begin is None and end is not None:
        begin = _before(end, duration)
    elif begin is not None and end is None:
        _after(begin, duration)
    return LeaseTimes(duration, begin, end)


@dataclass(frozen=True)
class TimeChange:
    """What an update asks for. A field of `fields` that is None is taken away; others stay as they are stored."""

    fields: frozenset[str]
    begin: datetime | None = None
    duration: timedelta | None = None
    end: datetime | None = None

    @classmethod
    def asked(
        cls,
        begin: datetime | None,
        duration: timedelta | None,
        end: datetime | None,
        mask: Collection[str] = (),
    ) -> TimeChange:
        """The change of a request: without a mask, what is given; with one, what it names (``*`` names all)."""
        given = {"begin_time": begin, "duration": duration, "end_time": end}
        if not mask:
            fields = frozenset(name for name, value in given.items() if value is not None)
        else:
            fields = TIME_FIELDS if "*" in mask else TIME_FIELDS & frozenset(mask)
        return cls(
            fields,
            begin if "begin_time" in fields else None,
            duration if "duration" in fields else None,
            end if "end_time" in fields else None,
        )


def check_update_mask(mask: Collection[str], updatable: Collection[str] = (*TIME_FIELDS, "client")) -> None:
    """Refuse a mask that names a field which cannot change.

    Raises:
        InvalidRequest: such a field is named.
    """
    wrong = sorted(set(mask) - {*updatable, "*"})
    if wrong:
        raise InvalidRequest(
            f"update_mask: {', '.join(wrong)} of a lease cannot be changed, expected {', '.join(sorted(updatable))}; "
            "make a new lease instead"
        )


def update_times(stored: LeaseTimes, change: TimeChange, begun_at: datetime | None) -> LeaseTimes:
    """The times of a lease after *change*; *begun_at* is when it began, None while it waits.

    What is not changed is taken from *stored*: a new duration moves the end, a new end changes the duration, a new begin
    keeps the duration.

    Raises:
        InvalidRequest: the outcome is not valid, as in `resolve_times`.
        WrongState: the begin of a lease that has begun would change.
    """
    if not change.fields:
        return stored
    if begun_at is not None:
        if "begin_time" in change.fields and change.begin != stored.begin:
            raise WrongState(
                f"begin time cannot change, the lease has begun at {begun_at.isoformat()}; "
                "change its duration or end time"
            )
        return _update_begun(stored, change, stored.begin or begun_at)
    return _update_waiting(stored, change)


def _update_begun(stored: LeaseTimes, change: TimeChange, begin: datetime) -> LeaseTimes:
    """The begin is fixed; the end follows from what is given."""
    if change.duration is None and change.end is None:
        # Nothing else was asked for, or the end was taken away: the stored duration counts again.
        if "duration" in change.fields and (stored.end is None or "end_time" in change.fields):
            raise InvalidRequest("duration required: give a duration or an end time")
        return LeaseTimes(stored.duration, stored.begin)
    times = resolve_times(begin, change.duration, change.end)
    if stored.begin is None and times.end is None:
        return LeaseTimes(times.duration)
    keeps_end = stored.end is not None and "end_time" not in change.fields
    return LeaseTimes(times.duration, begin, times.window_end if keeps_end else times.end)


def _update_waiting(stored: LeaseTimes, change: TimeChange) -> LeaseTimes:
    begin = change.begin if "begin_time" in change.fields else stored.begin
    duration = change.duration if "duration" in change.fields else stored.duration
    end = change.end if "end_time" in change.fields else stored.end
    if change.end is not None:
        if change.begin is None and change.duration is not None:
            begin = None  # "finish by": the begin follows
        elif begin is not None and change.duration is None:
            duration = None  # between the two
    elif end is not None and begin is not None and duration is not None and change.fields - {"end_time"}:
        end = _after(begin, duration)
    return resolve_times(begin, duration, end)


def _before(moment: datetime, duration: timedelta) -> datetime:
    try:
        return moment - duration
    except OverflowError:
        raise InvalidRequest(f"duration {format_duration(duration)} leads out of the calendar") from None


def _after(moment: datetime, duration: timedelta) -> datetime:
    try:
        return moment + duration
    except OverflowError:
        raise InvalidRequest(f"duration {format_duration(duration)} leads out of the calendar") from None
