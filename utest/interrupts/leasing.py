"""Leases a board, uses it and gives it back, interrupted at random moments: leasing.py SEED COUNT.

The handlers of SIGALRM and SIGINT raise. It prints what was hit how often.
"""

from __future__ import annotations

import faulthandler
import random
import sys
from collections.abc import Callable
from typing import Any

from jumpstarter.config.client import ClientConfigV1Alpha1

from utest.interrupts import moments

#: Seconds after which something hangs.
LIMIT = 120.0
#: Seconds before an interruption, at the most: leasing, connecting and giving back take as long.
LATEST = 1.0


def use(config: Any, now: Callable[[str], object]) -> None:
    """Lease a board and use it. *now* is told what is done."""
    now("acquire a lease")
    with config.lease(selector="kind=board") as lease:
        now("connect to its board")
        with lease.connect() as client:
            now("call its board")
            client.power.on()
            now("close the connection")
        now("give the lease back")


def main(seed: str, count: str) -> None:
    chance = random.Random(int(seed))
    config = ClientConfigV1Alpha1.load("anna")
    moments.install()
    hits, doing = moments.Hits(), [""]
    while hits.total < int(count):
        faulthandler.dump_traceback_later(LIMIT, exit=True)
        way = moments.chosen(chance)
        try:
            with moments.WAYS[way](chance.uniform(0.001, LATEST)):
                use(config, doing.append)
        except moments.Interruption:
            hits.add(doing[-1], way)
    use(config, doing.append)
    print(hits)
    print(f"{hits.total} interruptions, handlers intact: {moments.installed()}")


if __name__ == "__main__":
    main(*sys.argv[1:])
