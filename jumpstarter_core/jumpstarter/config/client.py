"""Client configurations: who a user is at a controller, and which drivers' client classes may be imported.

Files are ``clients/<alias>.yaml`` below the user's configuration directory, else below the system's; the
environment overrides what they say (`jumpstarter.config.overrides`).
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Literal

import jumpstarter.common.interrupts  # noqa: F401 - before anything is imported that a signal may meet
from jumpstarter.common.choices import refuse_empty
from jumpstarter.common.exceptions import (
    ArgumentError,
    ConfigurationError,
    EnvironmentVariableNotSetError,
    JumpstarterException,
)
from jumpstarter.config.common import CONFIG_API_VERSION, ObjectMeta
from jumpstarter.config.endpoint import endpoint
from jumpstarter.config.env import (
    JMP_CLIENT,
    JMP_CLIENT_CONFIG,
    JMP_ENDPOINT,
    JMP_NAME,
    JMP_NAMESPACE,
    JMP_TOKEN,
    chosen,
)
from jumpstarter.config.fields import to_plain
from jumpstarter.config.files import CLIENTS, dump, make_folder, missing_file, write_atomically
from jumpstarter.config.listing import ConfigList
from jumpstarter.config.loader import Entries, KeyPath, Node, Problems, display_path, read_file
from jumpstarter.config.overrides import Overrides, overlay_client
from jumpstarter.config.reading import CLIENT_KINDS, read_document
from jumpstarter.config.schema import convert, convert_fields
from jumpstarter.config.shell import ShellConfigV1Alpha1
from jumpstarter.config.tls import TLSConfigV1Alpha1
from jumpstarter.config.token import as_token


def _comma_list(node: Node, where: KeyPath, problems: Problems) -> Any:
    """``[a, b]``, ``a,b`` or nothing."""
    if isinstance(node.value, str):
        return [part.strip() for part in node.value.split(",") if part.strip()]
    return [] if node.value is None else convert(node, list[str], where, problems)


@dataclass(kw_only=True)
class ClientConfigV1Alpha1Drivers:
    """*allow*: patterns (as for file names) of client classes that may be imported; *unsafe*: all of them.

    The word UNSAFE among the patterns sets *unsafe*.
    """

    allow: list[str] = field(default_factory=list, metadata={"convert": _comma_list, "keep": True})
    unsafe: bool = field(default=False, metadata={"keep": True})

    def __post_init__(self) -> None:
        self.unsafe = self.unsafe or "UNSAFE" in self.allow


@dataclass(kw_only=True)
class ClientConfigV1Alpha1Lease:
    """How long to wait, in seconds: to acquire a lease, to dial its exporter, for an exporter to return."""

    acquisition_timeout: int = field(default=7200, metadata={"minimum": 5})
    dial_timeout: float = field(default=30.0, metadata={"above": 0})
    retry_timeout: float = field(default=300.0, metadata={"minimum": 0})


@dataclass(kw_only=True)
class ClientConfigV1Alpha1:
    """One client configuration; *alias* is its name on this machine, *path* the file it was read from.

    `CLIENT_CONFIGS_PATH` is the folder of the user's files; tests may set it.
    """

    CLIENT_CONFIGS_PATH: ClassVar[Path] = CLIENTS.user  # type: ignore[assignment]

    alias: str = field(default="default", metadata={"internal": True})
    path: Path | None = field(default=None, metadata={"internal": True})
    apiVersion: Literal["jumpstarter.dev/v1alpha1"] = field(  # noqa: N815 - the name in the file
        default=CONFIG_API_VERSION, metadata={"keep": True}
    )
    kind: Literal["ClientConfig", "Client"] = field(default="ClientConfig", metadata={"keep": True})
    metadata: ObjectMeta
    endpoint: str | None = field(default=None, metadata={"convert": endpoint})
    tls: TLSConfigV1Alpha1 = field(default_factory=TLSConfigV1Alpha1)
    token: str | None = field(default=None, repr=False, metadata={"convert": as_token})
    refresh_token: str | None = field(default=None, repr=False, metadata={"convert": as_token})
    grpcOptions: dict[str, str | int | bool] = field(  # noqa: N815 - the name in the file
        default_factory=dict, metadata={"synonyms": ("grpcConfig",)}
    )
    drivers: ClientConfigV1Alpha1Drivers = field(
        default_factory=ClientConfigV1Alpha1Drivers, metadata={"keep": True}
    )
    shell: ShellConfigV1Alpha1 = field(default_factory=ShellConfigV1Alpha1)
    leases: ClientConfigV1Alpha1Lease = field(default_factory=ClientConfigV1Alpha1Lease)
    overrides: Overrides = field(
        default_factory=Overrides, repr=False, compare=False, metadata={"internal": True}
    )

    @classmethod
    def from_file(
        cls, path: str | os.PathLike[str], *, alias: str | None = None, environment: bool = True
    ) -> ClientConfigV1Alpha1:
        """Read the file at *path*; without *environment*, exactly as it stands.

        *alias* is the file's name by default, and the client's name where the file has no metadata.
        Raises FileNotFoundError, FileAccessError, or ConfigurationError with all problems, a line each.
        """
        path = Path(path)
        alias = alias or path.name.removesuffix(".yaml").removesuffix(".yml")
        try:
            text = read_file(path)
        except FileNotFoundError:
            raise missing_file(path, "client config") from None
        problems = Problems(display_path(path))
        root = read_document(text, CLIENT_KINDS, problems)
        return cls._from_root(root, problems, alias=alias, path=path, environment=environment)

    @classmethod
    def from_env(cls) -> ClientConfigV1Alpha1:
        """The configuration that the environment alone gives.

        Raises EnvironmentVariableNotSetError without JMP_NAMESPACE and JMP_NAME, ConfigurationError for
        values that are not valid.
        """
        missing = [name for name in (JMP_NAMESPACE, JMP_NAME) if not os.environ.get(name)]
        if missing:
            raise EnvironmentVariableNotSetError(
                f"no client configuration in the environment: {' and '.join(missing)} not set; "
                "expected JMP_NAMESPACE, JMP_NAME and, to reach a controller, JMP_ENDPOINT and JMP_TOKEN"
            )
        return cls._from_root(Node(Entries(), 0), Problems("environment"), alias="default", path=None)

    @classmethod
    def try_from_env(cls) -> ClientConfigV1Alpha1 | None:
        """As `from_env`, but None without JMP_NAMESPACE and JMP_NAME."""
        return cls.from_env() if os.environ.get(JMP_NAMESPACE) and os.environ.get(JMP_NAME) else None

    @classmethod
    def load(cls, alias: str, *, environment: bool = True) -> ClientConfigV1Alpha1:
        """Read the file of *alias*; see `from_file`."""
        return cls.from_file(CLIENTS.require(alias), alias=alias, environment=environment)

    @classmethod
    def exists(cls, alias: str) -> bool:
        """Whether *alias* names a file."""
        return CLIENTS.find(alias) is not None

    @classmethod
    def ensure_exists(cls, alias: str | None = None) -> None:
        """Raise FileNotFoundError, with the nearest alias, unless *alias* names a file.

        Without *alias*: make the folder of the user's files, if there is none. Raises FileAccessError.
        """
        if alias is None:
            make_folder(CLIENTS.user_path("any").parent)
        else:
            CLIENTS.require(alias)

    @classmethod
    def list(cls) -> ClientConfigListV1Alpha1:
        """All client configurations as their files stand, by alias; what is not valid is in `problems`."""
        from jumpstarter.config.user import UserConfigV1Alpha1

        found = ClientConfigListV1Alpha1()
        for alias, path in CLIENTS.aliases().items():
            try:
                found.items.append(cls.from_file(path, alias=alias, environment=False))
            except JumpstarterException as error:
                found.problems.append(str(error))
        try:
            found.current_config = UserConfigV1Alpha1.load_or_create().config.current_client_alias
        except JumpstarterException as error:
            found.problems.append(str(error))
        return found

    @classmethod
    def delete(cls, alias: str) -> Path:
        """Delete the user's file of *alias* and return its path; it is no longer the current client then.

        Raises FileNotFoundError when there is none, ConfigurationError for a file of the system.
        """
        from jumpstarter.config.user import UserConfigV1Alpha1

        path = CLIENTS.delete(alias)
        user = UserConfigV1Alpha1.load_or_create()
        if user.config.current_client_alias == alias and not cls.exists(alias):
            user.use_client(None)
        return path

    def save(self, path: str | os.PathLike[str] | None = None) -> Path:
        """Write the file: to *path*, else where it was read from, else as the user's file of the alias.

        Values of the environment are not written. Raises FileAccessError.
        """
        target = Path(path) if path is not None else self.path or CLIENTS.user_path(self.alias)
        write_atomically(target, self.dump_yaml())
        self.path = target
        return target

    def dump_yaml(self) -> str:
        """The file's text."""
        return dump(to_plain(self.overrides.undo(self)))

    @contextmanager
    def lab(self) -> Generator[Any]:
        """Calls of this client's controller, a `jumpstarter.client.lab.Lab`. Raises ConfigurationError without one."""
        # Here and in `lease`, as with exporter configurations: the connection floor is above this one.
        from jumpstarter.connection.controller import controller

        with controller(self) as lab:
            yield lab

    @contextmanager
    def lease(
        self,
        selector: str | None = None,
        exporter_name: str | None = None,
        lease_name: str | None = None,
        duration: timedelta = timedelta(minutes=30),
    ) -> Generator[Any]:
        """Lease an exporter for as long as the context lasts; gives a `jumpstarter.connection.lease.Leased`.

        ``with config.lease(selector="a=b") as lease, lease.connect() as client:`` is the whole of it. The lease is
        extended while it is in use; one that *lease_name* names stays at the end. Raises ConfigurationError,
        ConnectionError, LeaseError, ExporterNotReady.
        """
        with self._lease(selector, exporter_name, lease_name, duration) as leased:
            yield leased

    def _lease(
        self,
        selector: str | None,
        exporter_name: str | None,
        lease_name: str | None,
        duration: timedelta,
        **waits: Any,
    ) -> AbstractContextManager[Any]:
        from jumpstarter.connection.lease import LeaseRequest, lease

        request = LeaseRequest(
            selector=selector or "",
            exporter_name=exporter_name or "",
            lease=lease_name or "",
            duration=duration,
            **waits,
        )
        return lease(self, request)

    @asynccontextmanager
    async def lease_async(
        self,
        selector: str | None = None,
        exporter_name: str | None = None,
        lease_name: str | None = None,
        duration: timedelta = timedelta(minutes=30),
        portal: Any = None,
        acquisition_timeout: timedelta | None = None,
        retry_timeout: timedelta | None = None,
    ) -> AsyncGenerator[Any]:
        """`lease` for coroutines. With *portal*, a BlockingPortal, it gives a `jumpstarter.client.Lease` that uses it.

        Timeouts are as configured by default.
        """
        from jumpstarter.connection import account

        waits = {
            "acquisition_timeout": _seconds(acquisition_timeout),
            "retry_timeout": _seconds(retry_timeout),
        }
        if portal is None:
            leased = self._lease_in_thread(selector, exporter_name, lease_name, duration, **waits)
        else:
            leased = account.leasing(
                self,
                portal,
                lease_name,
                selector=selector,
                requested_exporter_name=exporter_name,
                duration=duration,
                **waits,
            )
        async with leased as lease:
            yield lease

    @asynccontextmanager
    async def _lease_in_thread(self, *args: Any, **waits: Any) -> AsyncGenerator[Any]:
        from anyio import CancelScope, to_thread

        stack = ExitStack()
        try:
            # Other tasks may end leases meanwhile.
            leasing = self._lease(*args, alone=False, **waits)
            yield await to_thread.run_sync(stack.enter_context, leasing)
        finally:
            with CancelScope(shield=True):
                await to_thread.run_sync(stack.close)

    async def channel(self) -> Any:
        """A `grpc.aio.Channel` to the controller that tells it who calls; the caller closes it.

        Raises ConfigurationError without a controller, ConnectionError.
        """
        from jumpstarter.connection.account import controller_channel

        return await controller_channel(self)

    def get_exporter(self, name: str, show_hidden_labels: bool = False) -> Any:
        """One exporter, a `jumpstarter.client.grpc.Exporter`.

        This, and every method below, gives an awaitable to callers on a running event loop, the answer itself to others.
        Raises ConfigurationError without a controller, ConnectionError with the controller's reason.
        """
        return self._ask(lambda s: s.GetExporter(name=name, show_hidden_labels=show_hidden_labels))

    def list_exporters(
        self,
        filter: str | None = None,
        include_leases: bool = False,
        include_online: bool = False,
        include_status: bool = False,
        include_disabled: bool = False,
        page_size: int = 100,
        show_hidden_labels: bool = False,
    ) -> Any:
        """All exporters that the label selector *filter* selects, asked for *page_size* at a time.

        A `jumpstarter.client.grpc.ExporterList`; with *include_leases* each has its `lease`. What else is included is
        shown when the list is dumped.
        """
        from jumpstarter.connection.account import all_exporters

        included = {
            "include_online": include_online,
            "include_status": include_status,
            "include_disabled": include_disabled,
        }
        return self._ask(
            lambda s: all_exporters(
                s,
                leases=include_leases,
                page_size=page_size,
                options=included,
                filter=filter,
                show_hidden_labels=show_hidden_labels,
            )
        )

    def create_lease(
        self,
        duration: timedelta,
        selector: str | None = None,
        exporter_name: str | None = None,
        begin_time: datetime | None = None,
        lease_id: str | None = None,
        tags: dict[str, str] | None = None,
        allow_disabled: bool = False,
    ) -> Any:
        """Ask for a lease of what *selector* selects, or of *exporter_name*, and do not wait for it.

        A `jumpstarter.client.grpc.Lease`. *begin_time* is when it begins, *lease_id* its name; now, and one of the
        controller's, by default.
        """
        return self._ask(
            lambda s: s.CreateLease(
                selector=selector,
                duration=duration,
                exporter_name=exporter_name,
                begin_time=begin_time,
                lease_id=lease_id,
                tags=tags,
                allow_disabled=allow_disabled,
            )
        )

    def delete_lease(self, name: str) -> Any:
        """End a lease."""
        return self._ask(lambda s: s.DeleteLease(name=name))

    def list_leases(
        self,
        filter: str | None = None,
        only_active: bool = True,
        page_size: int = 100,
        tag_filter: str | None = None,
    ) -> Any:
        """All leases whose labels *filter* selects, and whose tags *tag_filter* does; of all clients.

        A `jumpstarter.client.grpc.LeaseList`; without *only_active* also those that have ended.
        """
        from jumpstarter.connection.account import all_leases

        return self._ask(
            lambda s: all_leases(
                s, page_size=page_size, filter=filter, only_active=only_active, tag_filter=tag_filter
            )
        )

    def update_lease(
        self,
        name: str,
        duration: timedelta | None = None,
        begin_time: datetime | None = None,
        client: str | None = None,
    ) -> Any:
        """Change a lease's times, or give it to *client*; a `jumpstarter.client.grpc.Lease`."""
        return self._ask(
            lambda s: s.UpdateLease(name=name, duration=duration, begin_time=begin_time, client=client)
        )

    def rotate_token(self) -> Any:
        """A new token for this client, as text. The file keeps the old one until it is saved with the new one."""
        return self._ask(lambda s: s.RotateToken())

    def _ask(self, question: Callable[[Any], Any]) -> Any:
        from jumpstarter.connection.account import ask

        return ask(self, question)

    @classmethod
    def _from_root(
        cls, root: Node, problems: Problems, *, alias: str, path: Path | None, environment: bool = True
    ) -> ClientConfigV1Alpha1:
        overrides = overlay_client(root, problems) if environment else Overrides()
        if root.get("metadata") is None:
            root.put("metadata", Node(Entries(), 1))
            root.at(["metadata"]).put("name", Node(alias, 1, raw=alias))
        values = convert_fields(cls, root, (), problems)
        problems.raise_if_any()
        config = cls(**values, alias=alias, path=path, overrides=overrides)
        overrides.remember(config)
        return config


