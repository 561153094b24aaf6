"""An HTTP server that answers exactly what a test says, byte by byte."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class RawServer:
    """`answers` by path are sent as they are, then the connection ends; `seen` has the heads of all requests."""

    port: int
    answers: dict[str, bytes] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(
        self, path: str, body: bytes, *headers: str, status: str = "200 OK", length: int | None = -1
    ) -> None:
        """Answer *path* with *body*; *length* is told in place of the true one, None tells none."""
        lines = [f"HTTP/1.1 {status}", *headers, "Connection: close"]
        if length is not None:
            lines.append(f"Content-Length: {len(body) if length < 0 else length}")
        self.answers[path] = ("\r\n".join(lines) + "\r\n\r\n").encode() + body

    def serve(self, connection: socket.socket) -> None:
        with connection:
            head = b""
            while b"\r\n\r\n" not in head and (piece := connection.recv(65536)):
                head += piece
            text = head.decode("latin-1")
            self.seen.append(text)
            path = text.split(" ")[1] if " " in text else ""
            # A client that has seen enough hangs up in the middle.
            with suppress(ConnectionError):
                connection.sendall(
                    self.answers.get(path, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                )


@contextmanager
def raw_server(host: str = "127.0.0.1") -> Iterator[RawServer]:
    with socket.create_server((host, 0)) as listener:
        server = RawServer(listener.getsockname()[1])

        def run() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=server.serve, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield server
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
