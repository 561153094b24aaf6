"""The client's side of direct mode: an exporter that serves clients itself, at HOST:PORT."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

from jumpstarter.common.exceptions import ArgumentError


@contextmanager
def direct_session(address: str, *, insecure: bool, passphrase: str | None, all_logs: bool) -> Iterator[str]:
    """Wait while the exporter runs its beforeLease hook; what the hook prints is logged.

    Gives the warning of a hook that failed without consequences, else "". With *all_logs* everything that the
    exporter logs is logged here too, for as long as the context lasts.

    Raises:
        ConnectionError: no exporter answers there, or it refuses the passphrase.
        ExporterNotReady: its hook failed, or it shuts down.
    """
    from jumpstarter.client.logs import follow
    from jumpstarter.client.transport import ExporterStub
    from jumpstarter.common.errors import reached_at
    from jumpstarter.common.grpc import exporter_channel
    from jumpstarter.connection.readiness import WAITING, wait_until_ready
    from jumpstarter.utils.env import tcp_options

    how = {**tcp_options(), "insecure": insecure, "passphrase": passphrase}
    with reached_at(address), exporter_channel(address, **how) as channel, ExitStack() as stack:
        stub = ExporterStub(channel)
        waiting = _status(stub).status in WAITING
        if all_logs:
            stack.enter_context(follow(stub, show_all=True))
        with follow(stub, show_all=False) if waiting and not all_logs else nullcontext():
            warning = wait_until_ready(lambda: _status(stub))
        yield warning


def parse_address(text: str) -> str:
    """*text* if it is HOST:PORT with a port of 1 to 65535.

    Raises:
        ArgumentError: it is not.
    """
    from jumpstarter.common.addresses import address_problem

    if address_problem(text):
        raise ArgumentError(f"'{text}' is not HOST:PORT with a port from 1 to 65535 (option --tls-grpc)")
    return text


def _status(stub: Any) -> Any:
    """The exporter's GetStatusResponse."""
    import grpc
    from jumpstarter.common.errors import connection_error
    from jumpstarter.connection.readiness import status_of

    try:
        return status_of(stub)
    except grpc.RpcError as error:
        raise connection_error(error) from None
