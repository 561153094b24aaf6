"""Interrupts everything that a client does at random moments: program.py SEED COUNT, within `jmp shell`.

The handler of SIGALRM and that of SIGINT raise. After COUNT exceptions of theirs everything has to work, in the main thread
and in others; whatever hangs is ended with the stacks of all threads. It prints what was hit how often, and how many there were.
"""

from __future__ import annotations

import faulthandler
import io
import random
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from time import monotonic
from typing import Any

from jumpstarter.common.utils import env

from utest.interrupts import moments

#: Seconds after which something hangs.
LIMIT = 40.0
#: Seconds before an interruption, at the most.
LATEST = 0.006


def call(client: Any) -> None:
    client.slow.call("echo", "text")


def slow_call(client: Any) -> None:
    client.slow.call("wait")


def polling(client: Any) -> None:
    while True:
        client.power.on()


def items(client: Any) -> None:
    for _ in client.slow.streamingcall("count"):
        pass


def stream(client: Any) -> None:
    with client.serial.stream() as console:
        console.send(b"hello")
        console.receive()


def opened(client: Any) -> None:
    with closing(client.serial.open_stream()) as console:
        console.send(b"hello")


def console(client: Any) -> None:
    client.serial.write("hello")
    client.serial.read_until("hello")


def upload(client: Any) -> None:
    with client.storage.sending([b"x" * 100_000] * 10) as handle:
        client.storage.call("flash", handle, None)


def download(client: Any) -> None:
    with client.storage.receiving(io.BytesIO()) as handle:
        client.storage.call("dump", handle, None)


def logs(client: Any) -> None:
    with client.log_stream():
        client.power.on()


def loop(client: Any) -> None:
    client.portal.call(sum, [1, 2])


def connect(client: Any) -> None:
    with env() as other:
        other.power.on()


ACTIONS: list[Callable[[Any], None]] = [
    call, slow_call, polling, items, stream, opened, console, upload, download, logs, loop, connect,
]  # fmt: skip
FINITE = [action for action in ACTIONS if action not in (slow_call, polling)]


def main(seed: str, count: str) -> None:
    chance = random.Random(int(seed))
    moments.install()
    hits, done = moments.Hits(), 0
    with env() as client:
        upload(client)  # there is something to download
        while hits.total < int(count):
            faulthandler.dump_traceback_later(LIMIT, exit=True)
            action, way = chance.choice(ACTIONS), moments.chosen(chance)
            try:
                with moments.WAYS[way](chance.uniform(0.0002, LATEST)):
                    action(client)
            except moments.Interruption:
                hits.add(action.__name__, way)
            done += 1
        verify(client)
        thread = threading.Thread(target=verify, args=(client,))
        thread.start()
        thread.join()
    print(hits)
    print(f"{hits.total} interruptions in {done} actions, handlers intact: {moments.installed()}", flush=True)


def verify(client: Any) -> None:
    """Everything works."""
    for action in FINITE:
        started = monotonic()
        action(client)
        assert monotonic() - started < LIMIT, action


if __name__ == "__main__":
    main(*sys.argv[1:])
