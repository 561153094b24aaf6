"""How long a command takes, from its start to its end."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence

from .bench import Bench
from .processes import BenchError, Installation, Worker


def j(bench: Bench, subject: Installation) -> float:
    """``j power on`` inside of a running shell, in milliseconds."""
    return power_on(bench, subject, bench.client(subject))


def power_on(bench: Bench, subject: Installation, shell: Worker) -> float:
    """``j power on`` in the shell that *shell* runs in, in milliseconds."""
    settings = shell.hello["settings"]
    return _median(bench, subject.command("j", "power", "on"), subject.environment(settings))


def jmp(bench: Bench, subject: Installation) -> float:
    """``jmp --help``, in milliseconds."""
    return _median(bench, subject.command("jmp", "--help"), subject.environment())


def limit(bench: Bench, subject: Installation) -> float:
    """The same interpreter, doing nothing."""
    return _median(bench, subject.command("python", "-c", "pass"), subject.environment())


def _median(bench: Bench, command: Sequence[str], environment: Mapping[str, str]) -> float:
    durations = []
    # The first start may compile modules; it does not count.
    for _ in range(bench.scale.starts + 1):
        started = time.perf_counter()
        done = subprocess.run(
            command, env=environment, cwd=bench.folder, stdin=subprocess.DEVNULL, capture_output=True
        )
        durations.append(time.perf_counter() - started)
        if done.returncode:
            raise BenchError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr.decode()}")
    return statistics.median(durations[1:]) * 1000
