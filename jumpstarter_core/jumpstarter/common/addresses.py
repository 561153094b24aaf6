"""Addresses of the form HOST:PORT, in which an IPv6 host stands in brackets."""

from __future__ import annotations


def split_address(address: str) -> tuple[str, int]:
    """``[::1]:8082`` as ``("::1", 8082)``. Raises ValueError without a port."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def address_problem(address: str) -> str:
    """What is wrong with *address* as that of a controller; "" where it is HOST:PORT with a port of 1 to 65535."""
    if address != address.strip() or any(each.isspace() for each in address):
        return "it has blanks in it"
    if "://" in address:
        return f"it is a URL; leave out {address.partition('://')[0]}://"
    if "/" in address or "@" in address:
        return "it has more than a host and a port"
    host, colon, port = address.rpartition(":")
    if not colon or address.endswith("]"):
        return "it has no port"
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        return "an address of IPv6 stands in brackets, as in [::1]:8082"
    if not host or host == "[]":
        return "it has no host"
    if not (port.isascii() and port.isdecimal() and 1 <= int(port) <= 65535):
        return "a port is a number from 1 to 65535"
    return ""


def join_address(host: str, port: int) -> str:
    """The opposite of `split_address`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
