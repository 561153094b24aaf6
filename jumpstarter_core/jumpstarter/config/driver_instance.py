"""A driver of an exporter's ``export`` tree: as the file gives it, and the object that is made of it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter.config.driver_class import COMPOSITE, PROXY, driver_class, one_line
from jumpstarter.config.files import missing_file
from jumpstarter.config.loader import KeyPath, Node, Problems, key_path, parse_yaml, read_file
from jumpstarter.config.schema import INVALID, convert, convert_fields

if TYPE_CHECKING:
    from jumpstarter.driver import Driver


@dataclass(frozen=True)
class Source:
    """Where an instance stands in a file, and the lines of its keys."""

    file: str
    line: int
    where: KeyPath
    lines: dict[str, int]

    def __str__(self) -> str:
        return (
            f"{self.file}:{self.line}: {key_path(self.where)}: "
            if self.where
            else f"{self.file}:{self.line}: "
        )


def _mapping(annotation: Any) -> Any:
    """A field's converter: a mapping, and nothing (``config:`` with no value) as an empty one."""

    def convert_mapping(node: Node, where: KeyPath, problems: Problems) -> Any:
        return {} if node.value is None else convert(node, annotation, where, problems)

    return convert_mapping


def convert_children(node: Node, where: KeyPath, problems: Problems) -> Any:
    """The instances of a mapping of names to instances."""
    return _mapping(dict[str, ExporterConfigV1Alpha1DriverInstance])(node, where, problems)


@dataclass(kw_only=True)
class ExporterConfigV1Alpha1DriverInstanceBase:
    """A driver: *config* holds the arguments of its class *type*, *children* are given to it."""

    type: str
    description: str | None = None
    methods_description: dict[str, str] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    children: dict[str, ExporterConfigV1Alpha1DriverInstance] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.children = as_instances(self.children)


@dataclass(kw_only=True)
class ExporterConfigV1Alpha1DriverInstanceComposite:
    """A group of drivers."""

    children: dict[str, ExporterConfigV1Alpha1DriverInstance] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.children = as_instances(self.children)


@dataclass(kw_only=True)
class ExporterConfigV1Alpha1DriverInstanceProxy:
    """Another name for the driver at *ref*, a dotted path of names from the top."""

    ref: str


#: The three forms that a node has, as classes of their own.
Form = (
    ExporterConfigV1Alpha1DriverInstanceBase
    | ExporterConfigV1Alpha1DriverInstanceComposite
    | ExporterConfigV1Alpha1DriverInstanceProxy
)


