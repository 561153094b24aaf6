"""Ends runs of Robot in this process by Ctrl-C at random moments: ended.py SEED COUNT.

Each has a lease and gives it back. It prints in which keyword each was ended. At last a run passes that nobody ends.
"""

from __future__ import annotations

import faulthandler
import io
import random
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import robot

from utest.interrupts import moments

SUITE = Path(__file__).with_name("ended.robot")
#: Seconds after which something hangs.
LIMIT = 120.0
#: Seconds before an interruption, at the most, from the start of a run, and from that of its work.
LATEST, WORKING = 1.0, 0.3


class Run:
    """A listener that sends SIGINT at a random moment, and sees what it hit."""

    ROBOT_LISTENER_API_VERSION = 3

    def __init__(self, chance: random.Random) -> None:
        self.hit: str | None = None
        self._working = chance.random() < 0.5
        self._seconds = chance.uniform(0, WORKING if self._working else LATEST)
        self._timer: threading.Timer | None = None

    def start_suite(self, data: Any, result: Any) -> None:
        """Robot's handler is there, and remains until the run's end: one that comes from now on ends it."""
        if not self._working:
            self._start()

    def start_test(self, data: Any, result: Any) -> None:
        if self._working:
            self._start()

    def _start(self) -> None:
        main = threading.get_ident()
        self._timer = threading.Timer(self._seconds, signal.pthread_kill, (main, signal.SIGINT))
        self._timer.start()

    def end_library_keyword(self, data: Any, implementation: Any, result: Any) -> None:
        if self.hit is None and result.message == "Execution terminated by signal":
            self.hit = implementation.full_name


def run(tag: str, out: io.StringIO, *listeners: object) -> int:
    """Run the tests with *tag*; the exit code."""
    return robot.run(  # type: ignore[no-any-return]
        str(SUITE),
        include=[tag],
        listener=list(listeners),
        output=None,
        log=None,
        report=None,
        stdout=out,
        stderr=out,
    )


def main(seed: str, count: str) -> None:
    chance, hits = random.Random(int(seed)), moments.Hits()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # outside of a run, which has a handler of its own
    while hits.total < int(count):
        faulthandler.dump_traceback_later(LIMIT, exit=True)
        one, out = Run(chance), io.StringIO()
        code = run("endless", out, one)
        if code == 0:
            sys.exit(f"a run that never ends has passed:\n{out.getvalue()}")
        hits.add(f"Robot: {one.hit or 'between keywords'}", "SIGINT")
    out = io.StringIO()
    code = run("whole", out)
    print(hits)
    print(f"{hits.total} runs ended, the last one: {code}\n{out.getvalue()}")


if __name__ == "__main__":
    main(*sys.argv[1:])
