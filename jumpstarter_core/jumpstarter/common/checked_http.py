"""HTTP connections that are made only to what a `FetchPolicy` allows."""

from __future__ import annotations

import http.client
import socket
import urllib.request
from collections.abc import Sequence
from typing import Any

from .fetching import FetchPolicy

__all__ = ["handlers"]


def handlers(policy: FetchPolicy | None) -> list[urllib.request.BaseHandler]:
    """Handlers of `urllib.request` that connect only to what *policy* allows; none for None."""
    return [] if policy is None else [_Http(policy), _Https(policy)]


class _Http(urllib.request.HTTPHandler):
    def __init__(self, policy: FetchPolicy) -> None:
        super().__init__()
        self._policy = policy

    def http_open(self, req: Any) -> Any:
        _check_proxied(self._policy, req)
        return self.do_open(_factory(http.client.HTTPConnection, self._policy, req), req)  # type: ignore[arg-type]


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, policy: FetchPolicy) -> None:
        super().__init__()
        self._policy = policy

    def https_open(self, req: Any) -> Any:
        _check_proxied(self._policy, req)
        return self.do_open(_factory(http.client.HTTPSConnection, self._policy, req), req)  # type: ignore[arg-type]


def _is_proxied(request: Any) -> bool:
    return request.has_proxy() or bool(getattr(request, "_tunnel_host", None))


def _check_proxied(policy: FetchPolicy, request: Any) -> None:
    if not _is_proxied(request):
        return
    from .webaddress import web_address

    host = web_address(request.full_url).host
    if not policy.allows_name(host):
        raise OSError(policy.refusal(host))


def _factory(kind: type[http.client.HTTPConnection], policy: FetchPolicy, request: Any) -> Any:
    def make(*args: Any, **options: Any) -> http.client.HTTPConnection:
        connection = kind(*args, **options)
        if not _is_proxied(request):  # a proxy is the exporter's owner's choice
            connection._create_connection = _checked_connect(policy)  # type: ignore[attr-defined]
        return connection

    return make


def _checked_connect(policy: FetchPolicy) -> Any:
    def connect(address: tuple[str, int], *args: Any, **options: Any) -> socket.socket:
        host, port = address
        reachable: Sequence[Any] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        allowed = [place[0] for *_, place in reachable if policy.allows(host.strip("[]"), str(place[0]))]
        if not allowed:
            raise OSError(policy.refusal(host))
        return _first_of(allowed, port, *args, **options)

    return connect


def _first_of(addresses: Sequence[str], port: int, *args: Any, **options: Any) -> socket.socket:
    for address in addresses[:-1]:
        try:
            return socket.create_connection((address, port), *args, **options)
        except OSError:
            continue
    return socket.create_connection((addresses[-1], port), *args, **options)
