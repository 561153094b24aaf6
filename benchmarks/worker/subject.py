"""The client of the exporter, run inside of ``jmp shell``: by ours, or by stock Jumpstarter."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from typing import Any

from jumpstarter.common.utils import env

from . import timing
from .answering import answer
from .payload import CHUNK, ECHO

SETTINGS = ("JUMPSTARTER_", "JMP_")


def byte_stream(client: Any, size: int) -> float:
    """MB/s of 64 KiB sends, until the driver has confirmed the last byte."""
    client.call("expect", size)
    with client.stream("sink") as stream:
        started = time.perf_counter()
        for _ in range(size // len(CHUNK)):
            stream.send(CHUNK)
        stream.receive()
        return timing.rate(size, started)


def port_forward(client: Any, size: int) -> float:
    """MB/s through a forwarded port of this process."""
    from jumpstarter_driver_network.adapters import TcpPortforwardAdapter

    with TcpPortforwardAdapter(client=client) as address:
        return timing.push(address, size)


def upload(client: Any, path: str) -> float:
    """MB/s of a file to the exporter's storage."""
    size = os.stat(path).st_size  # noqa: PTH116 - a path as text
    started = time.perf_counter()
    client.write_from_path("uploaded", path)
    speed = timing.rate(size, started)
    if client.stat("uploaded").content_length != size:
        raise ValueError("the uploaded file has another size")
    client.delete("uploaded")
    return speed


def main() -> None:
    """Answer until the shell's standard input ends."""
    with env() as client:
        bench = client.children["bench"]
        ping = partial(bench.call, "ping")
        measures: dict[str, Callable[..., float]] = {
            "ping": lambda count: timing.p50(ping, count),
            "echo": lambda count: timing.p50(partial(bench.call, "echo", ECHO), count),
            "threads": lambda threads, count: timing.concurrent(ping, threads, count),
            "items": lambda count: timing.items(bench.streamingcall("items", count), count),
            "byte_stream": partial(byte_stream, bench),
            "port_forward": partial(port_forward, client.children["tcp"]),
            "upload": partial(upload, client.children["storage"]),
        }
        settings = {name: value for name, value in os.environ.items() if name.startswith(SETTINGS)}
        hello = {"settings": settings, "grpcio": version("grpcio"), "python": sys.version.split()[0]}
        answer(measures, hello)


if __name__ == "__main__":
    main()
