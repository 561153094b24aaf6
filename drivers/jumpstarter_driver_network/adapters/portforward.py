"""Local ports whose connections reach the peer of a network driver."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from jumpstarter_driver_network.forward import Forwarder, listen_tcp, listen_unix

if TYPE_CHECKING:
    from jumpstarter.client import DriverClient


T = TypeVar("T")


class Adapter(Generic[T]):
    """What all adapters share: an exit stack that owns everything opened on entry, also when entering fails."""

    def __init__(self, client: Any, method: str = "connect") -> None:
        self.client: DriverClient = client
        self.method = method
        self._stack = ExitStack()

    def _open(self) -> T:
        """Open everything, into the stack, and give what the user gets."""
        raise NotImplementedError

    def __enter__(self) -> T:
        with ExitStack() as opening:
            opening.callback(self._stack.close)
            opened = self._open()
            opening.pop_all()
        return opened

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


class TcpPortforwardAdapter(Adapter[tuple[str, int]]):
    """Forward a local TCP port; entering gives ``(host, port)`` as bound.

    Each connection to the port gets a stream of its own. Where the exporter cannot connect, the local
    connection is reset and the reason logged as a warning.

    Args:
        client: a client whose driver has a stream, for instance of TcpNetwork
        local_host: address to listen on; anything but a loopback address opens the port to the network
        local_port: port to listen on, 0 for any free one
        method: the driver's stream method

    Raises:
        ConnectionError: the local address cannot be listened on
    """

    def __init__(
        self, client: Any, local_host: str = "127.0.0.1", local_port: int = 0, *, method: str = "connect"
    ) -> None:
        super().__init__(client, method)
        self.local_host = local_host
        self.local_port = local_port

    def _open(self) -> tuple[str, int]:
        listener = listen_tcp(self.local_host, self.local_port)
        host, port = listener.getsockname()[:2]
        self._stack.enter_context(Forwarder(self.client, self.method, listener))
        return str(host), int(port)


class UnixPortforwardAdapter(Adapter[Path]):
    """Forward a local unix socket, which only its owner may connect to; entering gives its path.

    Args:
        client: a client whose driver has a stream
        path: path of the socket, which must not exist; None for one in a new private directory. It is removed
            on exit.
        method: the driver's stream method

    Raises:
        ConnectionError: the path cannot be listened on
    """

    def __init__(
        self, client: Any, path: str | os.PathLike[str] | None = None, *, method: str = "connect"
    ) -> None:
        super().__init__(client, method)
        self.path = path

    def _open(self) -> Path:
        path = Path(self.path) if self.path is not None else self._private_path()
        listener = listen_unix(str(path))
        self._stack.callback(path.unlink, missing_ok=True)
        self._stack.enter_context(Forwarder(self.client, self.method, listener))
        return path

    def _private_path(self) -> Path:
        import tempfile

        from jumpstarter.common.tempfile import short_folder

        # mkdtemp gives mode 0700.
        runtime = os.environ.get("XDG_RUNTIME_DIR")
        fits = runtime and os.access(runtime, os.W_OK) and len(os.fsencode(runtime)) < 60
        place = runtime if fits else short_folder()
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="jumpstarter-", dir=place))
        return Path(folder) / "socket"
