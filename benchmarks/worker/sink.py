"""A TCP server that takes bytes and, when there are no more, says how many they were."""

from __future__ import annotations

import socketserver

from .answering import answer


class Sink(socketserver.BaseRequestHandler):
    """One connection."""

    def handle(self) -> None:
        """Count to the end."""
        buffer = bytearray(1 << 20)
        size = 0
        while count := self.request.recv_into(buffer):
            size += count
        self.request.sendall(str(size).encode())


class Server(socketserver.ThreadingTCPServer):
    """A thread for each connection."""

    daemon_threads = True


def main() -> None:
    """Serve until standard input ends."""
    import threading

    with Server(("127.0.0.1", 0), Sink) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        answer({}, {"port": server.server_address[1]})
        server.shutdown()
        thread.join()


if __name__ == "__main__":
    main()
