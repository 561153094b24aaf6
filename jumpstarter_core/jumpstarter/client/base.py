"""The base class of driver clients."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any

from jumpstarter.common.exceptions import MissingDriverError
from jumpstarter.common.metadata import CLIENT_LABEL, NAME_LABEL
from jumpstarter.common.streams import DriverStreamRequest, ResourceStreamRequest
from jumpstarter.streams.blocking import BlockingStream

from . import calls
from .core import AsyncDriverClient


@dataclass(kw_only=True)
class DriverClient(AsyncDriverClient):
    """The client's side of a driver. Subclasses give the driver's methods names, types and help, and call `call`.

    `children` are the clients of the drivers below, by name; `portal` is an event loop in a thread of its own, started when
    it is first used; `stack` is closed with the client; `description` and `methods_description` come from the exporter file.
    """

    children: Any = field(default_factory=dict)
    portal: Any = field(default=None, repr=False)
    stack: Any = field(default=None, repr=False)
    description: str | None = None
    methods_description: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The driver's key below its parent, or "unknown"."""
        return self.labels.get(NAME_LABEL, "unknown")

    def call(self, method: str, *args: Any) -> Any:
        """Call the driver's exported *method* and give its result.

        Numbers, text, lists and dictionaries go both ways. Raises DriverMethodNotImplemented, DriverInvalidArgument or
        DriverError as the driver does, ConnectionError when the exporter is gone.
        """
        return calls.call(self.stub, self.uuid, method, args)

    def streamingcall(self, method: str, *args: Any) -> Generator[Any]:
        """Call the driver's exported generator *method*; gives its items as they come. Errors as with `call`."""
        items = calls.ItemStream(self.stub, self.uuid, method, args)
        try:
            yield from items
        finally:
            items.close()

    @contextmanager
    def stream(self, method: str = "connect") -> Generator[BlockingStream]:
        """The byte stream of the driver's exported *method*, closed when the context is left."""
        with self._open(method) as stream:
            yield stream

    def open_stream(self, method: str = "connect") -> BlockingStream:
        """Like `stream`, for callers that close it themselves (at the latest, `close` does)."""
        stream = self._open(method)
        if self.stack is not None:
            self.stack.callback(stream.close)
        return stream

    def _open(self, method: str) -> BlockingStream:
        from .transport import CallStream

        return BlockingStream(CallStream(self.stub, DriverStreamRequest(uuid=self.uuid, method=method)))

    @contextmanager
    def sending(
        self, chunks: Iterable[bytes], content_encoding: str | None = None
    ) -> Generator[dict[str, Any]]:
        """A handle under which the driver reads *chunks*; pass it to a `call` inside the context.

        *content_encoding* (gzip, xz, bz2, zstd) says how *chunks* are compressed; the driver sees plain bytes.
        """
        from .streams import lend_reader

        request = ResourceStreamRequest(uuid=self.uuid, x_jmp_content_encoding=content_encoding)
        with lend_reader(self.stub, request, chunks) as handle:
            yield handle

    @contextmanager
    def receiving(self, file: IO[bytes], content_encoding: str | None = None) -> Generator[dict[str, Any]]:
        """A handle under which the driver writes into *file*; pass it to a `call` inside the context.

        With *content_encoding*, *file* gets bytes that are compressed that way.
        """
        from .streams import lend_writer

        request = ResourceStreamRequest(uuid=self.uuid, x_jmp_content_encoding=content_encoding)
        with lend_writer(self.stub, request, file) as handle:
            yield handle

    @contextmanager
    def resource(self, file: IO[bytes], content_encoding: str | None = None) -> Generator[dict[str, Any]]:
        """`sending` what *file* holds when it can be read, else `receiving` into it."""
        if file.readable():
            from .streams import file_chunks

            with self.sending(file_chunks(file), content_encoding) as handle:
                yield handle
        else:
            with self.receiving(file, content_encoding) as handle:
                yield handle

    @contextmanager
    def log_stream(self, show_all_logs: bool = True) -> Generator[None]:
        """Pass the exporter's log lines to loggers named ``exporter:...`` while the context lasts.

        Without *show_all_logs*, only those of hooks.
        """
        from .logs import follow

        with follow(self.stub, show_all_logs):
            yield

    def end_session(self) -> bool:
        """Tell the exporter that this client is done; False when it has no lease."""
        return calls.end_session(self.stub)

    def close(self) -> None:
        """Close what was opened through this client. Closing twice is fine."""
        if self.stack is not None:
            self.stack.close()

    def cli(self) -> Any:
        """The click command of the `j` command for this driver; subclasses with one override. None here."""
        return None


class StubDriverClient:
    """Stands for a driver whose client class is missing or not allowed: using it says so, connecting does not fail.

    Raises ImportError (with what to install or allow) on any use but its identity.
    """

    def __init__(self, *, uuid: Any, labels: Mapping[str, str], error: MissingDriverError, **_: Any) -> None:
        self.uuid = uuid
        self.labels = dict(labels)
        self.children: dict[str, Any] = {}
        self.error = error

    @property
    def name(self) -> str:
        """The driver's key below its parent, or "unknown"."""
        return self.labels.get(NAME_LABEL, "unknown")

    def _refuse(self, *args: Any, **kwargs: Any) -> Any:
        raise ImportError(f"driver '{self.name}' cannot be used: {self.error}")

    # Named, so that whoever looks at the class finds them.
    call = streamingcall = stream = open_stream = log_stream = _refuse
    call_async = streamingcall_async = stream_async = log_stream_async = resource_async = _refuse

    def close(self) -> None:
        """Nothing is open."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._refuse()


class Children(Mapping[str, Any]):
    """The clients below a client, each built when it is first used: a command pays for the one that it calls."""

    def __init__(self, builders: Mapping[str, Any]) -> None:
        self._builders = builders

    def __getitem__(self, name: str) -> Any:
        return self._builders[name].client()

    def __iter__(self) -> Iterator[str]:
        return iter(self._builders)

    def __len__(self) -> int:
        return len(self._builders)

    def __repr__(self) -> str:
        return f"<children: {', '.join(self._builders)}>"

    def built(self) -> list[Any]:
        """The clients that were used so far."""
        return [builder.client() for builder in self._builders.values() if builder.is_built]

    def description(self, name: str) -> str | None:
        """The description in the exporter file, without building the client."""
        return self._builders[name].description  # type: ignore[no-any-return]

    def client_path(self, name: str) -> str:
        """The import path of the client class, without importing it."""
        return str(self._builders[name].labels.get(CLIENT_LABEL, ""))
