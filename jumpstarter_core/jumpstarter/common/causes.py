"""Why a connection cannot be had, in words, and what to do next: one table for every message of a connection.

gRPC tells causes as text of its own and of the libraries under it. What is not in the table is told as it came.
"""

from __future__ import annotations

import os
import socket
from typing import Any, Final, NamedTuple

from .addresses import join_address, split_address


class Cause(NamedTuple):
    """What happened, and what to do."""

    what: str
    next_step: str


_REFUSED: Final = Cause("nothing listens there", "check host and port, and that the controller runs")
_TRUST: Final = (
    "log in again with 'jmp login', or set tls.ca of the configuration to the lab's certificate authority"
)

#: Texts (in lower case) by which a cause is known, most special first.
_CAUSES: Final[tuple[tuple[tuple[str, ...], Cause], ...]] = (
    (
        (
            "wrong_version_number",
            "wrong version number",
            "http_request",
            "trying to connect an http1.x server",
        ),
        Cause("what listens there does not speak TLS", "check the port: the controller's is 8082 by default"),
    ),
    (
        ("certificate has expired", "certificate is not yet valid"),
        Cause(
            "its certificate is not valid today",
            "have the controller's certificate renewed, and check this machine's clock",
        ),
    ),
    (
        ("hostname verification", "hostname mismatch", "peer name", "is not in peer certificate"),
        Cause(
            "its certificate is for another name",
            "use an address that the certificate names ('jmp info' shows them), or add this one to the controller's names",
        ),
    ),
    (
        ("self-signed", "self signed"),
        Cause("its certificate is signed by itself, or by an authority that is not trusted here", _TRUST),
    ),
    (
        ("certificate_verify_failed", "unable to get local issuer", "unable to get issuer", "unknown ca"),
        Cause("its certificate is of an authority that is not trusted here", _TRUST),
    ),
    (
        ("ssl", "tls", "handshake"),
        Cause(
            "the TLS connection failed",
            "check that the port is the controller's, and that it was not set up anew",
        ),
    ),
    (
        (
            "dns resolution failed",
            "name or service not known",
            "domain name not found",
            "nodename nor servname",
            "could not contact dns",
            "temporary failure in name resolution",
            "name resolution",
            "misformatted domain name",
            "c-ares",
        ),
        Cause("the name is not known", "check how it is written, and this machine's DNS and VPN"),
    ),
    (
        ("connection refused",),
        _REFUSED,
    ),
    (
        ("no route to host", "network is unreachable", "host is unreachable"),
        Cause("there is no way to this host", "check the network, and the VPN where there is one"),
    ),
    (
        ("timed out", "timeout", "deadline"),
        Cause("there was no answer in time", "check host and port, and firewalls between"),
    ),
    (
        ("method not found", "unimplemented"),
        Cause(
            "what answers there is no controller",
            "check the port: the router has another (8083) than the controller (8082)",
        ),
    ),
    (
        ("socket closed", "connection reset", "endpoint closing", "broken pipe"),
        Cause("the connection was closed", "check that the port is the controller's, and try again"),
    ),
)


def cause_of(details: str) -> Cause | None:
    """The cause that *details* tells of; None for one that the table does not know."""
    text = details.lower()
    for signs, cause in _CAUSES:
        if any(sign in text for sign in signs):
            return cause
    return None


#: What to do next where it is an exporter in direct mode that cannot be reached, by what happened.
_EXPORTER_STEPS: Final = {
    "what listens there does not speak TLS": "the exporter may serve without TLS: --tls-grpc-insecure, JMP_GRPC_INSECURE=1",
    "its certificate is for another name": "use an address that the certificate names",
    "the name is not known": "check how it is written, and this machine's DNS and VPN",
    "nothing listens there": "check host and port, and that the exporter runs: jmp run --tls-grpc-listener",
    "there is no way to this host": "check the network, and the VPN where there is one",
    "there was no answer in time": "check host and port, and firewalls between",
    "the connection was closed": "the exporter has ended, or speaks TLS only: look at its log",
    "what answers there is no controller": "check the port",
}
_EXPORTER_TRUST: Final = "name its certificate authority with JMP_GRPC_CA"


def in_words(details: str, short: str) -> str:
    """Why an exporter in direct mode cannot be reached, with what to do next; *short* where the table does not know the cause."""
    found = cause_of(details)
    if found is None:
        return short
    what = found.what.replace("controller", "exporter")
    return f"{what} ({_EXPORTER_STEPS.get(found.what, _EXPORTER_TRUST)})"


def explain(details: str, address: str, short: str = "") -> str:
    """Why *address* cannot be reached, in words, with what to do next.

    *details* is what gRPC or the system said, *short* what of it is told where the table does not know the cause.
    """
    found, proxy = cause_of(details), proxy_for(address)
    if found is _REFUSED and not proxy:
        found = _other_address(address) or found
    what = found.what if found else short or details or "no answer in time"
    steps = [found.next_step] if found else []
    if proxy:
        name, value = proxy
        steps.insert(0, f"{name}={value} is used for it: check that proxy, or add the host to no_proxy")
    where = f"{address}: " if address else ""
    return f"{where}{what}" + (f" ({'; '.join(steps)})" if steps else "")


#: Seconds for a connection to one address of a name.
_PROBE: Final = 0.5


def _other_address(address: str) -> Cause | None:
    """The cause where a name has several addresses, and not all refuse: gRPC tells of the last that it has tried."""
    try:
        host, port = split_address(address)
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError):
        return None
    answering = [str(where[0]) for family, *_, where in found if _takes_connections(family, where)]
    if len(found) == 1 or not answering:
        return None
    return Cause(
        f"one of its addresses refuses, and the connection to another, {answering[0]}, fails too",
        f"use {join_address(answering[0], port)}: then the cause is told",
    )


def _takes_connections(family: int, where: Any) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE)
        return probe.connect_ex(where) == 0


#: What gRPC reads, in its order. It knows no capital letters.
_PROXIES: Final = ("grpc_proxy", "https_proxy", "http_proxy")
_EXCEPTIONS: Final = ("no_grpc_proxy", "no_proxy")


def proxy_for(address: str) -> tuple[str, str] | None:
    """(variable, value without a password) of the HTTP proxy that gRPC uses for *address*; None when it uses none."""
    host = address.rpartition(":")[0].strip("[]")
    if not host:
        return None
    for name in _PROXIES:
        if value := os.environ.get(name):
            return None if _is_excepted(host) else (name, _without_password(value))
    return None


def _is_excepted(host: str) -> bool:
    excepted = next((value for name in _EXCEPTIONS if (value := os.environ.get(name))), "")
    # As gRPC does: an entry is the end of a name.
    return any(host.endswith(entry.strip()) for entry in excepted.split(",") if entry.strip())


def _without_password(url: str) -> str:
    scheme, separator, rest = url.rpartition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
