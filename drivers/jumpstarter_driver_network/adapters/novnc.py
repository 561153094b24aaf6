"""A VNC server behind a driver, seen in a browser with noVNC.

noVNC speaks RFB over binary WebSocket messages (https://novnc.com). The page itself comes from noVNC's site;
only the WebSocket is served here, on the loopback address.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from jumpstarter_driver_network.relay import abandon, describe

from .portforward import Adapter

if TYPE_CHECKING:
    from jumpstarter.streams.blocking import BlockingStream

VIEWER = "https://novnc.com/noVNC/vnc.html"
#: Where `VIEWER` is from. Pages of others could use the WebSocket of whoever has them open, if they were let in.
VIEWER_ORIGIN = "https://novnc.com"


class NovncAdapter(Adapter[str]):
    """Serve a driver's stream to noVNC; entering gives the URL to open in a browser. Needs the extra
    ``network``.

    Args:
        client: a client whose driver's stream speaks RFB (VNC)
        method: the driver's stream method
        encrypt: whether the viewer is told to use ``wss://``. The WebSocket itself is plain, so this needs a
            proxy with TLS in front of it; browsers allow a plain one on the loopback address.
        origins: where further viewers are from, such as ``http://viewer.lan:6080``; pages from elsewhere are
            refused. Programs, which name no origin, are let in.

    Raises:
        ConfigurationError: websockets is not installed
    """

    def __init__(
        self, client: Any, *, method: str = "connect", encrypt: bool = True, origins: Sequence[str] = ()
    ) -> None:
        super().__init__(client, method)
        self.origins = (VIEWER_ORIGIN, *origins)
        self.encrypt = encrypt
        self._lock = threading.Lock()
        self._viewers: dict[threading.Thread, BlockingStream] = {}

    def _open(self) -> str:
        from jumpstarter_driver_network.websocket import require_websockets

        require_websockets()
        from websockets.sync.server import serve
        from websockets.typing import Origin

        server = serve(
            self._serve,
            "127.0.0.1",
            0,
            origins=[*(Origin(origin) for origin in self.origins), None],
            select_subprotocol=_any_subprotocol,
            compression=None,
            ping_timeout=None,
            close_timeout=1,
        )
        host, port = server.socket.getsockname()[:2]
        thread = threading.Thread(target=server.serve_forever, name="novnc", daemon=True)
        thread.start()
        self._stack.callback(self._hang_up)
        self._stack.callback(thread.join)
        self._stack.callback(server.shutdown)
        query = {"encrypt": int(self.encrypt), "autoconnect": 1, "reconnect": 1, "host": host, "port": port}
        return f"{VIEWER}?{urlencode(query)}"

    @contextmanager
    def _listed(self, stream: BlockingStream) -> Iterator[None]:
        """Keep *stream* where `_hang_up` finds it."""
        this = threading.current_thread()
        with self._lock:
            self._viewers[this] = stream
        try:
            yield
        finally:
            with self._lock:
                del self._viewers[this]

    def _hang_up(self) -> None:
        """End all viewers and wait for their threads."""
        with self._lock:
            viewers = dict(self._viewers)
        for thread, stream in viewers.items():
            abandon(stream)
            thread.join()

    def _serve(self, browser: Any) -> None:
        """One viewer: until the browser or the VNC server hangs up."""
        from anyio import BrokenResourceError, ClosedResourceError, EndOfStream
        from jumpstarter.common.exceptions import JumpstarterException
        from websockets.exceptions import ConnectionClosed

        try:
            with self.client.stream(self.method) as stream, self._listed(stream):
                uplink = threading.Thread(
                    target=_carry_up, args=(browser, stream), name="novnc uplink", daemon=True
                )
                uplink.start()
                try:
                    while True:
                        browser.send(stream.receive())
                except (EndOfStream, ClosedResourceError, ConnectionClosed):
                    browser.close()
                uplink.join()
        except (JumpstarterException, BrokenResourceError, ClosedResourceError) as error:
            self.client.logger.warning("noVNC: the connection broke: %s", describe(error))
            browser.close(1011, "the VNC server cannot be reached")


def _carry_up(browser: Any, stream: BlockingStream) -> None:
    from anyio import BrokenResourceError, ClosedResourceError
    from jumpstarter.common.exceptions import JumpstarterException

    try:
        for message in browser:
            stream.send(message.encode() if isinstance(message, str) else message)
        # A viewer that left wants nothing more: end the other direction as well.
        abandon(stream)
    except (BrokenResourceError, ClosedResourceError, JumpstarterException):
        browser.close()


def _any_subprotocol(_: Any, offered: Any) -> Any:
    """Old viewers ask for "binary", new ones for none; both are served."""
    return "binary" if "binary" in offered else None
