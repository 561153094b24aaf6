"""Bytes from the client to the exporter and beyond."""

from __future__ import annotations

import subprocess
import time

from .bench import Bench
from .processes import Installation
from .worker.timing import rate


def stream(bench: Bench, subject: Installation) -> float:
    """MB/s of 64 KiB sends into a driver's stream."""
    return bench.client(subject).ask("byte_stream", bench.scale.stream)


def stream_limit(bench: Bench, subject: Installation) -> float:
    """MB/s of grpc messages of 64 KiB."""
    return bench.limit.ask("byte_stream", bench.scale.stream)


def forward(bench: Bench, subject: Installation) -> float:
    """MB/s through a forwarded port: program, client, exporter, TCP server."""
    return bench.client(subject).ask("port_forward", bench.scale.forward)


def forward_limit(bench: Bench, subject: Installation) -> float:
    """MB/s of a direct connection to the same TCP server."""
    return bench.limit.ask("port_forward", bench.sink_port, bench.scale.forward)


def upload(bench: Bench, subject: Installation) -> float:
    """MB/s of a file to the exporter's storage."""
    return bench.client(subject).ask("upload", str(bench.file))


def upload_limit(bench: Bench, subject: Installation) -> float:
    """MB/s of ``cp`` with the same file."""
    copy = bench.folder / "copy"
    size = bench.file.stat().st_size
    started = time.perf_counter()
    subprocess.run(["cp", bench.file, copy], check=True)
    speed = rate(size, started)
    copy.unlink()
    return speed
