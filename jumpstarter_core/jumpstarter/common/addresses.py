"""Addresses of the form HOST:PORT, in which an IPv6 host stands in brackets."""

from __future__ import annotations


def split_address(address: str) -> tuple[str, int]:
    """``[::1]:8082`` as ``("::1", 8082)``. Raises ValueError without a port."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def join_address(host: str, port: int) -> str:
    """The opposite of `split_address`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
