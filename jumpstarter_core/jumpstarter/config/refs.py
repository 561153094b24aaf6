"""Checks that every ``ref`` of an ``export`` tree leads to a driver, and none of them round in a circle.

A ref is a dotted path of names from the root: ``grp.p2``. A driver may make children of its own when it is
set up, so a path below a driver is judged twice: what the file says before, the rest when the drivers exist.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter.common.suggestions import did_you_mean
from jumpstarter.config.driver_class import COMPOSITE
from jumpstarter.config.loader import Problems

if TYPE_CHECKING:
    from jumpstarter.config.driver_instance import ExporterConfigV1Alpha1DriverInstance as Instance
    from jumpstarter.driver import Driver

Names = tuple[str, ...]
MAX_HOPS = 64


def check_refs(children: dict[str, Instance], problems: Problems) -> None:
    """Add a problem for each ref below *children*, the root's, that leads nowhere or back to itself."""
    nodes = {names: node for name, child in children.items() for names, node in child.walk((name,))}
    circles: set[frozenset[str]] = set()
    for names, node in nodes.items():
        if node.ref is None:
            continue
        if reason := _unresolvable(node.ref, nodes):
            _add(node, reason, problems)
        elif (circle := _circle(names, nodes)) and frozenset(circle) not in circles:
            circles.add(frozenset(circle))
            way = " -> ".join(circle)
            _add(node, f"found '{node.ref}', a circle of refs: {way}; expected a ref to a driver", problems)


def check_built_refs(root: Instance, driver: Driver) -> None:
    """Raise ConfigurationError for the first ref of *root* that leads nowhere in *driver*, made of it."""
    for _, node in root.walk():
        if node.ref is None:
            continue
        at = driver
        for name in node.ref.split("."):
            at = _follow(at, driver)
            if name not in at.children:
                hint = did_you_mean(name, at.children) or f"; there is {', '.join(at.children) or 'none'}"
                raise ConfigurationError(
                    f"{node.source or ''}ref '{node.ref}' names no driver: "
                    f"{type(at).__name__} has no child '{name}'{hint}"
                )
            at = at.children[name]


def _follow(driver: Driver, root: Driver) -> Driver:
    """What *driver* stands for, when it is a proxy."""
    for _ in range(MAX_HOPS):
        ref = getattr(driver, "ref", None)
        if type(driver).__name__ != "Proxy" or not isinstance(ref, str):
            break
        at = root
        for name in ref.split("."):
            if name not in at.children:
                return driver
            at = at.children[name]
        driver = at
    return driver


def _unresolvable(ref: str, nodes: dict[Names, Instance]) -> str:
    """Why *ref* leads nowhere; '' when it leads somewhere, or when only the finished drivers can tell."""
    at: Names = ()
    for step in ref.split("."):
        at = _target(at, nodes)
        if (*at, step) in nodes:
            at = (*at, step)
            continue
        if at and nodes[at].type not in (None, COMPOSITE):
            return ""
        known = [".".join(names) for names in nodes]
        there = sorted(names[-1] for names in nodes if names[:-1] == at)
        hint = did_you_mean(ref, known) or (f"; there is {', '.join(there)}" if there else "")
        return f"found '{ref}', which names no driver; expected a path of names from the root{hint}"
    return ""


def _target(names: Names, nodes: dict[Names, Instance]) -> Names:
    """*names*, or what it stands for when it is a ref to another node of the file."""
    for _ in range(MAX_HOPS):
        node = nodes.get(names)
        if node is None or node.ref is None or tuple(node.ref.split(".")) not in nodes:
            break
        names = tuple(node.ref.split("."))
    return names


def _circle(start: Names, nodes: dict[Names, Instance]) -> list[str]:
    """The way from *start* back to it; [] when there is none."""

    def onward(names: Names) -> Iterator[Names]:
        node = nodes[names]
        if node.ref is not None:
            target = tuple(node.ref.split("."))
            if target in nodes:
                yield target
        yield from (other for other in nodes if other[:-1] == names)

    paths = [(start, [start])]
    seen: set[Names] = set()
    while paths:
        at, way = paths.pop()
        for following in onward(at):
            if following == start:
                return [".".join(names) for names in (*way, start)]
            if following not in seen:
                seen.add(following)
                paths.append((following, [*way, following]))
    return []


def _add(node: Instance, message: str, problems: Problems) -> None:
    if node.source is not None:
        line = node.source.lines.get("ref", node.source.line)
        problems.add(line, (*node.source.where, "ref"), message)
