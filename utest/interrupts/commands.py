"""Ends `j` commands by signals at random moments: commands.py SEED COUNT, within `jmp shell`.

Each has to end within seconds, with the code of its signal and without a traceback. Half of the signals come at any moment from
the command's start on, the others while it moves data. It prints what was ended how often, and how many there were.
"""

from __future__ import annotations

import os
import random
import re
import select
import signal
import subprocess
import sys
import time

from utest.interrupts.moments import Hits

WAYS = [
    "calls", "items", "upload", "download",
    "loop-lend", "loop-call-for-ever", "loop-take-items", "loop-follow-logs", "loop-all-at-once", "loop-block-the-loop",
    "portal-lend", "portal-call-for-ever", "portal-take-items", "portal-follow-logs", "portal-all-at-once",
]  # fmt: skip
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
#: Seconds for a command to end, at the most. A machine that is busy starts one in seconds.
LIMIT = 40.0
#: Seconds after its start, and after it began to move data, in which a command gets its signal.
EARLY, MOVING = 1.0, 0.3


def begun(process: subprocess.Popen[bytes]) -> bool:
    """Wait until the command moves data; whether it does."""
    assert process.stdout is not None
    return bool(select.select([process.stdout], [], [], LIMIT)[0]) and process.stdout.read(7) == b"moving\n"


def moment(chance: random.Random, process: subprocess.Popen[bytes]) -> float:
    """Wait for what comes before a random moment; the seconds that are left."""
    if chance.random() < 0.5 and begun(process):
        return chance.uniform(0, MOVING)
    return chance.uniform(0, EARLY)


def once(chance: random.Random, hits: Hits) -> str | None:
    """End one command. Says what is wrong, None when nothing is."""
    way, number = chance.choice(WAYS), chance.choice(SIGNALS)
    with subprocess.Popen(["j", "moving", way], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        seconds = moment(chance, process)
        time.sleep(seconds)
        process.send_signal(number)
        started = time.monotonic()
        try:
            _, err = process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)
            _, err = process.communicate()
            return f"{way}: {number.name} did not end it within {LIMIT:g} s\n{err.decode()}"
    told = (
        f"{way}: {number.name} {seconds:.3f} s, {time.monotonic() - started:.1f} s, code {process.returncode}"
    )
    if _is_of_python(err):
        hits.add("python, which has not come to j", number.name)
        return None
    hits.add(f"j moving {way}", number.name)
    if process.returncode not in (128 + number, -number) or b"Traceback" in err:
        return f"{told}\n{err.decode()}"
    return None


def _is_of_python(err: bytes) -> bool:
    """Whether Ctrl-C came before the first line of the command, and Python itself tells so."""
    return b"KeyboardInterrupt" in err and not re.search(rb"jumpstarter_cli/(?!j\.py|silence\.py)", err)


def main(seed: str, count: str) -> None:
    chance = random.Random(int(seed))
    os.environ["PYTHONFAULTHANDLER"] = "1"
    hits = Hits()
    failures = [failure for _ in range(int(count)) if (failure := once(chance, hits))]
    print(*failures, hits, sep="\n")
    print(f"{count} signals, {len(failures)} failures", flush=True)
    sys.exit(bool(failures))


if __name__ == "__main__":
    main(*sys.argv[1:])
