"""A console block is typed into bash, command after command, and what each prints is compared with the page.

One bash serves a whole page, so that variables and background jobs live on, as they do for the reader. A
command that starts a shell of its own (`jmp shell`) reads the commands after it, up to `exit`, from the same
input.
"""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import TracebackType

PROMPT = "$ "
CONTINUATION = "> "
ELLIPSIS = "..."
SHOWS_EXIT_CODE = "echo $?"
GRACE = 10.0


@dataclass
class Step:
    """A command, the output that the page shows under it, and its exit code (None: any)."""

    command: str
    expected: str = ""
    exit_code: int | None = 0


@dataclass(frozen=True)
class Outcome:
    """What a command printed and its exit code."""

    stdout: str
    stderr: str
    exit_code: int


@dataclass
class Mismatch(Exception):
    """A command ended or printed otherwise than the page shows."""

    place: str
    step: Step
    outcome: Outcome
    reason: str = field(default="")

    def __str__(self) -> str:
        shown = [
            f"{self.place}: {PROMPT}{self.step.command}",
            f"  {self.reason}",
            section("expected", self.step.expected),
            section("stdout", self.outcome.stdout),
            section("stderr", self.outcome.stderr),
        ]
        return "\n".join(part for part in shown if part)


def section(title: str, text: str) -> str:
    return f"  --- {title}\n{text.rstrip()}" if text.strip() else ""


def steps(text: str, last_exit_code: int = 0) -> list[Step]:
    """The commands of a console block. Raises ValueError for lines that stand before the first prompt."""
    found: list[Step] = []
    in_command = False
    for line in text.splitlines():
        if line.startswith(PROMPT) or line == PROMPT.rstrip():
            found.append(Step(line[len(PROMPT) :]))
            in_command = True
        elif not found:
            raise ValueError(f"a console block starts with a command after '{PROMPT}', not with: {line}")
        elif in_command and line.startswith(CONTINUATION):
            found[-1].command += "\n" + line[len(CONTINUATION) :]
        else:
            in_command = False
            found[-1].expected += line + "\n"
    for step, following in pairwise(found):
        if following.command.strip() == SHOWS_EXIT_CODE:
            step.exit_code = None
    if found:
        found[-1].exit_code = last_exit_code
    return found


def matches(expected: str, got: str) -> bool:
    """Whether *got* is what the page shows: `...` stands for anything, blanks at ends do not count."""
    pieces = [re.escape(piece) for piece in tidy(expected).split(ELLIPSIS)]
    return re.fullmatch(".*".join(pieces), tidy(got), re.DOTALL) is not None


def tidy(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def mismatch(step: Step, outcome: Outcome) -> str:
    """Why the outcome is not what the page shows, or "". A command without shown output may print all."""
    if step.exit_code is not None and outcome.exit_code != step.exit_code:
        return f"exit code {outcome.exit_code}, expected {step.exit_code}"
    if step.expected.strip():
        # A terminal shows both; which of them a page prints depends on what it wants to teach.
        printed = (
            outcome.stdout,
            outcome.stderr,
            outcome.stdout + outcome.stderr,
            outcome.stderr + outcome.stdout,
        )
        if not any(matches(step.expected, text) for text in printed):
            return "the output differs"
    return ""


class Console:
    """A bash that is fed commands one by one; as a context manager it ends with all that it started."""

    def __init__(self, folder: Path, environment: dict[str, str], timeout: float) -> None:
        """Args: folder: where it starts; environment: the whole of it; timeout: seconds for each command."""
        self._timeout = timeout
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            start_new_session=True,
        )
        self._selector = selectors.DefaultSelector()
        assert self._bash.stdout is not None
        self._selector.register(self._bash.stdout, selectors.EVENT_READ)

    def __enter__(self) -> Console:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # SIGTERM lets `jmp` close its devices; what still holds our pipe seconds later is ended for good.
        self._signal(signal.SIGTERM)
        self._drain(GRACE)
        self._signal(signal.SIGKILL)
        self._bash.wait()
        self._selector.close()
        for stream in (self._bash.stdin, self._bash.stdout, self._stderr):
            assert stream is not None
            stream.close()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._bash.pid, number)

    def _drain(self, seconds: float) -> None:
        """Wait until every process of this console has closed its output, at most so many seconds."""
        assert self._bash.stdout is not None
        deadline = time.monotonic() + seconds
        while self._selector.select(max(0.0, deadline - time.monotonic())):
            if not os.read(self._bash.stdout.fileno(), 65536):
                return

    def run(self, command: str) -> Outcome:
        """Type a command and wait for its end. Raises TimeoutError with what it printed so far."""
        end = f"end-of-command-{uuid.uuid4().hex}"
        errors_from = os.fstat(self._stderr.fileno()).st_size
        assert self._bash.stdin is not None
        # The last part leaves $? as the command left it, for a following `echo $?`.
        self._bash.stdin.write(
            f"{command}\n{{ __code=$?; printf '\\n%s %s\\n' {end} $__code; (exit $__code); }}\n".encode()
        )
        self._bash.stdin.flush()
        stdout, exit_code = self._read_until(end, command)
        return Outcome(stdout, self._errors(errors_from), exit_code)

    def _read_until(self, end: str, command: str) -> tuple[str, int]:
        assert self._bash.stdout is not None
        deadline = time.monotonic() + self._timeout
        output = b""
        while not (closing := re.search(rf"(?s)^(.*?)\n{end} (\d+)\n", output.decode(errors="replace"))):
            if not self._selector.select(max(0.0, deadline - time.monotonic())):
                raise TimeoutError(
                    f"`{command}` did not end within {self._timeout:g} s; it printed:\n{output.decode()}"
                )
            chunk = os.read(self._bash.stdout.fileno(), 65536)
            if not chunk:
                raise TimeoutError(
                    f"`{command}` ended the shell; it printed:\n{output.decode()}\n{self._errors(0)}"
                )
            output += chunk
        return closing[1], int(closing[2])

    def _errors(self, start: int) -> str:
        size = os.fstat(self._stderr.fileno()).st_size
        return os.pread(self._stderr.fileno(), size - start, start).decode(errors="replace")


def run_steps(console: Console, place: str, todo: Iterable[Step]) -> None:
    """Run the steps of a block in turn. Raises Mismatch for the first that differs from the page."""
    for step in todo:
        outcome = console.run(step.command)
        if reason := mismatch(step, outcome):
            raise Mismatch(place, step, outcome, reason)
