"""Runs a suite of ``_data`` in a process of its own and looks at its output.xml.

The suites find the exporters of ``_exporters`` as the user's local exporters.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from robot.api import ExecutionResult, logger
from robot.api.deco import keyword, library
from robot.result import Keyword, TestCase, TestSuite

HERE = Path(__file__).resolve().parent
DATA = HERE / "_data"
EXPORTERS = HERE / "_exporters"
LIMIT = 60
"""Seconds that a suite may take."""


@library(scope="SUITE", auto_keywords=False)
class runner:  # noqa: N801 - Robot's name for it
    """Keywords that run a suite and check what came of it."""

    def __init__(self) -> None:
        self._directory: Path | None = None
        self._result: Any = None
        self._output = ""

    @keyword
    def run_suite(
        self, *paths: str, options: tuple[str, ...] = (), shell: str | None = None, **env: str
    ) -> int:
        """Run suites, in a ``jmp shell`` with exporter *shell* if given. Returns Robot's exit status."""
        command = [
            sys.executable,
            "-m",
            "robot",
            *self._options(),
            *options,
            *(str(DATA / path) for path in paths),
        ]
        if shell is not None:
            # the shell sets variables of its own, so ours come after
            command = [
                "jmp",
                "shell",
                "--exporter",
                shell,
                "--",
                "env",
                *map("=".join, env.items()),
                *command,
            ]
        return self._finished(self._start(command, **env))

    @keyword
    def interrupt_suite(self, path: str, after: str) -> int:
        """Run a suite and send it SIGINT when it has written *after* to its standard output."""
        process = self._start([sys.executable, "-m", "robot", *self._options(), str(DATA / path)])
        assert process.stdout is not None
        seen = ""
        for line in process.stdout:
            seen += line
            if after in line:
                break
        process.send_signal(signal.SIGINT)
        return self._finished(process, seen)

    @keyword
    def run_libdoc(self, *arguments: str) -> str:
        """The output of libdoc for the library."""
        command = [sys.executable, "-m", "robot.libdoc", *arguments]
        done = subprocess.run(
            command, env=self._environment(), timeout=LIMIT, check=True, capture_output=True, text=True
        )
        return done.stdout

    @keyword
    def test_should_have(self, name: str, status: str, message: str = "") -> None:
        """Test *name* has the status, and *message* in its message (``EQUALS:`` means all of it)."""
        test = self._test(name)
        assert test.status == status, (
            f"{name}: {test.status}, expected {status}: {test.message}\n{self._output}"
        )
        if message.startswith("EQUALS:"):
            assert test.message == message.removeprefix("EQUALS:"), f"{name}: {test.message!r}"
        else:
            assert message in test.message, f"{name}: {test.message!r} has no {message!r}"

    @keyword
    def tests_should_have_passed(self, *names: str) -> None:
        """All tests of these *names* have passed."""
        failed = [f"{test.name}: {test.message}" for test in map(self._test, names) if not test.passed]
        assert not failed, "\n".join(failed) + self._output

    @keyword
    def all_tests_should_have_passed(self) -> None:
        """Every test has passed, and there are some."""
        tests = list(self._result.suite.all_tests)
        assert tests, self._output
        failed = [f"{test.name}: {test.message}" for test in tests if not test.passed]
        assert not failed, "\n".join(failed) + self._output

    @keyword
    def test_should_have_taken_less_than(self, name: str, seconds: float) -> None:
        """Test *name* was over before *seconds*."""
        elapsed = self._test(name).elapsed_time.total_seconds()
        assert elapsed < seconds, f"{name} took {elapsed} s, expected less than {seconds} s"

    @keyword
    def log_should_contain(self, where: str, text: str) -> None:
        """A message under test or suite *where* contains *text*."""
        messages = self._messages(where)
        assert any(text in message for message in messages), f"no message has {text!r}:\n" + "\n".join(
            messages
        )

    @keyword
    def output_should_not_contain(self, text: str) -> None:
        """Neither output.xml nor the process's own output has *text*."""
        assert self._directory is not None
        assert text not in (self._directory / "output.xml").read_text("utf-8"), "output.xml contains it"
        assert text not in self._output, "the standard output contains it"

    @keyword
    def no_message_should_be_html(self) -> None:
        """Robot takes no message of the run for HTML."""
        assert self._directory is not None
        output = (self._directory / "output.xml").read_text("utf-8")
        # Robot's own message about the output of a keyword may be; what came from the exporter must not.
        found = [line for line in output.splitlines() if 'html="true"' in line and "script" in line]
        assert not found, "\n".join(found)
        assert not re.search(r"<(status|msg)[^>]*>\s*\*HTML\*", output), "a message begins with *HTML*"

    @keyword
    def there_should_be_no_errors(self) -> None:
        """Robot has reported no warning and no error."""
        errors = [message.message for message in self._result.errors]
        assert not errors, "\n".join(errors)

    @keyword
    def clean_up(self) -> None:
        """Remove what the suite has left behind."""
        if self._directory is not None:
            shutil.rmtree(self._directory)
            self._directory = None

    def _options(self) -> list[str]:
        if self._directory is None:
            self._directory = Path(tempfile.mkdtemp(prefix="jmp-atest-"))
            shutil.copytree(EXPORTERS, self._directory / "jumpstarter" / "exporters")
        return [
            "--outputdir",
            str(self._directory),
            "--variable",
            f"EXPORTERS:{EXPORTERS}",
            "--loglevel",
            "TRACE",
        ]

    def _environment(self, **env: str) -> dict[str, str]:
        self._options()
        path = os.pathsep.join(filter(None, [str(DATA), os.environ.get("PYTHONPATH")]))
        return {
            **os.environ,
            "XDG_CONFIG_HOME": str(self._directory),
            "PYTHONPATH": path,
            "PYTHONFAULTHANDLER": "1",
            **env,
        }

    def _start(self, command: list[str], **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command, env=self._environment(**env), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def _finished(self, process: subprocess.Popen[str], output: str = "") -> int:
        assert self._directory is not None
        with process:
            try:
                output += process.communicate(timeout=LIMIT)[0]
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGABRT)  # faulthandler tells where every thread is
                output += process.communicate()[0]
                raise AssertionError(f"not finished after {LIMIT} s:\n{output}") from None
        self._output = output
        logger.info(output)
        path = self._directory / "output.xml"
        assert path.exists(), f"no output.xml:\n{output}"
        self._result = ExecutionResult(str(path))
        return process.returncode

    def _test(self, name: str) -> TestCase:
        tests = {test.name: test for test in self._result.suite.all_tests}
        assert name in tests, f"no test {name!r} in {list(tests)}\n{self._output}"
        return tests[name]

    def _messages(self, where: str) -> list[str]:
        bodies = [test for test in self._result.suite.all_tests if test.name == where]
        bodies += [
            suite.setup for suite in _suites(self._result.suite) if suite.name == where and suite.has_setup
        ]
        assert bodies, f"no test or suite {where!r}"
        return [message.message for body in bodies for message in _all_messages(body)]


def _suites(suite: TestSuite) -> list[TestSuite]:
    return [suite, *(child for each in suite.suites for child in _suites(each))]


def _all_messages(body: Keyword | TestCase) -> list[Any]:
    found = []
    for name in ("setup", "teardown"):
        if getattr(body, f"has_{name}", False):
            found += _all_messages(getattr(body, name))
    for item in getattr(body, "body", ()):
        found += [item] if item.type == item.MESSAGE else _all_messages(item)
    return found
