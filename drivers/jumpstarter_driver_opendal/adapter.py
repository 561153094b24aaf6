"""Names that programs written for stock Jumpstarter import from here; see `.transfer` for what the product itself uses."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from anyio import EndOfStream
from anyio.abc import ObjectStream

from .transfer import PathBuf, receiving, sending

if TYPE_CHECKING:
    from jumpstarter.client import DriverClient

__all__ = ["AsyncFileStream", "OpendalAdapter"]


def OpendalAdapter(  # noqa: N802 - the name that is imported
    *,
    client: DriverClient,
    operator: Any,
    path: PathBuf,
    mode: Literal["rb", "wb"] = "rb",
    compression: Any = None,
) -> AbstractContextManager[Any]:
    """A handle for *path* in the storage of *operator* (None: a local file or a URL), to read it or, with ``wb``, to write it.

    A context manager; what is raised is as of `transfer.sending` and `transfer.receiving`.
    """
    carry = sending if mode == "rb" else receiving
    return carry(client, path, operator=operator, compression=compression)


@dataclass(kw_only=True)
class AsyncFileStream(ObjectStream[bytes]):
    """A file that OpenDAL has opened asynchronously, as an anyio stream; it is read or written, as it was opened."""

    file: Any

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """The next bytes of the file. Raises anyio.EndOfStream at its end."""
        data = bytes(await self.file.read(max_bytes))
        if not data:
            raise EndOfStream
        return data

    async def send(self, item: bytes) -> None:
        """Write *item*."""
        await self.file.write(item)

    async def send_eof(self) -> None:
        """Do nothing: the file is complete when it is closed."""

    async def aclose(self) -> None:
        """Close the file; what was written is complete after that."""
        await self.file.close()
