"""Reports of what was interrupted how often, below the line of the test in pytest's output."""

from __future__ import annotations

from collections.abc import Callable, Generator

import pytest

from utest.interrupts.moments import TITLE

#: The property of a test's report that keeps the lines, also on their way from another process of pytest-xdist.
HITS = "interruptions"


@pytest.fixture
def tell_hits(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Takes a program's output; the report in it is shown when the test has ended."""

    def tell(output: str) -> None:
        lines = [line.removeprefix(TITLE) for line in output.splitlines() if line.startswith(TITLE)]
        record_property(HITS, "\n".join(lines))

    return tell


class Reporter:
    """Writes the reports to the terminal."""

    def __init__(self, terminal: pytest.TerminalReporter) -> None:
        self._terminal = terminal

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None]:
        yield
        told = [str(value) for name, value in report.user_properties if name == HITS]
        if report.when == "call" and told:
            self._terminal.ensure_newline()
            self._terminal.write_line(f"{report.nodeid} ({report.duration:.0f} s)")
            for line in "\n".join(told).splitlines():
                self._terminal.write_line(f"    {line}")


@pytest.hookimpl(trylast=True)  # after the terminal's
def pytest_configure(config: pytest.Config) -> None:
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    if terminal is not None:  # not in the processes of pytest-xdist
        config.pluginmanager.register(Reporter(terminal))
