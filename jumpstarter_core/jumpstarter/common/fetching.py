"""Which hosts an exporter fetches from and sends to when a client names them.

Checked is the address that a connection is made to, not only the name, and again for each redirect: a name that leads to the
exporter's own machine is refused like its number.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

#: Stands for all hosts but the exporter's own machine and what only its own network segment reaches.
NETWORK: Final = "network"


@dataclass(frozen=True)
class FetchPolicy:
    """The hosts that are *allowed*: `network`, names, patterns such as ``*.example.com``, addresses, networks, or ``*``.

    Raises ValueError for an entry that is none of these.
    """

    allowed: tuple[str, ...] = (NETWORK,)

    def __post_init__(self) -> None:
        for entry in self.allowed:
            if not entry or "://" in entry or ("/" in entry and not _network(entry)):
                raise ValueError(
                    f"{entry!r} is no host: expected {NETWORK}, a name, *.example.com, an address, 10.0.0.0/8 or *"
                )

    def allows(self, host: str, address: str) -> bool:
        """True when a connection to *address*, by which *host* is reached, may be made."""
        number = _plain(address)
        return any(_matches(entry, host.lower(), number) for entry in self.allowed)

    def allows_name(self, host: str) -> bool:
        """The same where a proxy finds the address, which takes numbers in all the forms that C libraries take."""
        host = host.lower().rstrip(".")
        number = _number(host)
        if number is not None:
            return self.allows(host, number)
        own = host == "localhost" or host.endswith(".localhost")
        return any(_fits(host, entry) or (entry == NETWORK and not own) for entry in self.allowed)

    def refusal(self, host: str) -> str:
        """Why there is no connection to *host*, and what to do."""
        return (
            f"this exporter does not connect to {host} for clients; the key fetch.allow of its file says which hosts it "
            "may, or give a local file, which the client sends itself"
        )


def _matches(entry: str, host: str, address: IPv4Address | IPv6Address) -> bool:
    if entry == NETWORK:
        return not (
            address.is_loopback
            or address.is_link_local
            or address.is_unspecified
            or address.is_multicast
            or _is_own(str(address))
        )
    network = _network(entry)
    if network is not None:
        return address.version == network.version and address in network
    return _fits(host, entry)


def _fits(host: str, pattern: str) -> bool:
    from fnmatch import fnmatchcase

    return fnmatchcase(host.lower(), pattern.lower())


def _network(entry: str) -> Any:
    from ipaddress import ip_network

    try:
        return ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return None


def _number(host: str) -> str | None:
    """*host* as an address, when it is one: also `127.1`, `0x7f000001` and the like. None for a name."""
    import socket

    with suppress(ValueError):
        return str(_plain(host))
    with suppress(OSError):
        return socket.inet_ntoa(socket.inet_aton(host))
    return None


def _is_own(address: str) -> bool:
    """Whether *address* is one of this machine: then the system sends to it from itself. Nothing is sent to find out."""
    import socket

    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((address, 9))
        return bool(probe.getsockname()[0] == address)
    return False


def _plain(address: str) -> IPv4Address | IPv6Address:
    from ipaddress import ip_address

    number = ip_address(address.partition("%")[0])
    mapped = getattr(number, "ipv4_mapped", None)
    return mapped or number