def _seconds(time: timedelta | None) -> float | None:
    return None if time is None else time.total_seconds()


@dataclass(kw_only=True)
class ClientConfigListV1Alpha1(ConfigList):
    """All client configurations and which is current; *problems*: what is wrong with those not listed."""

    apiVersion: str = field(  # noqa: N815 - the name in the file
        default=CONFIG_API_VERSION, metadata={"keep": True}
    )
    current_config: str | None = field(default=None, metadata={"key": "currentConfig", "keep": True})
    items: list[ClientConfigV1Alpha1] = field(default_factory=list, metadata={"keep": True})
    kind: str = field(default="ClientConfigList", metadata={"keep": True})
    problems: list[str] = field(default_factory=list, metadata={"internal": True})


class NoClientConfiguration(ConfigurationError):
    """Raised when nothing names a client configuration, and there is none that is used without being named."""


def resolve_client_config(
    client: str | None = None, client_config: str | os.PathLike[str] | None = None
) -> ClientConfigV1Alpha1:
    """The client configuration to use, from the first of these that says one:

    the command line (path *client_config*, alias *client*), JMP_CLIENT_CONFIG (a path), JMP_CLIENT (an
    alias), an environment that is complete by itself (JMP_ENDPOINT, JMP_NAMESPACE and JMP_NAME), the current
    client of the user configuration, the alias ``default``, JMP_NAMESPACE and JMP_NAME alone.

    Raises NoClientConfiguration that says how to get one when there is none, ConfigurationError that lists them when none of
    them is meant, ArgumentError when what is to choose one is empty, and what `from_file` raises.
    """
    from jumpstarter.config.user import UserConfigV1Alpha1

    refuse_empty({"client": client, "client_config": client_config})
    if client and client_config:
        raise ArgumentError(
            f"client {client} and client_config {client_config} name two configurations: give one of them"
        )
    address = chosen(JMP_ENDPOINT)
    for name in (JMP_NAMESPACE, JMP_NAME, JMP_TOKEN):
        chosen(name)  # empty is an error, whichever configuration is found
    path = client_config or (None if client else chosen(JMP_CLIENT_CONFIG))
    if path:
        return ClientConfigV1Alpha1.from_file(path)
    if alias := client or chosen(JMP_CLIENT):
        return ClientConfigV1Alpha1.load(alias)
    from_env = ClientConfigV1Alpha1.try_from_env()
    if from_env is not None and address:
        return from_env
    if current := UserConfigV1Alpha1.load_or_create().config.current_client_alias:
        return _current(current)
    if ClientConfigV1Alpha1.exists("default"):
        return ClientConfigV1Alpha1.load("default")
    if from_env is not None:
        return from_env
    if aliases := sorted(CLIENTS.aliases()):
        raise ConfigurationError(
            f"no client is the current one, and there are these: {', '.join(aliases)}; name one with --client NAME or "
            "JMP_CLIENT, or make it the current one with 'jmp config client use NAME'"
        )
    raise NoClientConfiguration(
        "no client configuration: no --client or --client-config given, no JMP_* variable set, no current "
        "client; create one with 'jmp config client create NAME' or choose one with "
        "'jmp config client use NAME'"
    )


def _current(alias: str) -> ClientConfigV1Alpha1:
    """The current client; another one in its place would be another lab, or another user."""
    try:
        return ClientConfigV1Alpha1.load(alias)
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"the current client is '{alias}': {error}; choose one with 'jmp config client use NAME'"
        ) from None
