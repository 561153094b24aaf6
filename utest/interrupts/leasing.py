"""Leases a board, uses it and gives it back, interrupted at random moments: leasing.py SEED COUNT."""

from __future__ import annotations

import faulthandler
import random
import signal
import sys
from typing import Any

from jumpstarter.config.client import ClientConfigV1Alpha1

#: Seconds after which something hangs.
LIMIT = 240.0
#: Seconds before an interruption, at the most: leasing, connecting and giving back take as long.
LATEST = 1.0


class Interruption(BaseException):
    """What the handler raises."""


def interrupt(number: int, frame: object) -> None:
    raise Interruption


def use(config: Any) -> None:
    with config.lease(selector="kind=board") as lease, lease.connect() as client:
        client.power.on()


def main(seed: str, count: str) -> None:
    chance = random.Random(int(seed))
    config = ClientConfigV1Alpha1.load("anna")
    signal.signal(signal.SIGALRM, interrupt)
    interrupted = 0
    while interrupted < int(count):
        faulthandler.dump_traceback_later(LIMIT, exit=True)
        try:
            signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.001, LATEST))
            try:
                use(config)
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        except Interruption:
            interrupted += 1
    use(config)
    print(f"{interrupted} interruptions")


if __name__ == "__main__":
    main(*sys.argv[1:])
