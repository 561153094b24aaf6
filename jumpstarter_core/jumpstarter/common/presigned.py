"""HTTP requests for the content of images: GET to read one, PUT to store one; at the exporter and at the client."""

from __future__ import annotations

import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Final, Self

from .checked_http import handlers
from .exceptions import DriverError
from .fetching import FetchPolicy
from .resources import PresignedRequestResource
from .webaddress import redact, web_address

if TYPE_CHECKING:
    from jumpstarter.streams.compression import Inflater

__all__ = ["Body", "open_get", "put", "redact"]

#: Headers that prove who asks. They never follow a redirect to another origin.
_SENSITIVE: Final = ("authorization", "cookie", "proxy-authorization")
_SENSITIVE_PREFIXES: Final = ("x-amz-", "x-ms-", "x-goog-")
_MAX_REDIRECTS: Final = 10


class _Redirects(urllib.request.HTTPRedirectHandler):
    max_redirections = _MAX_REDIRECTS

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        try:
            address = web_address(newurl)
        except ValueError as error:
            raise DriverError(
                f"{redact(req.full_url)} redirects to where nobody can follow: {error}"
            ) from None
        new = super().redirect_request(req, fp, code, msg, headers, address.url)
        if new is None:
            return None
        if address.origin != web_address(req.full_url).origin:
            for name in list(new.headers):
                if name.lower() in _SENSITIVE or name.lower().startswith(_SENSITIVE_PREFIXES):
                    new.remove_header(name)
        for name, value in address.headers.items():
            new.add_header(name, value)
        return new


class Body:
    """What a server answered; `read` gives it as it was before the server compressed it on the way.

    `size` in bytes is None where it is not known. `coding` is the one coding that is undone, None when there are none or several.
    """

    def __init__(self, response: Any, where: str) -> None:
        self._response = response
        self._where = where
        self._decoders: list[Inflater] = _decoders(response, where)
        self._ended = False
        self.size: int | None = None if self._decoders else response.length
        names = [str(decoder.name) for decoder in self._decoders]
        self.coding = names[0] if len(names) == 1 else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def read(self, most: int) -> bytes:
        """Some bytes; none at the end. Raises DriverError when the connection breaks before, or the data is not as announced."""
        return self._decoded(len(self._decoders), most)

    def _decoded(self, level: int, most: int) -> bytes:
        """What comes out of the first *level* decoders."""
        if level == 0:
            return self._raw(most)
        decoder = self._decoders[level - 1]
        try:
            while (out := decoder.next()) is None:
                if decoder.ended:
                    return b""
                decoder.push(self._decoded(level - 1, most) or None)
        except ValueError as error:
            raise DriverError(
                f"{self._where} was answered with a body that cannot be decoded: {error}"
            ) from None
        return out

    def _raw(self, most: int) -> bytes:
        try:
            chunk: bytes = self._response.read(most)
        except (http.client.HTTPException, OSError) as error:
            raise DriverError(f"{self._where} broke off: {error or type(error).__name__}") from None
        # Reading with a bound, the standard library takes a connection that is cut for the end of the data.
        if not chunk and self._response.length:
            raise DriverError(f"{self._where} broke off: {self._response.length} bytes are missing")
        return chunk

    def close(self) -> None:
        """End the connection."""
        self._response.close()


def open_get(request: PresignedRequestResource, timeout: float, policy: FetchPolicy | None = None) -> Body:
    """The body of a GET.

    Raises DriverError for an address that *policy* (None: any) does not allow, no answer, one that is not the whole content,
    or one that is encoded in a way that is not known here.
    """
    where, response = _open(request, "GET", None, {}, timeout, policy)
    try:
        _check(response, where)
        return Body(response, where)
    except BaseException:
        response.close()
        raise


def put(
    request: PresignedRequestResource, body: IO[bytes], timeout: float, policy: FetchPolicy | None = None
) -> None:
    """PUT all of *body*. Raises DriverError for an address that *policy* does not allow, no answer, or no 2xx."""
    length = body.seek(0, os.SEEK_END)
    body.seek(0)
    _open(request, "PUT", body, {"Content-Length": str(length)}, timeout, policy)[1].close()


def _check(response: Any, where: str) -> None:
    """Raise DriverError unless *response* has the whole content."""
    if response.status not in (200, 203):
        raise DriverError(
            f"{where} was answered with status {response.status} {response.reason}: expected 200 and the whole content"
        )
    lengths = {
        value.strip() for line in response.headers.get_all("Content-Length", ()) for value in line.split(",")
    }
    if len(lengths) > 1 or not all(value.isascii() and value.isdigit() for value in lengths):
        raise DriverError(
            f"{where} was answered with Content-Length {', '.join(sorted(lengths))!r}: expected one number"
        )
    transfer = response.headers.get("Transfer-Encoding", "chunked").strip().lower()
    if transfer != "chunked":
        raise DriverError(
            f"{where} was answered with Transfer-Encoding {transfer!r}: expected chunked or none"
        )


def _decoders(response: Any, where: str) -> list[Inflater]:
    from .content_coding import decoders

    try:
        return decoders(", ".join(response.headers.get_all("Content-Encoding", ())))
    except ValueError as error:
        raise DriverError(f"{where} was answered, but {error}") from None


def _open(
    request: PresignedRequestResource,
    method: str,
    body: IO[bytes] | None,
    headers: Mapping[str, str],
    timeout: float,
    policy: FetchPolicy | None,
) -> tuple[str, Any]:
    """What is asked for, for messages, and the server's answer."""
    try:
        address = web_address(request.url)
    except ValueError as error:
        raise DriverError(f"{method}: {error}") from None
    where = f"{method} {redact(address.url)}"
    sent = {**address.headers, **request.headers, **headers}
    try:
        asked = urllib.request.Request(address.url, data=body, headers=sent, method=method)
        opener = urllib.request.build_opener(_Redirects, *handlers(policy))
        return where, opener.open(asked, timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        raise DriverError(
            f"{where} was answered with status {_status(error)}: expected 2xx{_hint(error)}"
        ) from None
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        raise DriverError(f"{where} failed: {getattr(error, 'reason', error)}") from None


def _status(error: urllib.error.HTTPError) -> str:
    reason = " ".join(str(error.reason).split())
    # The standard library's own words for a redirect show where to, secrets included.
    reason = reason.partition(" - Redirection to url")[0]
    return f"{error.code} {reason}"


def _hint(error: urllib.error.HTTPError) -> str:
    return "; give user and password as http://USER:PASSWORD@HOST/" if error.code == 401 else ""
