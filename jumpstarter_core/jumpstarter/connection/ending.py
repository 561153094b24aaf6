"""The orderly end of what `jmp shell` runs, whoever wants it: the lease, an administrator, a signal, a terminal that closes.

1. The reason is written where `jumpstarter.common.end_reason` reads it.
2. A command and all that it has started get SIGTERM. Of an interactive shell, which ignores SIGTERM and hands SIGHUP on
   to its jobs, only the jobs do.
3. They have a grace to write their reports and to restore their terminals. The shell of jobs that have ended is not waited for.
4. What is left gets SIGHUP, and SIGKILL soon after.

`Ending.act` takes the step that is due; whoever waits for the child calls it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from enum import Enum, auto
from typing import Final

from jumpstarter.common.end_reason import tell_end_reason

from .processes import Family

#: Seconds that what is ended has by default.
GRACE: Final = 30.0
#: Seconds after which a shell that was told to hang up is told again: bash forgets a SIGHUP that comes while it turns to
#: reading the terminal, until the next key.
HANG_UP_AGAIN: Final = 2.0
#: Seconds from the first SIGHUP to SIGKILL.
FORCE: Final = 6.0
#: Seconds between two looks at processes that are not our children: nothing tells us of their end.
POLL: Final = 0.1
#: Seconds between two looks where no signal can wake us.
IDLE: Final = 1.0


class Step(Enum):
    """How far the end has come."""

    RUNNING = auto()
    TERMINATED = auto()
    HUNG_UP = auto()
    KILLED = auto()


class Ending:
    """Ends a child and what it has started. Signals that come before there is a child are kept for it."""

    def __init__(self, reason_file: str, grace: float, *, interactive: bool) -> None:
        self._reason_file = reason_file
        self._grace = grace
        self._interactive = interactive
        self._family: Family | None = None
        self._early: list[int] = []
        self._wanted = False
        self._step = Step.RUNNING
        self._due = 0.0
        self._told = 0.0

    def attach(self, child: subprocess.Popen[bytes], *, grouped: bool) -> None:
        """*child* is the one; *grouped*: it leads a process group of its own."""
        self._family = Family(child.pid, grouped=grouped)
        for signum in self._early:
            self.pass_on(signum)

    def end(self, reason: str) -> None:
        """Begin the end. On any thread, in a signal's handler too; what is due is done by `act`."""
        tell_end_reason(self._reason_file, reason)
        self._wanted = True
        # What wakes the main thread, which waits for its child; anywhere else it has no effect.
        os.kill(os.getpid(), signal.SIGCHLD)

    def pass_on(self, signum: int) -> None:
        """Hand a signal of ours on."""
        if self._family is None:
            self._early.append(signum)
            return
        self._family.look()
        self._family.send(signum)

    @property
    def goes_on(self) -> bool:
        """Whether the end has begun, and processes are left."""
        return self._step not in (Step.RUNNING, Step.KILLED) and self._alive()

    def act(self) -> float | None:
        """Do what is due; returns the seconds until something is, None: not before a signal comes."""
        now = time.monotonic()
        if self._step is Step.RUNNING:
            if not self._wanted:
                return None
            self._terminate(now)
        elif self._step is Step.TERMINATED:
            if now >= self._due or (self._interactive and not self._alive()):
                self._hang_up(now)
        elif self._step is Step.HUNG_UP:
            if now >= self._due:
                self._kill()
            elif now >= self._told + HANG_UP_AGAIN:
                self._tell(signal.SIGHUP)
        return POLL

    def _terminate(self, now: float) -> None:
        assert self._family is not None
        self._step, self._due = Step.TERMINATED, now + self._grace
        self._family.look()
        self._family.send(signal.SIGTERM, beside_first=self._interactive)

    def _hang_up(self, now: float) -> None:
        self._step, self._due = Step.HUNG_UP, now + FORCE
        self._tell(signal.SIGHUP)

    def _kill(self) -> None:
        self._step = Step.KILLED
        self._tell(signal.SIGKILL)

    def _tell(self, signum: int) -> None:
        assert self._family is not None
        self._told = time.monotonic()
        self._family.look()
        self._family.send(signum)

    def _alive(self) -> bool:
        # Whether a shell itself lives its own exit tells; what its jobs did is what it is waited for.
        assert self._family is not None
        return self._family.alive(beside_first=self._interactive and self._step is Step.TERMINATED)
