"""Running the real `jmp` and `j` in an environment of their own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

SCRIPTS = Path(sys.executable).parent


@dataclass
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line on standard error."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        return lines[0]


@dataclass
class Cli:
    """Runs commands with home, config and runtime directories below *home*."""

    home: Path
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        kept = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("JMP_", "JUMPSTARTER_", "XDG_", "_JMP"))
        }
        return {
            **kept,
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "XDG_RUNTIME_DIR": str(self.home / "run"),
            "JMP_SYSTEM_CONFIG_HOME": str(self.home / "etc"),
            "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}",
            **self.extra,
        }

    def popen(self, *command: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start *command* in a session of its own, so that no terminal of ours plays a part."""
        return subprocess.Popen(
            command,
            env={**self.environment, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *command: str, env: Mapping[str, str] | None = None, timeout: float = 60) -> Result:
        """Run *command* to its end."""
        with self.popen(*command, env=env) as process:
            try:
                out, err = process.communicate(timeout=timeout)
            except BaseException:
                process.kill()
                raise
        return Result(process.returncode, out, err)

    def jmp(self, *args: str, env: Mapping[str, str] | None = None) -> Result:
        return self.run("jmp", *args, env=env)

    def j(self, *args: str, env: Mapping[str, str] | None = None) -> Result:
        return self.run("j", *args, env=env)

    def ok(self, *command: str, env: Mapping[str, str] | None = None) -> str:
        """Run *command*, which must succeed and say nothing on standard error; returns what it printed."""
        result = self.run(*command, env=env)
        assert (result.code, result.err) == (0, ""), result
        return result.out

    def complete(self, tool: str, words: Sequence[str], env: Mapping[str, str] | None = None) -> list[str]:
        """What bash would be offered for the last of *words*."""
        variables = {
            f"_{tool.upper()}_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join([tool, *words]),
            "COMP_CWORD": str(len(words)),
        }
        out = self.ok(tool, env={**variables, **(env or {})})
        return [line.partition(",")[2] for line in out.splitlines()]

    def exporter(self, alias: str, text: str) -> Path:
        """Write an exporter config that the alias finds."""
        path = self.home / "config" / "jumpstarter" / "exporters" / f"{alias}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    (tmp_path / "run").mkdir(mode=0o700)
    return Cli(tmp_path)


POWER = """\
apiVersion: jumpstarter.dev/v1alpha1
kind: ExporterConfig
metadata:
  namespace: default
  name: example-local
export:
  storage:
    type: jumpstarter_driver_opendal.driver.MockStorageMux
  power:
    type: jumpstarter_driver_power.driver.MockPower
"""


@pytest.fixture
def board(cli: Cli) -> Path:
    """The exporter config `example-local` of the documents."""
    return cli.exporter("example-local", POWER)


class Running:
    """A process that ends with the test, and the lines it writes to standard error."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.seen: list[str] = []

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Read standard error up to a line that matches; fails if the process ends before."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.seen.append(line)
            if match := re.search(pattern, line):
                return match
        raise AssertionError(f"no {pattern!r} in {''.join(self.seen)}")

    def end(self, signum: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(signum)
        _, err = self.process.communicate(timeout=60)
        self.seen += err.splitlines(keepends=True)
        return self.process.returncode


@pytest.fixture
def start(cli: Cli) -> Iterator[Callable[..., Running]]:
    """Starts commands that run until the test ends them."""
    with ExitStack() as stack:

        def start_one(*command: str, env: Mapping[str, str] | None = None) -> Running:
            process = stack.enter_context(cli.popen(*command, env=env))
            stack.callback(process.kill)
            return Running(process)

        yield start_one