@dataclass(kw_only=True, init=False)
class ExporterConfigV1Alpha1DriverInstance:
    """One node: a driver (`type`), an alias of another node (`ref`) or a group (`children` only).

    *config* holds the arguments of the driver's class; *children* are given to it. *description* and
    *methods_description* (by command) replace the help texts of the ``j`` commands.

    A node is also made of its form, *root*: one of the classes above, or a mapping with its fields.
    """

    type: str | None = None
    ref: str | None = None
    description: str | None = None
    methods_description: dict[str, str] = field(
        default_factory=dict, metadata={"convert": _mapping(dict[str, str])}
    )
    config: dict[str, Any] = field(default_factory=dict, metadata={"convert": _mapping(dict[str, Any])})
    children: dict[str, ExporterConfigV1Alpha1DriverInstance] = field(
        default_factory=dict, metadata={"convert": convert_children}
    )
    source: Source | None = field(default=None, compare=False, repr=False, metadata={"internal": True})
    arguments: dict[str, Any] | None = field(
        default=None, compare=False, repr=False, metadata={"internal": True}
    )
    """*config* converted to the annotations of the class, once that was checked."""

    def __init__(
        self,
        root: Form | Mapping[str, Any] | None = None,
        *,
        type: str | None = None,
        ref: str | None = None,
        description: str | None = None,
        methods_description: dict[str, str] | None = None,
        config: dict[str, Any] | None = None,
        children: Mapping[str, Any] | None = None,
        source: Source | None = None,
        arguments: dict[str, Any] | None = None,
    ) -> None:
        if root is not None:
            given = root if isinstance(root, Mapping) else vars(root)
            self.__init__(**given)  # type: ignore[misc]
            return
        self.type, self.ref, self.description = type, ref, description
        self.methods_description = {} if methods_description is None else methods_description
        self.config = {} if config is None else config
        self.children = as_instances(children or {})
        self.source, self.arguments = source, arguments

    @property
    def root(self) -> Form:
        """The node's form; it shares *config* and *children* with the node."""
        if self.ref is not None:
            return ExporterConfigV1Alpha1DriverInstanceProxy(ref=self.ref)
        if self.type is None:
            return ExporterConfigV1Alpha1DriverInstanceComposite(children=self.children)
        return ExporterConfigV1Alpha1DriverInstanceBase(
            type=self.type,
            description=self.description,
            methods_description=self.methods_description,
            config=self.config,
            children=self.children,
        )

    @classmethod
    def from_node(cls, node: Node, where: KeyPath, problems: Problems) -> Any:
        """The instance of a file's node; with problems added still one, if its children can be looked at."""
        values = convert_fields(cls, node, where, problems)
        if not node.is_mapping:
            return INVALID
        lines = {entry.raw_key: entry.line for entry in node.entries()}
        instance = cls(**values, source=Source(problems.file, node.line, where, lines))
        _check_combination(node, where, problems)
        if problems.check_drivers and instance.type is not None:
            from jumpstarter.config.driver_check import check_driver

            instance.arguments = check_driver(node, where, problems)
        return instance

    @classmethod
    def from_path(cls, path: str | os.PathLike[str]) -> ExporterConfigV1Alpha1DriverInstance:
        """Read a file that holds one instance.

        Raises FileNotFoundError, FileAccessError, or ConfigurationError with all problems, a line each.
        """
        try:
            text = read_file(Path(path), str(path))
        except FileNotFoundError:
            raise missing_file(Path(path), "driver config") from None
        return cls.from_str(text, str(path))

    @classmethod
    def from_str(cls, config: str, file: str = "<string>") -> ExporterConfigV1Alpha1DriverInstance:
        """Read a YAML text that holds one instance; *file* is its name in errors.

        Raises ConfigurationError with all problems, a line each.
        """
        from jumpstarter.config.refs import check_refs

        problems = Problems(file, check_drivers=True)
        node = parse_yaml(config, problems)
        if node is None and not problems:
            problems.add(1, (), "the text is empty; expected a mapping with type, ref or children")
        instance = cls.from_node(node, (), problems) if node is not None else INVALID
        if instance is not INVALID:
            check_refs(instance.children, problems)
        problems.raise_if_any()
        assert isinstance(instance, cls)
        return instance

    def instantiate(self) -> Driver:
        """Make the drivers, children first.

        When one cannot be made, those already made are closed again and ConfigurationError is raised with
        file, line, key, class and reason.
        """
        from jumpstarter.config.refs import check_built_refs

        made: list[Driver] = []
        try:
            driver = self._instantiate(made)
            check_built_refs(self, driver)
        except BaseException as error:
            _close(made, error)
            raise
        return driver

    def walk(
        self, where: tuple[str, ...] = ()
    ) -> Iterator[tuple[tuple[str, ...], ExporterConfigV1Alpha1DriverInstance]]:
        """This node and all below it, with the names that lead there."""
        yield where, self
        for name, child in self.children.items():
            yield from child.walk((*where, name))

    def _instantiate(self, made: list[Driver]) -> Driver:
        """*made* holds the drivers that no other driver will close."""
        children = {name: child._instantiate(made) for name, child in self.children.items()}
        path = PROXY if self.ref is not None else self.type or COMPOSITE
        arguments = dict(self.config if self.arguments is None else self.arguments)
        if self.ref is not None:
            arguments["ref"] = self.ref
        prefix = self.source or ""
        try:
            cls: Any = driver_class(path)
        except ConfigurationError as error:
            raise ConfigurationError(f"{prefix}{error.message}") from None
        try:
            driver: Driver = cls(
                description=self.description,
                methods_description=self.methods_description,
                children=children,
                **arguments,
            )
        except Exception as error:  # noqa: BLE001 - a driver of anyone's may raise anything
            reason = one_line(error)
            if not isinstance(error, ConfigurationError):
                reason = f"{type(error).__name__}: {reason}"
            # No `from`: str() of an error with a cause says it twice. The context keeps the traceback.
            raise ConfigurationError(f"{prefix}{path} could not be set up: {reason}")  # noqa: B904
        made[:] = [each for each in made if each not in children.values()]
        made.append(driver)
        return driver


def as_instances(children: Mapping[str, Any]) -> dict[str, ExporterConfigV1Alpha1DriverInstance]:
    """*children* with every form and mapping made an instance; the same mapping when there is nothing to be made."""
    cls = ExporterConfigV1Alpha1DriverInstance
    if isinstance(children, dict) and all(isinstance(child, cls) for child in children.values()):
        return children
    return {name: child if isinstance(child, cls) else cls(child) for name, child in children.items()}


def _check_combination(node: Node, where: KeyPath, problems: Problems) -> None:
    given = {entry.key for entry in node.entries()}
    if "ref" in given:
        others = sorted(name for name in ("type", "config", "children") if name in given)
        if others:
            problems.add(
                node,
                where,
                f"found 'ref' together with {', '.join(repr(name) for name in others)}; "
                "expected either 'ref' alone (another name for a driver) or 'type' (a driver of its own)",
            )
    elif "type" not in given and "config" in given:
        problems.add(
            node, where, "found 'config' without 'type'; expected 'type' with the class path of a driver"
        )
    elif not given & {"type", "children"} and not _misspelt(given):
        problems.add(node, where, "names no driver; expected 'type', 'ref' or 'children'")


def _misspelt(given: set[Any]) -> bool:
    """Whether an unknown key, which is a problem of its own, is likely the missing one."""
    from jumpstarter.common.suggestions import nearest

    known = ("type", "ref", "children", "config", "description", "methods_description")
    unknown = [str(name) for name in given if name not in known]
    return any(nearest(name, ("type", "ref", "children")) for name in unknown)


def _close(drivers: list[Driver], error: BaseException) -> None:
    for driver in reversed(drivers):
        try:
            driver.close()
        except Exception as failure:  # noqa: BLE001 - reported with the first error
            error.add_note(f"closing {type(driver).__name__} failed as well: {one_line(failure)}")
