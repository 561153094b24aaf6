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

if TYPE_CHECKING:
    from jumpstarter.client import DriverClient

__all__ = ["PathBuf", "is_url", "operator_for_path", "receiving", "sending"]

_EXPIRE_SECONDS = 24 * 3600


def operator_for_path(path: PathBuf) -> tuple[Path, Any, str]:
    """*path* as a path in an OpenDAL operator, that operator, and its scheme (``fs`` or ``http``).

    Raises `ConfigurationError` when the opendal library is not installed.
    """
    from .errors import import_opendal

    opendal = import_opendal()
    if isinstance(path, str) and is_url(path):
        from urllib.parse import urlsplit

        parts = urlsplit(path)
        endpoint = f"{parts.scheme}://{parts.netloc}"
        return Path(parts.path), opendal.Operator("http", root="/", endpoint=endpoint), "http"
    return Path(path).resolve(), opendal.Operator("fs", root="/"), "fs"


@contextmanager
def sending(
    client: DriverClient, path: PathBuf, *, operator: Any = None, compression: Any = None
) -> Generator[Any]:
    """`jumpstarter.client.transfer.sending`, also for a *path* in the storage of *operator*."""
    from .errors import storage_errors

    if operator is None:
        with transfer.sending(client, path, compression) as handle:
            yield handle
        return
    request = None if compression else _presigned(client, path, operator, "read")
    if request is not None:
        yield request
        return
    blocking, name = _blocking(operator), os.fspath(path)
    with storage_errors(f"read {name!r}"):
        size = blocking.stat(name).content_length
        file = blocking.open(name, "rb")
    with file, transfer.carry_in(client, file, transfer.base_name(name), size, compression) as handle:
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
