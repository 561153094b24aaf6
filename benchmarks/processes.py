"""Starting the measured processes and asking them."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from .worker.answering import MARK

ROOT = Path(__file__).resolve().parents[1]
FOREIGN = ("JMP_", "JUMPSTARTER_", "XDG_", "PYTHON", "VIRTUAL_ENV")
#: Seconds for a process to say that it is ready, for one measurement, and for its end.
START, MEASURE, END = 60.0, 180.0, 20.0


class BenchError(Exception):
    """A measured process failed; the text has its own words."""


@dataclass(frozen=True)
class Installation:
    """An environment that offers `jmp`, `j` and the package `jumpstarter`."""

    name: str
    bin: Path
    home: Path

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of its processes: none of the caller's settings, and byte code is kept."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        ours = {"HOME": str(self.home), "PATH": f"{self.bin}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
        return kept | ours | {"NO_COLOR": "1", "TERM": "dumb"} | dict(more or {})

    def command(self, name: str, *arguments: str | Path) -> list[str]:
        """The command line of one of its programs."""
        return [str(self.bin / name), *map(str, arguments)]


@dataclass
class Worker:
    """A process of `benchmarks.worker`, as a context manager. Raises BenchError when it fails or does not answer in time."""

    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    hello: dict[str, Any] = field(default_factory=dict, init=False)
    _process: subprocess.Popen[str] = field(init=False)
    _log: IO[str] = field(init=False)
    _stack: ExitStack = field(default_factory=ExitStack, init=False)

    def __enter__(self) -> Self:
        self._log = self._stack.enter_context((self.folder / f"{id(self):x}.log").open("w+"))
        self._process = subprocess.Popen(
            self.command,
            env=dict(self.environment),
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self._stack.callback(self._end)
        try:
            self.hello = self._read(START)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def ask(self, name: str, *arguments: Any) -> float:
        """The result of one measurement."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # reading tells what happened
            self._process.stdin.write(json.dumps([name, *arguments]) + "\n")
            self._process.stdin.flush()
        message = self._read(MEASURE)
        if "error" in message:
            raise BenchError(f"{self._title}: {name} failed\n{message['error']}")
        return float(message["value"])

    @property
    def _title(self) -> str:
        return " ".join(self.command)

    def _read(self, seconds: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        timer = threading.Timer(seconds, self._process.terminate)
        timer.start()
        try:
            for line in self._process.stdout:
                if line.startswith(MARK):
                    return dict(json.loads(line.removeprefix(MARK)))
        finally:
            timer.cancel()
        self._log.seek(0)
        raise BenchError(
            f"{self._title}: ended, or took longer than {seconds:g} s\n{self._log.read()[-2000:]}"
        )

    def _end(self) -> None:
        with self._process as process:
            assert process.stdin is not None
            with suppress(BrokenPipeError):
                process.stdin.close()
            try:
                process.wait(END)
            except subprocess.TimeoutExpired:
                process.kill()
