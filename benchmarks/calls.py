"""Calls of a driver and what its generators give, against grpc with the same messages."""

from __future__ import annotations

from .bench import Bench
from .processes import Installation


def unary(bench: Bench, subject: Installation) -> float:
    """Median of a call that gives a short text, in microseconds."""
    return bench.client(subject).ask("ping", bench.scale.calls)


def unary_limit(bench: Bench, subject: Installation) -> float:
    """The same by grpc."""
    return bench.limit.ask("ping", bench.scale.calls)


def echo(bench: Bench, subject: Installation) -> float:
    """Median of a call with a dictionary of ten lists, there and back, in microseconds."""
    return bench.client(subject).ask("echo", bench.scale.calls)


def echo_limit(bench: Bench, subject: Installation) -> float:
    """The same by grpc."""
    return bench.limit.ask("echo", bench.scale.calls)


def threads(bench: Bench, subject: Installation) -> float:
    """Calls per second of many threads of one client."""
    return bench.client(subject).ask("threads", bench.scale.threads, bench.scale.calls_per_thread)


def threads_limit(bench: Bench, subject: Installation) -> float:
    """The same by grpc."""
    return bench.limit.ask("threads", bench.scale.threads, bench.scale.calls_per_thread)


def items(bench: Bench, subject: Installation) -> float:
    """Items per second of a generator."""
    return bench.client(subject).ask("items", bench.scale.items)


def items_limit(bench: Bench, subject: Installation) -> float:
    """The same by grpc."""
    return bench.limit.ask("items", bench.scale.items)
