"""Exporter configurations: the drivers of an exporter, its identity at a controller, its hooks.

Files are ``exporters/<alias>.yaml`` below the user's configuration directory, else below the system's
(``/etc/jumpstarter``); the environment overrides what they say (`jumpstarter.config.overrides`).
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from jumpstarter.common.exceptions import JumpstarterException
from jumpstarter.config.common import CONFIG_API_VERSION, ObjectMeta
from jumpstarter.config.driver_instance import (
    ExporterConfigV1Alpha1DriverInstance,
    ExporterConfigV1Alpha1DriverInstanceBase,
    ExporterConfigV1Alpha1DriverInstanceComposite,
    ExporterConfigV1Alpha1DriverInstanceProxy,
    as_instances,
    convert_children,
)
from jumpstarter.config.endpoint import endpoint
from jumpstarter.config.fields import file_fields, names_of, to_plain
from jumpstarter.config.files import EXPORTERS, dump, missing_file, write_atomically
from jumpstarter.config.listing import ConfigList
from jumpstarter.config.loader import Entries, Entry, KeyPath, Node, Problems, display_path, read_file
from jumpstarter.config.overrides import Overrides, overlay_exporter
from jumpstarter.config.reading import EXPORTER_KINDS, read_document
from jumpstarter.config.refs import check_refs
from jumpstarter.config.schema import INVALID, convert, convert_fields
from jumpstarter.config.tls import TLSConfigV1Alpha1
from jumpstarter.config.token import as_token

if TYPE_CHECKING:
    from jumpstarter.common.fetching import FetchPolicy
    from jumpstarter.driver import Driver
    from jumpstarter.exporter.exporter import Exporter

__all__ = [
    "ExporterConfigListV1Alpha1",
    "ExporterConfigV1Alpha1",
    "ExporterConfigV1Alpha1DriverInstance",
    "ExporterConfigV1Alpha1DriverInstanceBase",
    "ExporterConfigV1Alpha1DriverInstanceComposite",
    "ExporterConfigV1Alpha1DriverInstanceProxy",
    "FailureDetectionConfigV1Alpha1",
    "FetchConfigV1Alpha1",
    "HookConfigV1Alpha1",
    "HookInstanceConfigV1Alpha1",
]


T = TypeVar("T")


def _takes_file_names(cls: type[T]) -> type[T]:
    """Class decorator: the constructor takes the names that fields have in the file, too, such as ``onFailure``."""
    init: Any = cls.__init__
    fields = {name: field.name for field in file_fields(cls) for name in names_of(field)}

    @wraps(init)
    def construct(self: T, **values: Any) -> None:
        init(self, **{fields.get(name, name): value for name, value in values.items()})

    cls.__init__ = construct  # type: ignore[method-assign,assignment]
    return cls


@_takes_file_names
@dataclass(kw_only=True)
class HookInstanceConfigV1Alpha1:
    """One hook: *script* is run by *exec_* (None: by the shell) for at most *timeout* seconds.

    *on_failure* says what a failure does: ``warn`` only, ``endLease``, or ``exit`` of the exporter.
    """

    script: str
    exec_: str | None = field(default=None, metadata={"key": "exec"})
    timeout: int = field(default=120, metadata={"above": 0})
    on_failure: Literal["warn", "endLease", "exit"] = field(
        default="warn", metadata={"key": "onFailure", "synonyms": ("on_failure",)}
    )


@_takes_file_names
@dataclass(kw_only=True)
class HookConfigV1Alpha1:
    """*before_lease* runs before a client may use the drivers, *after_lease* when its session has ended."""

    before_lease: HookInstanceConfigV1Alpha1 | None = field(
        default=None, metadata={"key": "beforeLease", "synonyms": ("before_lease",)}
    )
    after_lease: HookInstanceConfigV1Alpha1 | None = field(
        default=None, metadata={"key": "afterLease", "synonyms": ("after_lease",)}
    )


@_takes_file_names
@dataclass(kw_only=True)
class FailureDetectionConfigV1Alpha1:
    """An exporter gives up after *max_rapid_failures* failures within *rapid_failure_window* seconds each."""

    max_rapid_failures: int = field(
        default=5, metadata={"key": "maxRapidFailures", "synonyms": ("max_rapid_failures",), "minimum": 1}
    )
    rapid_failure_window: int = field(
        default=60,
        metadata={"key": "rapidFailureWindow", "synonyms": ("rapid_failure_window",), "minimum": 1},
    )


def _hosts(node: Node, where: KeyPath, problems: Problems) -> Any:
    """A list of hosts, each checked."""
    from jumpstarter.common.fetching import FetchPolicy

    hosts = convert(node, list[str], where, problems)
    if hosts is not INVALID:
        try:
            FetchPolicy(tuple(hosts))
        except ValueError as error:
            problems.add(node, where, str(error))
            return INVALID
    return hosts


@_takes_file_names
@dataclass(kw_only=True)
class FetchConfigV1Alpha1:
    """The hosts that the exporter fetches images from, and sends dumps to, when clients name them.

    *allow* has names, patterns such as ``*.example.com``, addresses, networks, ``network`` for all but the exporter's own
    machine and link-local addresses, or ``*``.
    """

    allow: list[str] = field(metadata={"convert": _hosts})

    @property
    def policy(self) -> FetchPolicy:
        """What it means."""
        from jumpstarter.common.fetching import FetchPolicy

        return FetchPolicy(tuple(self.allow))


@_takes_file_names
@dataclass(kw_only=True)
class ExporterConfigV1Alpha1:
    """One exporter configuration; *alias* is its name on this machine, *path* the file it was read from.

    `BASE_PATH` is the folder of the user's files, `SYSTEM_CONFIG_PATH` that of the system's; tests may set them.
    """

    BASE_PATH: ClassVar[Path] = EXPORTERS.user  # type: ignore[assignment]
    SYSTEM_CONFIG_PATH: ClassVar[Path] = EXPORTERS.system  # type: ignore[assignment]

    alias: str = field(default="default", metadata={"internal": True})
    path: Path | None = field(default=None, metadata={"internal": True})
    apiVersion: Literal["jumpstarter.dev/v1alpha1"] = field(  # noqa: N815 - the name in the file
        default=CONFIG_API_VERSION, metadata={"keep": True}
    )
    kind: Literal["ExporterConfig", "Exporter"] = field(default="ExporterConfig", metadata={"keep": True})
    metadata: ObjectMeta
    endpoint: str | None = field(default=None, metadata={"convert": endpoint})
    tls: TLSConfigV1Alpha1 = field(default_factory=TLSConfigV1Alpha1)
    token: str | None = field(default=None, repr=False, metadata={"convert": as_token})
    grpcOptions: dict[str, str | int | bool] = field(  # noqa: N815 - the name in the file
        default_factory=dict, metadata={"synonyms": ("grpcConfig",)}
    )
    description: str | None = None
    motd: str | None = None
    exitOnLeaseEnd: bool = False  # noqa: N815 - the name in the file
    export: dict[str, ExporterConfigV1Alpha1DriverInstance] = field(
        default_factory=dict, metadata={"convert": convert_children, "keep": True}
    )
    hooks: HookConfigV1Alpha1 = field(default_factory=HookConfigV1Alpha1)
    fetch: FetchConfigV1Alpha1 | None = None
    failure_detection: FailureDetectionConfigV1Alpha1 = field(
        default_factory=FailureDetectionConfigV1Alpha1,
        metadata={"key": "failureDetection", "synonyms": ("failure_detection",)},
    )
    overrides: Overrides = field(
        default_factory=Overrides, repr=False, compare=False, metadata={"internal": True}
    )

    def __post_init__(self) -> None:
        self.export = as_instances(self.export)

    @property
    def fetch_policy(self) -> FetchPolicy:
        """What `fetch` says; for clients elsewhere, without it, all of the network but this machine."""
        from jumpstarter.common.fetching import FetchPolicy

        return FetchPolicy() if self.fetch is None else self.fetch.policy

    @classmethod
    def validate_alias(cls, alias: str) -> None:
        """Raise ConfigurationError unless *alias* can be a file's name."""
        EXPORTERS.check_alias(alias)

    @classmethod
    def resolve_path(cls, alias: str) -> Path:
        """The file of *alias*: the user's, else the system's, else where the user's would be."""
        return EXPORTERS.find(alias) or EXPORTERS.user_path(alias)

    @classmethod
    def exists(cls, alias: str) -> bool:
        """Whether *alias* names a file, of the user or of the system."""
        return EXPORTERS.find(alias) is not None

    @classmethod
    def user_config_exists(cls, alias: str) -> bool:
        """Whether *alias* names a file of the user."""
        return EXPORTERS.user_path(alias).is_file()

    @classmethod
    def load(
        cls, alias: str, *, check_drivers: bool = True, environment: bool = True
    ) -> ExporterConfigV1Alpha1:
        """Read the file of *alias*; see `load_path`."""
        return cls.load_path(
            EXPORTERS.require(alias), alias=alias, check_drivers=check_drivers, environment=environment
        )

    @classmethod
    def load_path(
        cls,
        path: str | os.PathLike[str],
        *,
        alias: str | None = None,
        check_drivers: bool = True,
        environment: bool = True,
        name: str | None = None,
    ) -> ExporterConfigV1Alpha1:
        """Read the file at *path*. With *name* it need not have metadata: it is the name then.

        *check_drivers* imports the driver classes and checks each ``config`` against its class; without, only
        the form of the file is checked. Without *environment* the file is read exactly as it stands.

        Raises FileNotFoundError, FileAccessError, or ConfigurationError with all problems, a line each.
        """
        path = Path(path)
        try:
            text = read_file(path)
        except FileNotFoundError:
            raise missing_file(path, "exporter config") from None
        problems = Problems(display_path(path), check_drivers)
        root = read_document(text, EXPORTER_KINDS, problems)
        if name is not None and root.get("metadata") is None:
            root.put("metadata", Node(Entries([Entry("name", "name", 0, Node(name, 0, raw=name))]), 0))
        overrides = overlay_exporter(root, problems) if environment else Overrides()
        values = convert_fields(cls, root, (), problems)
        check_refs(values.get("export", {}), problems)
        problems.raise_if_any()
        alias = alias or path.name.removesuffix(".yaml").removesuffix(".yml")
        config = cls(**values, alias=alias, path=path, overrides=overrides)
        overrides.remember(config)
        return config

    @classmethod
    def list(cls) -> ExporterConfigListV1Alpha1:
        """All exporter configurations as their files stand, by alias; what is not valid is in `problems`."""
        found = ExporterConfigListV1Alpha1()
        for alias, path in EXPORTERS.aliases().items():
            try:
                found.items.append(cls.load_path(path, alias=alias, check_drivers=False, environment=False))
            except JumpstarterException as error:
                found.problems.append(str(error))
        return found

    @classmethod
    def delete(cls, alias: str) -> Path:
        """Delete the user's file of *alias* and return its path.

        Raises FileNotFoundError when there is none, ConfigurationError for a file of the system.
        """
        return EXPORTERS.delete(alias)

    def save(self, path: str | os.PathLike[str] | None = None) -> Path:
        """Write the file: to *path*, else where it was read from, else as the user's file of the alias.

        Values of the environment are not written. Raises FileAccessError.
        """
        target = Path(path) if path is not None else self.path or EXPORTERS.user_path(self.alias)
        write_atomically(target, self.dump_yaml())
        self.path = target
        return target

    def dump_yaml(self) -> str:
        """The file's text."""
        return dump(to_plain(self.overrides.undo(self)))

    def instantiate(self) -> Driver:
        """Make all drivers and the group that holds them.

        Raises ConfigurationError with file, line, key, class and reason; what was already made is closed.
        """
        return ExporterConfigV1Alpha1DriverInstance(
            description=self.description, children=self.export
        ).instantiate()

    @contextmanager
    def serve_unix(self) -> Iterator[Path]:
        """Make the drivers and serve them, ready for use, on a unix socket until the end; gives its path."""
        # A convenience of stock Jumpstarter's config classes; the connection floor is above this one.
        from jumpstarter.connection import local_session

        with local_session(
            self.instantiate(), motd=self.motd or "", fetch_policy=self.fetch and self.fetch.policy
        ) as path:
            yield Path(path)

    @asynccontextmanager
    async def serve_unix_async(self) -> AsyncGenerator[Path]:
        """`serve_unix` for coroutines."""
        from anyio import CancelScope, to_thread

        session = self.serve_unix()
        path = await to_thread.run_sync(session.__enter__)
        try:
            yield path
        finally:
            with CancelScope(shield=True):
                await to_thread.run_sync(session.__exit__, None, None, None)

    @asynccontextmanager
    async def create_exporter(self, *, standalone: bool = False) -> AsyncGenerator[Exporter]:
        """The exporter for a program to run: `serve` for the clients of the lab, or `serve_standalone_tcp` without a lab.

        It stops with the context. *standalone* makes no difference: whether there is a controller matters to `serve` only.
        """
        # A convenience, too; the exporter service is above.
        from jumpstarter.exporter.exporter import from_config

        async with from_config(self) as exporter:
            yield exporter

    async def serve(self) -> None:
        """Serve the clients of the lab until cancelled, or until a hook or ``exitOnLeaseEnd`` ends the exporter.

        Raises ConfigurationError when a driver does not work or no controller is named, ConnectionError when the controller
        does not take the exporter.
        """
        async with self.create_exporter() as exporter:
            await exporter.serve()


@dataclass(kw_only=True)
class ExporterConfigListV1Alpha1(ConfigList):
    """All exporter configurations; *problems*: what is wrong with those that are not listed."""

    apiVersion: str = field(  # noqa: N815 - the name in the file
        default=CONFIG_API_VERSION, metadata={"keep": True}
    )
    items: list[ExporterConfigV1Alpha1] = field(default_factory=list, metadata={"keep": True})
    kind: str = field(default="ExporterConfigList", metadata={"keep": True})
    problems: list[str] = field(default_factory=list, metadata={"internal": True})
