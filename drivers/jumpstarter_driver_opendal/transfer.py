"""Images in a storage that the client reaches through OpenDAL, beside local files and URLs.

An operator that can presign lets the exporter read or write by itself, without a detour by the client.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jumpstarter.client import transfer
from jumpstarter.client.transfer import PathBuf, is_url
from jumpstarter.common.images import looks_packed

if TYPE_CHECKING:
    from urllib.parse import ParseResult

    from jumpstarter.client import DriverClient

__all__ = [
    "PathBuf",
    "clean_filename",
    "is_url",
    "operator_for_path",
    "path_with_query",
    "receiving",
    "sending",
]

_EXPIRE_SECONDS = 24 * 3600


def operator_for_path(path: PathBuf) -> tuple[Path, Any, str]:
    """*path* as a path in an OpenDAL operator, that operator, and its scheme (``fs`` or ``http``).

    Raises `ConfigurationError` when the opendal library is not installed.
    """
    from .errors import import_opendal

    opendal = import_opendal()
    if isinstance(path, str) and is_url(path):
        return (*_http_operator(path), "http")
    return Path(path).resolve(), opendal.Operator("fs", root="/"), "fs"


def _http_operator(url: str) -> tuple[Path, Any]:
    from urllib.parse import unquote, urlsplit

    from jumpstarter.common.webaddress import web_address

    from .errors import import_opendal

    address = web_address(url)
    parts = urlsplit(address.url)
    options = {"root": "/", "endpoint": f"{parts.scheme}://{parts.netloc}"}
    if address.user:
        options |= {"username": address.user[0], "password": address.user[1]}
    return Path(unquote(parts.path)), import_opendal().Operator("http", **options)


def path_with_query(parsed_url: ParseResult) -> str:
    """Path and query of a URL that ``urllib.parse.urlparse`` took apart, as a server is asked for them."""
    return f"{parsed_url.path}?{parsed_url.query}" if parsed_url.query else parsed_url.path


def clean_filename(path: PathBuf) -> str:
    """The last part of a path or URL, without the query that a path may have from `path_with_query`."""
    text = os.fspath(path).partition("?")[0]
    return Path(text.partition("#")[0] if is_url(path) else text).name


@contextmanager
def sending(
    client: DriverClient,
    path: PathBuf,
    *,
    operator: Any = None,
    compression: Any = None,
    image: bool = False,
) -> Generator[Any]:
    """`jumpstarter.client.transfer.sending`, also for a *path* in the storage of *operator*."""
    from .errors import storage_errors

    if operator is None:
        with transfer.sending(client, path, compression, image=image) as handle:
            yield handle
        return
    name = os.fspath(path)
    carried = compression or (image and looks_packed(transfer.base_name(name)))
    request = None if carried else _presigned(client, path, operator, "read")
    if request is not None:
        yield request
        return
    blocking = _blocking(operator)
    with storage_errors(f"read {name!r}"):
        size = blocking.stat(name).content_length
        file = blocking.open(name, "rb")
    with file:
        if image:
            file, compression = transfer.as_image(file, transfer.base_name(name), compression)
        with transfer.carry_in(client, file, transfer.base_name(name), size, compression) as handle:
            yield handle


@contextmanager
def receiving(
    client: DriverClient,
    path: PathBuf,
    *,
    operator: Any = None,
    compression: Any = None,
    size: int | None = None,
) -> Generator[Any]:
    """`jumpstarter.client.transfer.receiving`, also for a *path* in the storage of *operator*."""
    from .errors import storage_errors

    if operator is None:
        with transfer.receiving(client, path, compression, size) as handle:
            yield handle
        return
    request = None if compression else _presigned(client, path, operator, "write")
    if request is not None:
        yield request
        return
    name = os.fspath(path)
    with (
        storage_errors(f"write {name!r}"),
        _blocking(operator).open(name, "wb") as file,
        transfer.carry_out(client, file, transfer.base_name(name), size, compression) as handle,
    ):
        yield handle


def _presigned(client: DriverClient, path: PathBuf, operator: Any, action: str) -> dict[str, Any] | None:
    """A handle by which the exporter reads or writes *path* itself, or None where only the client can."""
    if not getattr(operator.capability(), f"presign_{action}"):
        return None
    request = client.portal.call(_presign, operator, action, os.fspath(path))
    headers = dict(request.headers)
    return {"kind": "presigned_request", "headers": headers, "url": request.url, "method": request.method}


async def _presign(operator: Any, action: str, path: str) -> Any:
    # OpenDAL presigns on a running event loop only.
    presigner = operator.to_async_operator() if hasattr(operator, "to_async_operator") else operator
    return await getattr(presigner, f"presign_{action}")(path, _EXPIRE_SECONDS)


def _blocking(operator: Any) -> Any:
    return operator.to_operator() if hasattr(operator, "to_operator") else operator
