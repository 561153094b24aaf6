"""The default timeout of keywords that wait, set for a test, a suite or the whole run."""

from __future__ import annotations

from datetime import timedelta
from enum import Enum

DEFAULT = timedelta(seconds=30)


class Scope(Enum):
    """How long a setting holds."""

    TEST = "until the test ends"
    SUITE = "until the suite ends"
    GLOBAL = "until the run ends"


class Timeouts:
    """A stack of suites, each with the timeout set in it; the innermost one counts, a test's before it."""

    def __init__(self, default: timedelta = DEFAULT) -> None:
        self._global = _checked(default)
        self._suites: list[timedelta | None] = []
        self._test: timedelta | None = None
        self._in_test = False

    @property
    def current(self) -> timedelta:
        """The timeout that holds now."""
        if self._test is not None:
            return self._test
        return next((t for t in reversed(self._suites) if t is not None), self._global)

    def seconds(self, timeout: timedelta | None) -> float:
        """*timeout* in seconds, the current default for None. Raises ValueError if it is negative."""
        return _checked(self.current if timeout is None else timeout).total_seconds()

    def set(self, timeout: timedelta, scope: Scope) -> timedelta:
        """Set the default for *scope* and return the one that held before.

        A test's setting made outside a test (in a suite's setup) is the suite's. A wider setting replaces
        narrower ones.
        """
        previous = self.current
        timeout = _checked(timeout)
        if scope is Scope.TEST and self._in_test:
            self._test = timeout
            return previous
        self._test = None
        if scope is not Scope.GLOBAL and self._suites:
            self._suites[-1] = timeout
        else:
            self._suites = [None] * len(self._suites)
            self._global = timeout
        return previous

    def start_suite(self) -> None:
        """Enter a suite."""
        self._suites.append(None)

    def end_suite(self) -> None:
        """Leave a suite; its setting is forgotten."""
        if self._suites:
            self._suites.pop()

    def start_test(self) -> None:
        """Enter a test."""
        self._in_test, self._test = True, None

    def end_test(self) -> None:
        """Leave a test; its setting is forgotten."""
        self._in_test, self._test = False, None


def _checked(timeout: timedelta) -> timedelta:
    if timeout < timedelta(0):
        raise ValueError(f"timeout is {timeout.total_seconds()} s, expected 0 or more")
    return timeout
