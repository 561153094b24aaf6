"""The small HTTP service that ``jmp login`` asks where the lab is: ``/v1/auth/config``, ``/healthz`` and a page for people.

Plain HTTP, as with stock Jumpstarter: what it tells is public, and a proxy in front adds TLS where it matters.
"""

from __future__ import annotations

import asyncio
import base64
import html
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from jumpstarter.common.throttle import ThrottledLog

logger = logging.getLogger(__name__)

#: Seconds that a request may take to arrive; how many bytes it may have is asyncio's limit of a reader.
REQUEST_TIMEOUT: Final = 10.0

#: For browsers: nothing of another origin is loaded, no page frames this one, and types are not guessed.
_PROTECTION: Final = (
    "Content-Security-Policy: default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
    "X-Frame-Options: DENY\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n"
)

_PAGE: Final = """\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Jumpstarter lab</title></head>
<body><h1>Jumpstarter lab</h1>
<p>Log in with a token that an administrator of the lab gave you:</p>
<pre>jmp login NAME@{host}</pre>
<dl><dt>Controller</dt><dd>{endpoint}</dd><dt>Namespace</dt><dd>{namespace}</dd></dl>
</body></html>
"""


@dataclass(frozen=True)
class LabInfo:
    """What a client needs to know before it has a configuration; *authority* gives the PEM of now."""

    endpoint: str
    namespace: str
    authority: Callable[[], bytes]
    router_endpoint: str | None = None

    def config(self) -> dict[str, object]:
        """The answer of ``/v1/auth/config``."""
        answer: dict[str, object] = {"grpcEndpoint": self.endpoint, "namespace": self.namespace}
        if self.router_endpoint:
            answer["routerEndpoint"] = self.router_endpoint
        answer["caBundle"] = base64.b64encode(self.authority()).decode()
        return answer


@contextmanager
def short_loop_errors() -> Iterator[None]:
    """While the block runs, asyncio tells in one line a minute that it cannot take connections, being out of files."""
    loop, log = asyncio.get_running_loop(), ThrottledLog(logger)
    before = loop.get_exception_handler()

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, OSError) and "socket" in context:
            log.warning("accept", f"{context.get('message')}: {error.strerror or error}")
        elif before is not None:
            before(loop, context)
        else:
            loop.default_exception_handler(context)

    loop.set_exception_handler(handle)
    try:
        yield
    finally:
        loop.set_exception_handler(before)


class LoginServer:
    """Answers GET and HEAD, one request a connection."""

    def __init__(self, info: LabInfo) -> None:
        self._info = info
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; gives the port. Raises OSError when the address cannot be used."""
        everywhere = host in ("", "::", "0.0.0.0")
        self._server = await asyncio.start_server(self._serve, None if everywhere else host, port)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer(head))
                await writer.drain()
        except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError) as error:
            logger.debug("login request dropped: %s", error)
        finally:
            writer.close()

    def _answer(self, head: bytes) -> bytes:
        lines = head.decode("latin-1").split("\r\n")
        method, _, rest = lines[0].partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
        }
        if method not in ("GET", "HEAD"):
            return _response(
                "405 Method Not Allowed", "text/plain", "only GET and HEAD\n", more="Allow: GET, HEAD\r\n"
            )
        status, kind, body = self._page(path, headers.get("host", self._info.endpoint))
        return _response(status, kind, body, head_only=method == "HEAD")

    def _page(self, path: str, host: str) -> tuple[str, str, str]:
        match path:
            case "/v1/auth/config":
                return "200 OK", "application/json", json.dumps(self._info.config()) + "\n"
            case "/healthz":
                return "200 OK", "text/plain", "ok"
            case "/":
                values = {"host": host, "endpoint": self._info.endpoint, "namespace": self._info.namespace}
                page = _PAGE.format(**{name: html.escape(value) for name, value in values.items()})
                return "200 OK", "text/html; charset=utf-8", page
        return "404 Not Found", "text/plain", "expected /v1/auth/config, /healthz or /\n"


def _response(status: str, kind: str, body: str, *, more: str = "", head_only: bool = False) -> bytes:
    data = body.encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n"
        f"Cache-Control: no-store\r\nConnection: close\r\n{_PROTECTION}{more}\r\n"
    )
    return head.encode() + (b"" if head_only else data)
