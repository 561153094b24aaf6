"""The base class of all drivers, and of the tree they form."""

from __future__ import annotations

import logging
from abc import ABCMeta, abstractmethod
from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from jumpstarter.common.metadata import CLIENT_LABEL, NAME_LABEL, Metadata

from .order import closing_order, owned

if TYPE_CHECKING:
    from .resources import ResourceStream

#: (uuid, parent, name, instance) of a node of the tree; parent and name are None for the root.
Node = tuple[UUID, "Driver | None", str | None, "Driver"]


@dataclass(kw_only=True)
class Driver(Metadata, metaclass=ABCMeta):
    """A driver runs in the exporter and controls one interface of the device under test.

    Subclasses are keyword-only dataclasses whose fields are the keys of ``config:`` in the exporter file. They say which
    client class belongs to them (`client`), mark what clients may use (`export`, `exportstream`), and call
    ``super().__post_init__()`` when they define their own.

    `children` are the drivers below this one, by name. `description` and `methods_description` (by command name) replace
    the help texts of the `j` command. `log_level` is a name of a level of the logging module. `driver_type` of a class is a
    word for the kind of its devices.
    """

    driver_type: ClassVar[str] = "other"

    children: dict[str, Any] = field(default_factory=dict)
    description: str | None = None
    methods_description: dict[str, str] = field(default_factory=dict)
    log_level: str = "INFO"

    resources: dict[UUID, Any] = field(default_factory=dict, init=False, repr=False)
    #: A `FetchPolicy`: where the driver fetches from and sends to what clients name by URLs; set by the session. None: anywhere.
    fetch_policy: Any = field(default=None, init=False, repr=False, compare=False)
    logger: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.logger = logging.getLogger(f"driver.{type(self).__name__}")
        self.logger.setLevel(self.log_level)

    @classmethod
    @abstractmethod
    def client(cls) -> str:
        """Import path of the client class, such as ``jumpstarter_driver_power.client.PowerClient``."""

    def extra_labels(self) -> dict[str, str]:
        """Further labels for the report; subclasses override."""
        return {}

    def close(self) -> None:
        """Release everything; called once, when the session ends.

        Children are closed too, each whatever befalls the others; one that others refer to is closed after those.
        """
        for name in closing_order(self.children):
            close_logged(self.children[name], name)

    def reset(self) -> None:
        """Bring the device back to its initial state. Children are reset too."""
        for child in owned(self.children).values():
            child.reset()

    def enumerate(
        self, *, root: Driver | None = None, parent: Driver | None = None, name: str | None = None
    ) -> list[Node]:
        """This driver and all below it, parents first. A proxy stands for what it refers to."""
        top = self if root is None else root
        nodes: list[Node] = [(self.uuid, parent, name, self)]
        for child_name, child in self.children.items():
            nodes += child.enumerate(root=top, parent=self, name=child_name)
        return nodes

    def report(self, *, parent: Driver | None = None, name: str | None = None) -> Any:
        """The node's DriverInstanceReport, as clients get it."""
        from jumpstarter_protocol import jumpstarter_pb2

        labels = {**self.labels, **self.extra_labels(), CLIENT_LABEL: self.client()}
        if name is not None:
            labels[NAME_LABEL] = name
        return jumpstarter_pb2.DriverInstanceReport(
            uuid=str(self.uuid),
            parent_uuid=None if parent is None else str(parent.uuid),
            labels=labels,
            description=self.description or None,
            methods_description=self.methods_description,
        )

    @asynccontextmanager
    async def resource(self, handle: Any, timeout: int = 7200) -> AsyncGenerator[ResourceStream]:
        """The data behind *handle*, as an anyio stream: iterate it to read, `send` to write; for coroutines.

        *timeout* in seconds bounds each wait for the server of a presigned URL. Raises ValueError for a handle that is
        malformed, KeyError for one that is unknown or was used already.
        """
        from .resources import open_resource

        stream = open_resource(self.resources, handle, timeout=timeout, policy=self.fetch_policy)
        try:
            yield stream
        except BaseException:
            await stream.abandon_async()
            raise
        await stream.finish_async()

    @contextmanager
    def resource_blocking(self, handle: Any, timeout: int = 7200) -> Generator[ResourceStream]:
        """Like `resource`, for methods that are plain functions; the faster of the two for large data."""
        from .resources import open_resource

        stream = open_resource(self.resources, handle, timeout=timeout, policy=self.fetch_policy)
        try:
            yield stream
        except BaseException:
            stream.abandon()
            raise
        stream.finish()

    async def DriverCall(self, request: Any, context: Any) -> Any:  # noqa: N802 - the name in the protocol
        """Answer a DriverCallRequest of a `grpc.aio` server, whose call *context* gets the errors.

        For programs that serve one driver by themselves; an exporter's `Session` has its own way to its drivers.
        """
        from .servicer import driver_call

        return await driver_call(self, request, context)

    async def StreamingDriverCall(  # noqa: N802 - the name in the protocol
        self, request: Any, context: Any
    ) -> AsyncGenerator[Any]:
        """`DriverCall` for methods that give items: an answer for each."""
        from .servicer import streaming_driver_call

        async with aclosing(streaming_driver_call(self, request, context)) as answers:
            async for answer in answers:
                yield answer

    @asynccontextmanager
    async def Stream(self, request: Any, context: Any) -> AsyncGenerator[Any]:  # noqa: N802 - the name in the protocol
        """The anyio stream that a request of `jumpstarter.common.streams` opens.

        For a resource: the client's end of it, with its handle in the attribute `MetadataStreamAttributes.metadata`.
        """
        from .servicer import open_stream

        async with open_stream(self, request, context) as stream:
            yield stream


def close_logged(driver: Driver, name: str) -> None:
    """Close *driver*; that it fails is logged, as nothing can be done about it and others still have to be closed."""
    try:
        driver.close()
    except Exception as error:  # noqa: BLE001 - whatever a driver raises
        text = "; ".join(str(error).splitlines())
        logging.getLogger(f"driver.{type(driver).__name__}").error(
            "driver '%s' failed to close: %s: %s", name, type(error).__name__, text
        )
