"""Addresses of images as a browser takes them.

``http://user:secret@host/a b.img`` is what people paste: the user's name and password become a header, spaces and letters
beyond ASCII are encoded, a fragment stays here. What follows RFC 3986 already is not changed. Source: the URL standard,
https://url.spec.whatwg.org/.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, unquote, unquote_to_bytes

_ADDRESS: Final = re.compile(r"(?i)(https?):[/\\]*([^/\\?#]*)([^?#]*)(\?[^#]*)?(#.*)?", re.DOTALL)
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:]*)(?::([0-9]*))?")
#: What stays as it is: `%`, as most of it is encoded already, and all that a path or query may have.
_PATH: Final = "%/:@!$&'()*+,;=~[]|^"
_QUERY: Final = _PATH + "?\\`{}"
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True)
class WebAddress:
    """An address in the form that HTTP wants; `headers` are to be sent along, `host` is the plain host.

    `user` has name and password, None where the address has none.
    """

    url: str
    host: str
    origin: tuple[str, str, int]
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    user: tuple[str, str] | None = field(default=None, repr=False)


def is_url(path: Any) -> bool:
    """True for an ``http://`` or ``https://`` address."""
    return isinstance(path, str) and re.match(r"(?i)\s*https?:[/\\]{2}", path) is not None


def web_address(text: str) -> WebAddress:
    """The address that *text* means. Raises ValueError, which shows no secrets, when it is none."""
    # Browsers drop line ends and tabs, which pasting brings along.
    found = _ADDRESS.fullmatch(re.sub(r"[\t\r\n]", "", text.strip()))
    if found is None:
        raise ValueError("this is no address: expected http://HOST/PATH or https://HOST/PATH")
    scheme, authority, path, query, _ = found.groups()
    user, at, place = authority.rpartition("@")
    host, port = _host_and_port(place)
    scheme = scheme.lower()
    netloc = host if port in (None, _DEFAULT_PORTS[scheme]) else f"{host}:{port}"
    path = _encoded(path.replace("\\", "/") or "/", _PATH)
    return WebAddress(
        url=f"{scheme}://{netloc}{path}{_encoded(query or '', _QUERY)}",
        host=host.strip("[]"),
        origin=(scheme, host, port or _DEFAULT_PORTS[scheme]),
        headers=_basic(user) if at else {},
        user=_name_and_password(user) if at else None,
    )


def redact(url: str) -> str:
    """*url* without user, password and query, which may hold secrets; for messages."""
    try:
        return web_address(url).url.partition("?")[0] + ("?..." if "?" in url else "")
    except ValueError:
        return "an address that is not valid"


def file_name(url: str) -> str:
    """The last part of the path of *url*, for people to read; the host when there is none."""
    try:
        address = web_address(url)
    except ValueError:
        return "address"
    return unquote(address.url.partition("?")[0].rpartition("/")[2]) or address.host


def is_this_machine(url: str) -> bool:
    """True when the host of *url* means the machine where it is typed: localhost, or a loopback address."""
    from ipaddress import ip_address

    try:
        host = web_address(url).host
        return host == "localhost" or host.endswith(".localhost") or ip_address(host).is_loopback
    except ValueError:
        return False


def _host_and_port(place: str) -> tuple[str, int | None]:
    found = _HOST.fullmatch(place)
    if found is None or not found[1] or int(found[2] or 0) > 65535:
        # Not shown: an unencoded slash in a password ends the host in its middle.
        raise ValueError(
            "the host of this address is not valid: expected HOST or HOST:PORT; "
            "in a user's name or password write / as %2F, ? as %3F, # as %23"
        )
    return _plain_host(found[1]), int(found[2]) if found[2] else None


def _plain_host(host: str) -> str:
    host = unquote(host)
    if not host.isascii():
        try:
            host = host.encode("idna").decode()
        except UnicodeError:
            raise ValueError(f"the host {host!r} of this address is no name that there can be") from None
    if re.search(r"[\s\x00-\x1f\x7f<>\"'`{}|^%@/\\?#]", host):
        raise ValueError("the host of this address has characters that no name can have")
    return host.lower()


def _name_and_password(user: str) -> tuple[str, str]:
    name, _, password = user.partition(":")
    return unquote(name), unquote(password)


def _basic(user: str) -> dict[str, str]:
    name, _, password = user.partition(":")
    both = unquote_to_bytes(name) + b":" + unquote_to_bytes(password)
    return {"Authorization": f"Basic {base64.b64encode(both).decode()}"} if both != b":" else {}


def _encoded(text: str, safe: str) -> str:
    return quote(text, safe=safe, errors="surrogateescape")
