"""Interrupts everything that a client does at random moments: program.py SEED COUNT, within `jmp shell`.

The handler of SIGALRM and that of SIGINT raise. After COUNT exceptions of theirs everything has to work, in the main thread
and in others; whatever hangs is ended with the stacks of all threads. The last line tells how many there were.
"""

from __future__ import annotations

import faulthandler
import io
import os
import random
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from time import monotonic
from typing import Any

from jumpstarter.common.utils import env

#: Seconds after which something hangs.
LIMIT = 40.0
#: Seconds before an interruption, at the most.
LATEST = 0.006


class Interruption(BaseException):
    """What the handlers raise."""


def interrupt(number: int, frame: object) -> None:
    raise Interruption


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


@contextmanager
def alarm(chance: random.Random) -> Iterator[None]:
    """SIGALRM at a random moment."""
    signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.0002, LATEST))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


@contextmanager
def keyboard(chance: random.Random) -> Iterator[None]:
    """SIGINT at a random moment, from another thread."""
    timer = threading.Timer(chance.uniform(0.0002, LATEST), os.kill, (os.getpid(), signal.SIGINT))
    started, hit = threading.Event(), False

    def run() -> None:
        started.set()
        timer.run()

    thread = threading.Thread(target=run, daemon=True)
    try:
        thread.start()
        yield
    except Interruption:
        hit = True
        raise
    finally:
        while not hit and thread.is_alive():
            try:
                thread.join()
            except Interruption:
                hit = True


def main(seed: str, count: str) -> None:
    chance = random.Random(int(seed))
    signal.signal(signal.SIGALRM, interrupt)
    signal.signal(signal.SIGINT, interrupt)
    interrupted, done = 0, 0
    with env() as client:
        upload(client)  # there is something to download
        while interrupted < int(count):
            faulthandler.dump_traceback_later(LIMIT, exit=True)
            action, how = chance.choice(ACTIONS), chance.choice((alarm, keyboard))
            try:
                with how(chance):
                    action(client)
            except Interruption:
                interrupted += 1
            done += 1
        verify(client)
        thread = threading.Thread(target=verify, args=(client,))
        thread.start()
        thread.join()
    left = [signal.getsignal(number) for number in (signal.SIGALRM, signal.SIGINT)]
    print(
        f"{interrupted} interruptions in {done} actions, handlers intact: {left == [interrupt, interrupt]}",
        flush=True,
    )


def verify(client: Any) -> None:
    """Everything works."""
    for action in FINITE:
        started = monotonic()
        action(client)
        assert monotonic() - started < LIMIT, action


if __name__ == "__main__":
    main(*sys.argv[1:])
