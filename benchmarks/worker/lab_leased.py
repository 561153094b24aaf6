"""The client of a leased exporter, in the process that leases it."""

from __future__ import annotations

import sys
from functools import partial

from jumpstarter.config.client import ClientConfigV1Alpha1
from jumpstarter.connection.lease import LeaseRequest, client_of, lease

from . import timing
from .answering import answer
from .subject import byte_stream


def main(_: str, name: str) -> None:
    """Lease an exporter with the label ``kind=NAME`` as the client *name*, and answer until standard input ends."""
    config = ClientConfigV1Alpha1.load(name)
    with lease(config, LeaseRequest(selector=f"kind={name}")) as leased, client_of(leased) as client:
        bench = client.children["bench"]
        ping = partial(bench.call, "ping")
        answer(
            {
                "ping": lambda count: timing.p50(ping, count),
                "byte_stream": partial(byte_stream, bench),
            },
            {},
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
