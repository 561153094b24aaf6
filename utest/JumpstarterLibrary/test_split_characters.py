"""Reading keywords between the pieces of a character."""

from __future__ import annotations

import socket
from contextlib import ExitStack

from jumpstarter.common.utils import serve
from jumpstarter_driver_composite.driver import Composite
from jumpstarter_driver_pyserial.driver import PySerial
from jumpstarter_testing.eventually import eventually

from JumpstarterLibrary.adapters import Context
from JumpstarterLibrary.consoles import Consoles
from JumpstarterLibrary.generation import driver_keywords
from JumpstarterLibrary.timeouts import Timeouts


def test_serial_read_gives_whole_characters() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, ExitStack() as cleanup:
        url = f"socket://127.0.0.1:{server.getsockname()[1]}"
        client = cleanup.enter_context(serve(Composite(children={"serial": PySerial(url=url)})))
        consoles = Consoles()
        cleanup.callback(consoles.close)
        context = lambda path: Context(path, Timeouts(), consoles, cleanup)  # noqa: E731
        keywords = driver_keywords(client, context, ()).keywords
        keywords["Serial Write Line"]()
        peer = cleanup.enter_context(server.accept()[0])
        console, read = consoles.get(client.serial.uuid), ""
        for piece in (b"gr\xc3", b"\xbc", b"\xc3", b"\x9fe"):
            peer.sendall(piece)
            eventually(lambda piece=piece: console.peek().endswith(piece), timeout=60)
            read += keywords["Serial Read"]()
        assert read == "grüße"
