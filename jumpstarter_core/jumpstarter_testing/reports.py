"""What pytest shows of a test with a board: short failures with their reason first, and what is waited for."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import nullcontext
from types import TracebackType
from typing import Any, Final

import pytest

_NAME: Final = "jumpstarter-reports"
#: Packages whose frames tell a test's author nothing.
_OURS: Final = ("jumpstarter", "grpc", "anyio", "pexpect", "contextlib", "concurrent", "threading")


def register(config: pytest.Config) -> None:
    """Have *config*'s run report failures of tests with a board as this module does. Again is fine."""
    if not config.pluginmanager.has_plugin(_NAME):
        config.pluginmanager.register(ShortReports(), _NAME)


def say(config: pytest.Config, text: str) -> None:
    """Show a line to whoever looks at the run, whatever pytest captures."""
    terminal: Any = config.pluginmanager.get_plugin("terminalreporter")
    capture: Any = config.pluginmanager.get_plugin("capturemanager")
    if terminal is None:
        return
    with capture.global_and_fixture_disabled() if capture is not None else nullcontext():
        terminal.ensure_newline()
        terminal.write_line(text)
        terminal.flush()  # a file or a pipe, as in CI, would show it when the waiting is over


class ShortReports:
    """The plugin: a failure ends at the line of the test, and its reason is one message."""

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: Any) -> Generator[None, Any, None]:
        """Cut the traceback before pytest makes a report of it, and the package's name after."""
        from .pytest import JumpstarterTest

        cls = getattr(item, "cls", None)
        ours = cls is not None and issubclass(cls, JumpstarterTest) and call.excinfo is not None
        cut = ours and item.config.getoption("fulltrace", False) is not True and shorten(call.excinfo.value)
        outcome = yield
        if cut:
            report = outcome.get_result()
            _name_shortly(report, call.excinfo.value)
            if _is_ours(list(_frames(call.excinfo.value.__traceback__))[-1]):
                _leave_the_reason(report)


def shorten(error: BaseException) -> bool:
    """Leave out the frames of *error* behind the last one of a test or fixture, if a library has raised it; whether it has."""
    frames = list(_frames(error.__traceback__))
    others = [index for index, frame in enumerate(frames) if not _is_ours(frame)]
    if not others or others[-1] == len(frames) - 1:
        return False
    last = frames[others[-1]]
    if str(last.tb_frame.f_globals.get("__name__", "")).startswith("_pytest"):
        last = frames[others[-1] + 1]  # no test has called, but pytest the fixture
    last.tb_next = None
    # Its message has the cause's in it, whose frames are the library's alone.
    text = str(error)
    error.__cause__, error.__suppress_context__ = None, True
    if str(error) != text and hasattr(error, "message"):
        error.message = text
    return True


def _frames(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def _is_ours(traceback: TracebackType) -> bool:
    name = str(traceback.tb_frame.f_globals.get("__name__", ""))
    return name.startswith(_OURS)


def _name_shortly(report: Any, error: BaseException) -> None:
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        text = str(error)
        crash.message = f"{type(error).__name__}: {text}" if text else type(error).__name__


def _leave_the_reason(report: Any) -> None:
    """No test or fixture of the author's has called what failed: of the source, which is the library's, nothing is shown."""
    for entry in getattr(getattr(report.longrepr, "reprtraceback", None), "reprentries", ()):
        entry.lines = [line for line in entry.lines if line.startswith("E")]
        entry.reprfuncargs = entry.reprfileloc = None
