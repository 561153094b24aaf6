"""What grpc itself can do: a synchronous server that answers with messages made beforehand."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from jumpstarter_protocol import jumpstarter_pb2_grpc, router_pb2, router_pb2_grpc

from .answering import answer
from .limit_messages import ITEM_RESPONSE, RESPONSES

#: One for each calling thread, so that no call waits for another.
THREADS = 64


class Calls(jumpstarter_pb2_grpc.ExporterServiceServicer):
    """Unary calls and items."""

    def DriverCall(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """The response to *request*'s method."""
        return RESPONSES[request.method]

    def StreamingDriverCall(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:  # noqa: N802
        """As many items as the argument says."""
        for _ in range(int(request.args[0].number_value)):
            yield ITEM_RESPONSE


class Sink(router_pb2_grpc.RouterServiceServicer):
    """A byte stream, one way."""

    def Stream(self, frames: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:  # noqa: N802
        """Take everything, then answer once."""
        for _ in frames:
            pass
        yield router_pb2.StreamResponse(payload=b".")


def main(path: str) -> None:
    """Serve on the unix socket *path* until standard input ends."""
    server = grpc.server(ThreadPoolExecutor(THREADS))
    jumpstarter_pb2_grpc.add_ExporterServiceServicer_to_server(Calls(), server)  # type: ignore[no-untyped-call]
    router_pb2_grpc.add_RouterServiceServicer_to_server(Sink(), server)  # type: ignore[no-untyped-call]
    server.add_insecure_port(f"unix:{path}")
    server.start()
    answer({}, {})
    server.stop(None).wait()


if __name__ == "__main__":
    main(sys.argv[1])
