"""The processes that a shell or command has started, as far as they can be found: its group and its descendants."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class _Process:
    pid: int
    parent: int
    group: int
    #: When it started: with the pid it names one process, also after the pid was used again.
    started: int


class Family:
    """A process that we have started, and what it starts. Where there is no /proc, the process and its group.

    *grouped*: it leads a process group of its own, which is all of the family that is left when it has ended.
    """

    def __init__(self, pid: int, *, grouped: bool) -> None:
        self.pid = pid
        self._grouped = grouped
        self._known: dict[int, int] = {}

    def look(self) -> None:
        """Find who belongs to it now; who did before still does."""
        table = _table()
        known = {
            pid for pid, started in self._known.items() if pid in table and table[pid].started == started
        }
        found = {self.pid} | known
        while more := {p.pid for p in table.values() if self._joins(p, found)} - found:
            found |= more
        self._known = {pid: table[pid].started for pid in found if pid in table}

    def _joins(self, process: _Process, found: set[int]) -> bool:
        return process.parent in found or (self._grouped and process.group == self.pid)

    def alive(self, *, beside_first: bool = False) -> bool:
        """Whether any of those that were found lives, with *beside_first* any but the first."""
        table = _table()
        return any(
            pid in table and table[pid].started == started
            for pid, started in self._known.items()
            if not (beside_first and pid == self.pid)
        )

    def send(self, signum: int, *, beside_first: bool = False) -> None:
        """Signal all of those that were found, with *beside_first* all but the first."""
        table = _table()
        if not table:
            with suppress(ProcessLookupError, PermissionError):
                (os.killpg if self._grouped else os.kill)(self.pid, signum)
        for pid, started in self._known.items():
            if pid in table and table[pid].started == started and not (beside_first and pid == self.pid):
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signum)


def _table() -> dict[int, _Process]:
    """All processes that run; those that have ended and wait for their parents are left out."""
    found = (_read(entry) for entry in Path("/proc").glob("[0-9]*"))
    return {process.pid: process for process in found if process is not None}


def _read(entry: Path) -> _Process | None:
    try:
        text = (entry / "stat").read_text(errors="replace")
    except OSError:  # it has ended meanwhile
        return None
    # "pid (name) state ppid pgrp ... starttime": the name may hold anything, also blanks and parentheses (proc(5)).
    fields = text.rpartition(")")[2].split()
    if fields[0] in "ZX":
        return None
    return _Process(int(entry.name), int(fields[1]), int(fields[2]), int(fields[19]))
