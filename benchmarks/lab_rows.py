"""What a lab costs: leases, and the way of calls and bytes through its router."""

from __future__ import annotations

from . import startup
from .bench import Bench
from .processes import Installation


def granted_p50(bench: Bench, subject: Installation) -> float:
    """Median from asking for a board until the client is told that it has one, in milliseconds."""
    return bench.lab(subject).clients.ask("granted", bench.scale.leases, 50)


def granted_p99(bench: Bench, subject: Installation) -> float:
    """The same for 99 of 100."""
    return bench.lab(subject).clients.ask("granted", bench.scale.leases, 99)


def handed_over_p50(bench: Bench, subject: Installation) -> float:
    """Median from the release of a board until the next client is told that it has it, in milliseconds."""
    return bench.lab(subject).clients.ask("handed_over", bench.scale.leases, 50)


def handed_over_p99(bench: Bench, subject: Installation) -> float:
    """The same for 99 of 100."""
    return bench.lab(subject).clients.ask("handed_over", bench.scale.leases, 99)


def turnover(bench: Bench, subject: Installation) -> float:
    """Leases created and released a second by 50 clients."""
    return bench.lab(subject).clients.ask("turn_over", bench.scale.turnover)


def unary(bench: Bench, subject: Installation) -> float:
    """Median of a call of a leased exporter, in microseconds."""
    return bench.lab(subject).library.ask("ping", bench.scale.calls)


def unary_direct(bench: Bench, subject: Installation) -> float:
    """The same of an exporter in direct mode."""
    return bench.lab(subject).direct.ask("ping", bench.scale.calls)


def stream(bench: Bench, subject: Installation) -> float:
    """MB/s of 64 KiB sends to a leased exporter."""
    return bench.lab(subject).library.ask("byte_stream", bench.scale.stream)


def stream_direct(bench: Bench, subject: Installation) -> float:
    """The same to an exporter in direct mode."""
    return bench.lab(subject).direct.ask("byte_stream", bench.scale.stream)


def j(bench: Bench, subject: Installation) -> float:
    """``j power on`` in a shell that has leased an exporter, in milliseconds."""
    return startup.power_on(bench, subject, bench.lab(subject).shell)


def j_local(bench: Bench, subject: Installation) -> float:
    """The same in a shell that serves the exporter itself."""
    return startup.j(bench, subject)
