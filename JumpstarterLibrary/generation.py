"""From the tree of clients to the list of keywords.

`driver_keywords` walks the tree, asks an adapter for each client and lets `JumpstarterLibrary.naming` name
what it offers. Nothing is called on a driver, except where a driver's methods are known to the exporter only.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from jumpstarter.client.base import StubDriverClient

from .adapters import Adapter, Context, Offer, adapter_for
from .documentation import keyword_documentation
from .driver_keyword import DriverKeyword
from .naming import Method, Names, assign, root_prefix
from .reflection import Kind, stream_arguments

ContextMaker = Callable[[tuple[str, ...]], Context]


@dataclass(frozen=True)
class Node:
    """A client in the tree: *path* are the names that lead to it, *label* is the path that keywords show."""

    path: tuple[str, ...]
    label: tuple[str, ...]
    client: Any


@dataclass(frozen=True)
class Generated:
    """The keywords of a tree by name, and the decisions worth telling.

    *methods* are all of them by method, also those that share their name with another and so are no keywords.
    """

    keywords: dict[str, DriverKeyword]
    methods: dict[Method, DriverKeyword]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def nodes(root: Any) -> list[Node]:
    """All clients of the tree, parents first.

    A root that is a driver by itself is labelled after its class. A root's only child that has children gives
    its label to its own methods and not to theirs: ``Power On``, not ``Board Power On``.
    """
    if not root.children:
        return [Node((), (root_prefix(type(root).__name__),), root)]
    wrapper = sole_wrapper(root)
    found = list(_walk(root, (), ()))
    if wrapper is None:
        return found
    return [Node(n.path, n.label[1:] if len(n.label) > 1 else n.label, n.client) for n in found]


def sole_wrapper(root: Any) -> str | None:
    """The name of the root's only child if that has children of its own."""
    if len(root.children) != 1:
        return None
    ((name, child),) = root.children.items()
    return name if child.children else None


def _walk(client: Any, path: tuple[str, ...], label: tuple[str, ...]) -> Iterator[Node]:
    yield Node(path, label or (root_prefix(type(client).__name__),), client)
    for name, child in client.children.items():
        yield from _walk(child, (*path, name), (*path, name))


def driver_keywords(
    root: Any, make_context: ContextMaker, reserved: Collection[str], prefix: str = ""
) -> Generated:
    """All keywords of the tree under *root*, keeping clear of the *reserved* names.

    *prefix* is a word in front of every driver's name: ``Left Power On``.
    """
    offers: dict[Method, tuple[Adapter, Offer]] = {}
    warnings = []
    for node in nodes(root):
        if isinstance(node.client, StubDriverClient):
            warnings.append(f"{'.'.join(node.path)}: no keywords, its client is not installed or not allowed")
            continue
        adapter = adapter_for(node.client, make_context(node.path or node.label))
        for name, offer in adapter._offers().items():
            label = (prefix, *node.label) if prefix else node.label
            offers[Method(label, name, node.path)] = (adapter, offer)
    names = assign(offers, reserved)
    keywords = {
        name: _keyword(name, method, *offers[method], names)
        for name, method in (*names.canonical.items(), *names.aliases.items())
    }
    methods = {found.method: found for found in keywords.values() if not found.is_alias}
    for name, owners in names.rejected.items():
        methods |= {method: _keyword(name, method, *offers[method], names) for method in owners}
    warnings += [
        f"keyword {name!r} would be {' and '.join(map(str, owners))}: use `Call Driver Method`"
        for name, owners in names.rejected.items()
    ]
    return Generated(keywords, methods, tuple(_notes(root, names)), tuple(warnings))


def _notes(root: Any, names: Names) -> Iterator[str]:
    if (wrapper := sole_wrapper(root)) is not None:
        yield f"{wrapper!r} is the only driver at the root: keywords of its children do without its name"
    for name, other in names.renamed.items():
        yield f"{name!r} is a keyword of a standard library, or of another connection: the driver's is {other!r}"
    if names.dropped:
        yield f"no verb-first alias where it would be ambiguous: {', '.join(names.dropped)}"


def _keyword(name: str, method: Method, adapter: Adapter, offer: Offer, names: Names) -> DriverKeyword:
    signature = offer.signature
    if signature.kind is Kind.STREAM:
        signature = stream_arguments(signature, count=None if method.name in adapter.finite else 1)
    is_alias = name in names.aliases
    same = [
        other for other, owner in (names.canonical if is_alias else names.aliases).items() if owner == method
    ]
    documentation = keyword_documentation(
        signature.function.__doc__,
        {argument.name for argument in signature.shown},
        description=(adapter._client.methods_description or {}).get(method.name),
        notes=[f"Same as `{other}`." for other in same],
    )
    return DriverKeyword(name, method, adapter, Offer(signature, offer.call), documentation, is_alias)
