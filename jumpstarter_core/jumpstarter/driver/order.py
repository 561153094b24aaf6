"""In which order the children of a driver are closed, and which of them are its own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any


class Reference:
    """Base of a driver that stands for one elsewhere in the tree, which is closed and reset where it is a child itself."""

    @abstractmethod
    def _referred(self) -> Any:
        """The driver that this one stands for; None while it is not known."""


def owned(children: Mapping[str, Any]) -> dict[str, Any]:
    """*children* without references."""
    return {name: child for name, child in children.items() if not _is_reference(child)}


def closing_order(children: Mapping[str, Any]) -> list[str]:
    """The names of *children*, references left out, users first: a driver is still open while others that refer to it close.

    Otherwise the order is kept, as it is among drivers that refer to each other.
    """
    own = owned(children)
    inside = {name: {id(node) for node in _below(child)} for name, child in own.items()}
    used = {name: {id(target) for target in _references(child)} for name, child in own.items()}
    order: list[str] = []
    seen: set[str] = set()

    def visit(name: str) -> None:
        if name in seen:
            return
        seen.add(name)
        for other in own:
            if inside[name] & used[other]:
                visit(other)
        order.append(name)

    for name in own:
        visit(name)
    return order


def _is_reference(child: Any) -> bool:
    # By its type: to isinstance it is what it stands for.
    return issubclass(type(child), Reference)


def _below(driver: Any) -> Iterator[Any]:
    yield driver
    for child in owned(_children(driver)).values():
        yield from _below(child)


def _references(driver: Any) -> Iterator[Any]:
    for child in _children(driver).values():
        if not _is_reference(child):
            yield from _references(child)
        elif (target := child._referred()) is not None:
            yield target


def _children(driver: Any) -> Mapping[str, Any]:
    # Tests of drivers put other things among the children.
    children = getattr(driver, "children", None)
    return children if isinstance(children, Mapping) else {}
