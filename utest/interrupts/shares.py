"""How many interruptions each part makes of the TEST_INTERRUPTIONS that a run makes in all.

A part has its share by what one of its interruptions costs: a call that is cut short takes milliseconds, a lease about
a second, a command that has to be started first as much of the processor's time.
"""

from __future__ import annotations

import os
from typing import Final

#: Interruptions of a run, of all parts together.
TOTAL: Final = int(os.environ.get("TEST_INTERRUPTIONS", "400"))


def share(of_ten_thousand: int, least: int) -> int:
    """A part's interruptions, of which it makes *of_ten_thousand* in a run of as many, and never fewer than *least*."""
    return max(least, TOTAL * of_ten_thousand // 10_000)


#: Calls, streams, uploads, consoles, logs and connections of a Python program (SIGALRM, SIGINT), in each of two runs.
ACTIONS: Final = share(3700, 100)
#: Keywords of one Robot run that time out (SIGALRM).
KEYWORDS: Final = share(2100, 40)
#: Leases of a Python program: waiting, connecting, calling, closing, giving back (SIGALRM, SIGINT).
LEASES: Final = share(250, 15)
#: Robot runs in one process that Ctrl-C ends (SIGINT), each with a lease.
RUNS: Final = share(150, 5)
#: `robot` processes that Ctrl-C ends (SIGINT), each with a lease.
PROCESSES: Final = share(20, 2)
#: `j` commands (SIGINT, SIGTERM, SIGHUP).
COMMANDS: Final = share(80, 8)
