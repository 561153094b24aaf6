"""Finding text in what a console says, while it says it.

A `Matcher` takes the bytes as they come and tells where a match ends. What must hold:

- it looks at text as a person sees it (`jumpstarter.streams.screen`): colours, movements of the cursor and the way in which
  lines end do not hide a match. What is wanted decides otherwise: with a carriage return in it, line ends are as they were
  sent; with another control character, control sequences are characters like all others;
- ``^`` and ``$`` match at lines, ``$`` also at the end of what has come so far, as prompts have no line end;
- the cost is linear in what came. Text is looked at once. A regular expression looks at the last `OVERLAP` characters and what
  is new; at all text whenever that has grown by an eighth, when the time is over, and as often as takes a twentieth of the
  time. So a match that is longer is seen a little late: by twenty times as long as it takes to look at all text;
- a pattern that is not through in time is given up (`jumpstarter.streams.search`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence, Set
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from .screen import Screen, encoding_without_mark

if TYPE_CHECKING:
    from .search import Searcher

#: Characters before what is new that a regular expression looks at again.
OVERLAP = 4096
#: Characters before those that a regular expression may look back at, to see what a match must stand behind.
BEHIND = 1024
#: All text is looked at again when this part of it is new.
_GROWTH = 8
#: Characters that are kept to look at all of them again.
MOST_KEPT = 8 * 1024 * 1024
#: Seconds that a search may take at least, even if the time is over: what is there already has to be seen.
LEAST_TIME = 0.25
#: Part of the time that looking at all text again may take.
_SHARE = 20
#: Seconds between two looks at all text, at least.
INTERVAL = 0.05

_CONTROLS_IN_PATTERN = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|\\(?:x[01][0-9a-ce-fA-CE-F]|x7[fF]|0|a|f|v|\[b\])"
)
_NO_CONTROLS = re.compile(r"\\\\|\\x0[9aAdD]|\\01[125]")
_RETURN_IN_PATTERN = re.compile(r"\r|\\r|\\x0[dD]|\\015")
_CONTROLS_IN_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


class Look(Protocol):
    """Looks for something in a text."""

    #: Whether a match may depend on what comes after it.
    needs_more: bool
    #: Characters before a match that it may depend on.
    behind: int

    def find(self, text: str, start: int, seconds: float) -> int | None:
        """Where the first match from *start* on ends; None when there is none."""

    def reach(self) -> int | None:
        """How many characters a match has at most; None when there is no limit."""


class TextLook:
    """Looks for one of several texts."""

    needs_more = False
    behind = 0

    def __init__(self, wanted: Sequence[str]) -> None:
        self._wanted = wanted

    def find(self, text: str, start: int, seconds: float) -> int | None:
        """See `Look`."""
        ends = [at + len(each) for each in self._wanted if (at := text.find(each, start)) >= 0]
        return min(ends, default=None)

    def reach(self) -> int:
        """See `Look`."""
        return max(map(len, self._wanted))


class PatternLook:
    """Looks for one of several regular expressions. Raises re.error if one is not valid."""

    needs_more = True
    behind = BEHIND

    def __init__(self, wanted: Sequence[str]) -> None:
        for each in wanted:
            re.compile(each, re.MULTILINE)
        self._wanted = wanted

    def find(self, text: str, start: int, seconds: float) -> int | None:
        """See `Look`. Raises `SearchTimeout`."""
        deadline = monotonic() + seconds
        found = [_searcher().search(each, text, start, deadline - monotonic()) for each in self._wanted]
        spans = [span for span in found if span is not None]
        return min(spans)[1] if spans else None

    def reach(self) -> None:
        """See `Look`."""
        return


class Matcher:
    """Looks for *wanted*, a text or a regular expression or several of them, in bytes that come piece by piece.

    Args:
        wanted: what to look for
        regex: take it as a regular expression (see `re`)
        encoding: how bytes become text
        controls: take control sequences for characters like all others
        clock: seconds that have passed since some moment

    Raises:
        re.error: the regular expression is not valid
        ValueError: nothing is wanted, or something that is no text
        LookupError: the encoding is not known
    """

    def __init__(
        self,
        wanted: str | Sequence[str] | None,
        *,
        regex: bool = False,
        encoding: str = "utf-8",
        controls: bool = False,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.wanted = _texts(wanted, encoding)
        self.regex = regex
        self.encoding = encoding
        returns, found = (_RETURN_IN_PATTERN if regex else re.compile("\r")), self.wanted
        self.controls = controls or any(has_controls(each, regex) for each in found)
        self._screen = Screen(encoding, controls=self.controls, as_sent=any(map(returns.search, found)))
        self._look: Look = PatternLook(self.wanted) if regex else TextLook(self.wanted)
        self._clock = clock
        self._all_looked_at = 0
        self._next_look = clock()
        #: Bytes that were fed.
        self.fed = 0
        #: Characters that were looked at, each time counted: what the cost is.
        self.looked_at = 0

    @property
    def shown(self) -> str:
        """What is wanted, for a message."""
        listed = " or ".join(map(repr, self.wanted))
        return f"text matching {listed}" if self.regex else listed

    def feed(self, data: bytes, *, more: bool = False, seconds: float = LEAST_TIME) -> int | None:
        """Take the next bytes and look for a match, for *seconds* at the most.

        Returns where it ends, counted in bytes from the first that was fed, or None. *more* tells that more bytes are there
        already: a match that they may change is not taken for one. Raises `jumpstarter.streams.search.SearchTimeout`.
        """
        self._screen.feed(data)
        self.fed += len(data)
        return self._new(more, seconds)

    @property
    def pause(self) -> float | None:
        """Seconds after which `look_at_all` is worth its time; None when it is not needed."""
        if self._look.reach() is not None or self._all_looked_at == self._screen.length:
            return None
        return max(0.0, self._next_look - self._clock())

    def look_at_all(self, seconds: float = LEAST_TIME) -> int | None:
        """Look at all text, also for matches that are longer than `OVERLAP`."""
        started = self._clock()
        found = self._in_window(0, more=False, seconds=seconds)
        self._all_looked_at = self._screen.length
        now = self._clock()
        self._next_look = now + max(INTERVAL, _SHARE * (now - started))
        return found

    def finish(self, seconds: float = LEAST_TIME) -> int | None:
        """Look at all text for the last time; what is not complete counts as it is."""
        self._screen.finish()
        return self.look_at_all(max(seconds, LEAST_TIME))

    def _new(self, more: bool, seconds: float) -> int | None:
        if more and self._look.needs_more and self._screen.line_start <= self._screen.changed_from:
            # Only complete lines have a beginning and an end that the bytes to come leave alone.
            return None
        found = self._in_new(more, seconds)
        # Only now: until it was looked at, text that has come in one piece may be needed from its beginning on.
        reach = self._look.reach()
        self._screen.forget(self._screen.length - (MOST_KEPT if reach is None else reach + 1))
        return found

    def _in_new(self, more: bool, seconds: float) -> int | None:
        new_from, length = self._screen.changed_from, self._screen.length
        reach = self._look.reach()
        if reach is not None:
            self._screen.changed_from = length
            return self._in_window(new_from - reach + 1, more=False, seconds=seconds)
        grown = (length - self._all_looked_at) * _GROWTH >= length
        if not more and (grown or self._clock() >= self._next_look):
            found = self.look_at_all(seconds)
        else:
            found = self._in_window(new_from - OVERLAP, more=more, seconds=seconds)
        self._screen.changed_from = self._screen.line_start if more else length
        return found

    def _in_window(self, start: int, *, more: bool, seconds: float) -> int | None:
        """Where in the stream the first match ends that begins at place *start* or after it."""
        start = max(self._screen.first, start)
        begin = max(self._screen.first, start - self._look.behind)
        text = self._screen.window(begin)
        if more:
            text = text[: max(0, self._screen.line_start - begin)]
        self.looked_at += max(0, len(text) - (start - begin))
        end = self._look.find(text, start - begin, max(seconds, LEAST_TIME))
        if end is None or (more and "\n" not in text[end:-1]):
            return None
        return self._screen.raw_end(begin + end)


def _texts(wanted: Any, encoding: str) -> tuple[str, ...]:
    """What to look for, from what a program gives: a text, a number, bytes, or several of these."""
    several = isinstance(wanted, (Sequence, Set)) and not isinstance(wanted, (str, bytes, bytearray))
    texts = tuple(_text(each, encoding) for each in (wanted if several else (wanted,)))
    if not texts or not all(texts):
        raise ValueError("expected is empty; give the text to wait for")
    return texts


def _text(wanted: Any, encoding: str) -> str:
    if isinstance(wanted, (bytes, bytearray)):
        return wanted.decode(encoding_without_mark(encoding))
    if isinstance(wanted, re.Pattern):
        raise ValueError(f"expected is a compiled pattern; give its text {wanted.pattern!r} and regex=True")
    if wanted is None or (isinstance(wanted, Iterable) and not isinstance(wanted, str)):
        raise ValueError(f"expected is {wanted!r}; give the text to wait for, or a list of texts")
    return str(wanted)


def has_controls(wanted: str, regex: bool) -> bool:
    """Whether *wanted* has control characters that a person does not see, or stands for some."""
    if not regex:
        return _CONTROLS_IN_TEXT.search(wanted) is not None
    return _CONTROLS_IN_PATTERN.search(_NO_CONTROLS.sub("", wanted)) is not None


_shared: list[Searcher] = []


def _searcher() -> Searcher:
    """The one searcher of this process."""
    if not _shared:
        import atexit

        from .search import Searcher

        _shared.append(Searcher())
        atexit.register(_shared[0].close)
    return _shared[0]
