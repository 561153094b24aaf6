"""A process that writes leases from several threads and says what is durable, until it is killed.

Each line of its output is ``<lease> <state>``, written after the store acknowledged it.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from jumpstarter_controller.store import Store, open_store

from utest.jumpstarter_controller.labs import NOW, add_lease, lease, save_lease


def write(store: Store, thread: int, run: str) -> None:
    number = 0
    while True:
        number += 1
        name = f"{run}-{thread}-{number}"
        record = lease(name, pin=f"b{thread}")
        store.change(add_lease(record))
        say(name, "waiting")
        record = record.granted(NOW, f"b{thread}", 0, False)
        store.change(save_lease(record))
        say(name, "ready")
        record = record.released(NOW)
        store.change(save_lease(record))
        say(name, "released")


def say(name: str, state: str) -> None:
    os.write(1, f"{name} {state}\n".encode())


if __name__ == "__main__":
    opened = open_store(Path(sys.argv[1]))
    for index in range(4):
        threading.Thread(target=write, args=(opened, index, sys.argv[2]), daemon=True).start()
    threading.Event().wait()
