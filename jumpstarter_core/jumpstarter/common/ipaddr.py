"""Addresses of this machine and of a local cluster."""

from __future__ import annotations

import logging
import socket

from .exceptions import ConfigurationError

#: An address of RFC 5737 that no machine has. Nothing is sent to it: it only asks the routing table.
_ELSEWHERE = ("192.0.2.1", 9)


def get_ip_address(logger: logging.Logger | None = None) -> str:
    """The IPv4 address by which other machines reach this one; 127.0.0.1 (and a warning to *logger*) without a route."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_ELSEWHERE)
            return str(probe.getsockname()[0])
        except OSError as error:
            if logger is not None:
                logger.warning("this machine has no route to others (%s): using 127.0.0.1", error.strerror)
            return "127.0.0.1"


async def get_minikube_ip(profile: str | None = None, minikube: str = "minikube") -> str:
    """The address of the minikube cluster *profile*, asked of the program *minikube*.

    Raises ConfigurationError when the program is missing or does not know the cluster.
    """
    from anyio import run_process

    command = [minikube, "ip", *(["-p", profile] if profile else [])]
    try:
        done = await run_process(command, check=False)
    except OSError as error:
        raise ConfigurationError(
            f"cannot run {minikube}: {error.strerror}; install minikube or give its path"
        ) from None
    address = done.stdout.decode().strip()
    if done.returncode != 0 or not address:
        reason = (done.stderr or done.stdout).decode().strip() or f"exit code {done.returncode}"
        raise ConfigurationError(f"'{' '.join(command)}' gave no address: {reason}")
    return address
