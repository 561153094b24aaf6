"""Why a server cannot listen: gRPC does not tell, so that the same is tried with a plain socket."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from typing import Final

from jumpstarter.common.addresses import split_address
from jumpstarter.common.tempfile import LONGEST_PATH

_REASONS: Final = {
    errno.EADDRINUSE: "the port is in use; take another one, or end the program that has it",
    errno.EADDRNOTAVAIL: "the address is not one of this machine; take one of its own, or 0.0.0.0 for all of them",
    errno.EACCES: "permission denied; ports below 1024 are for root: take a higher one",
}


def why_not(address: str, secure: bool) -> str:
    """The reason why gRPC cannot listen on *address*, with certificates if *secure*."""
    try:
        if address.startswith("unix:"):
            _try_path(address.removeprefix("unix:"))
        else:
            _try_port(*split_address(address))
    except OSError as error:
        return _REASONS.get(error.errno or 0) or error.strerror or str(error)
    return (
        "TLS does not take the certificate and its key"
        if secure
        else "it was in use at that moment; try again"
    )


def _try_path(path: str) -> None:
    size = len(os.fsencode(path))
    if size > LONGEST_PATH:
        raise OSError(
            f"the path has {size} bytes, expected {LONGEST_PATH} at most for a socket; take a shorter folder"
        )
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
    Path(path).unlink()


def _try_port(host: str, port: int) -> None:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    for family, kind, protocol, _, place in found:
        with socket.socket(family, kind, protocol) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(place)
            sock.listen()
