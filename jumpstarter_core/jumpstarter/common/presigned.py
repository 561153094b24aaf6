"""HTTP requests that the exporter makes for a client: GET to read an image, PUT to store one."""

from __future__ import annotations

import http.client
import os
import urllib.error
import urllib.request
from typing import IO, Any, Final
from urllib.parse import urlsplit, urlunsplit

from .exceptions import DriverError
from .resources import PresignedRequestResource

#: Headers that prove who asks. They never follow a redirect to another origin.
_SENSITIVE: Final = ("authorization", "cookie", "proxy-authorization")
_SENSITIVE_PREFIXES: Final = ("x-amz-", "x-ms-", "x-goog-")
_MAX_REDIRECTS: Final = 10


class _Redirects(urllib.request.HTTPRedirectHandler):
    max_redirections = _MAX_REDIRECTS

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if urlsplit(newurl).scheme not in ("http", "https"):
            raise DriverError(
                f"{redact(req.full_url)} redirects to {redact(newurl)}: only http and https are followed"
            )
        new = super().redirect_request(req, fp, code, msg, headers, newurl)
        if new is not None and _origin(newurl) != _origin(req.full_url):
            for name in list(new.headers):
                if name.lower() in _SENSITIVE or name.lower().startswith(_SENSITIVE_PREFIXES):
                    new.remove_header(name)
        return new


def redact(url: str) -> str:
    """*url* without user, password and query, which may hold secrets."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "..." if parts.query else "", ""))


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def open_get(request: PresignedRequestResource, timeout: float) -> Any:
    """The body of a GET, as a file to read. Raises DriverError for a status that is not 2xx, or no answer."""
    return _open(urllib.request.Request(request.url, headers=request.headers, method="GET"), timeout)


def read_body(request: PresignedRequestResource, body: Any, most: int) -> bytes:
    """Up to *most* bytes of what `open_get` gave; none at the end. Raises DriverError when the connection breaks before."""
    try:
        chunk: bytes = body.read(most)
    except (http.client.HTTPException, OSError) as error:
        raise DriverError(f"GET {redact(request.url)} broke off: {error or type(error).__name__}") from None
    # Reading with a bound, the standard library takes a connection that is cut for the end of the data.
    if not chunk and body.length:
        raise DriverError(f"GET {redact(request.url)} broke off: {body.length} bytes are missing")
    return chunk


def put(request: PresignedRequestResource, body: IO[bytes], timeout: float) -> None:
    """PUT all of *body*. Raises DriverError for a status that is not 2xx, or no answer."""
    length = body.seek(0, os.SEEK_END)
    body.seek(0)
    headers = {**request.headers, "Content-Length": str(length)}
    _open(urllib.request.Request(request.url, data=body, headers=headers, method="PUT"), timeout).close()


def _open(request: urllib.request.Request, timeout: float) -> Any:
    where = f"{request.get_method()} {redact(request.full_url)}"
    try:
        return urllib.request.build_opener(_Redirects).open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        reason = " ".join(str(error.reason).split())
        raise DriverError(f"{where} was answered with status {error.code} {reason}: expected 2xx") from None
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        raise DriverError(f"{where} failed: {getattr(error, 'reason', error)}") from None
