"""Groups of drivers, and references.

A `Proxy` never appears in the exporter's report: the driver it refers to, with everything below it, is
reported a second time in the proxy's place, under the proxy's name and with the uuids of the originals. So
calls reach the one instance. In the exporter, too, a proxy passes on to its target whatever other drivers do with it.
"""

from __future__ import annotations

from abc import ABCMeta
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter.common.suggestions import nearest
from jumpstarter.driver import Driver
from jumpstarter.driver.order import Reference

from .forwarding import Forwarding, like

__all__ = ["Composite", "CompositeInterface", "Proxy"]


class CompositeInterface(metaclass=ABCMeta):  # noqa: B024 - the children are its methods
    """A driver that consists of its children."""

    @classmethod
    def client(cls) -> str:
        """Import path of the client class."""
        return "jumpstarter_driver_composite.client.CompositeClient"


@dataclass(kw_only=True)
class Composite(CompositeInterface, Driver):
    """A group of drivers; does nothing itself."""


@dataclass(kw_only=True, eq=False, repr=False)
class Proxy(Forwarding, Reference, Driver):
    """Stands for another driver of the tree, and behaves as that driver in the code of the driver that has it as a child.

    `ref` is the path of child names from the root to that driver, joined by dots: ``dutlink.power``.

    The target is found when the tree is complete, before anything is served, and looked up anew by each use. From then on
    attributes are read, set and deleted there, methods and streams are the target's, ``isinstance`` is true of its classes,
    and it may be called, iterated or entered where the target may. Before that, as in ``__post_init__`` of a parent, a use
    raises AttributeError. `close` does nothing: the target is closed once, by the driver that it is a child of, after the
    drivers that refer to it.
    """

    _own = frozenset({"ref", "enumerate", "close", "_root"})

    ref: str

    @classmethod
    def client(cls) -> str:
        """A proxy has no client: its target is reported in its place."""
        raise NotImplementedError("a proxy is never reported, so it has no client class")

    def enumerate(
        self, *, root: Driver | None = None, parent: Driver | None = None, name: str | None = None
    ) -> list[tuple[UUID, Driver | None, str | None, Driver]]:
        """The target and all below it, in the proxy's place.

        Raises `ConfigurationError` when `ref` names no driver, or leads back to itself.
        """
        if root is None:
            raise ConfigurationError(
                f"a proxy (ref: {self.ref}) cannot be the root: there is nothing to refer to"
            )
        target = _target(self, name or self.ref, root, [])
        _refuse_cycles(target, root, [target], [f"{name} -> {self.ref}"])
        self._root = root
        object.__setattr__(self, "__class__", like(Proxy, target))
        return target.enumerate(root=root, parent=parent, name=name)

    def close(self) -> None:
        """Nothing: whoever has the target as a child closes it."""

    def _referred(self) -> Driver | None:
        root = self.__dict__.get("_root")
        return None if root is None else _target(self, self.ref, root, [])

    def __getattr__(self, name: str) -> Any:
        # Reached when the target, or this class while there is none yet, has no such attribute.
        if (target := self._referred()) is not None:
            return getattr(target, name)
        raise AttributeError(
            f"ref {self.ref!r} has no {name!r} yet: a driver that is a ref can be used when all drivers are made, "
            "not while its parent is made (__post_init__)",
            name=name,
            obj=self,
        )

    def __repr__(self) -> str:
        return f"Proxy(ref={self.ref!r})"


def _target(proxy: Proxy, name: str, root: Driver, seen: list[Proxy]) -> Driver:
    """The driver that *proxy* stands for; follows proxies on the way, *seen* are those it came by."""
    if any(proxy is one for one in seen):
        raise ConfigurationError(
            f"proxy {name!r}: ref {proxy.ref!r} leads back to itself; refer to a driver with a type"
        )
    node = root
    walked: list[str] = []
    for step in proxy.ref.split("."):
        child = node.children.get(step)
        if child is None:
            raise ConfigurationError(_missing(proxy, name, node, walked, step))
        walked.append(step)
        node = _target(child, ".".join(walked), root, [*seen, proxy]) if isinstance(child, Proxy) else child
    return node


def _missing(proxy: Proxy, name: str, node: Driver, walked: list[str], step: str) -> str:
    where = f"driver {'.'.join(walked)!r}" if walked else "the exporter"
    near = nearest(step, node.children)
    hint = f"; did you mean {'.'.join([*walked, near])!r}?" if near else ""
    children = ", ".join(node.children) or "no children"
    problem = f"proxy {name!r} references nonexistent driver {proxy.ref!r}"
    return f"{problem}: {where} has {children}, not {step!r}{hint}"


def _refuse_cycles(node: Driver, root: Driver, inside: list[Driver], trail: list[str]) -> None:
    """Raise when reporting *node* would never end: a proxy below stands for a driver that it is inside of."""
    for name, child in node.children.items():
        if not isinstance(child, Proxy):
            _refuse_cycles(child, root, [*inside, child], trail)
            continue
        target = _target(child, name, root, [])
        steps = [*trail, f"{name} -> {child.ref}"]
        if any(target is outer for outer in inside):
            raise ConfigurationError(
                f"proxy {name!r}: ref {child.ref!r} leads back to itself ({', '.join(steps)}); remove a ref"
            )
        _refuse_cycles(target, root, [*inside, target], steps)
