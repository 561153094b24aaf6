"""What a client does about an exporter that was started anew: its session is another one, and its drivers are fresh.

The client lives on. It looks before the first call after its connection broke; it says what it found, and goes on with the
drivers in the same places. Ours keep their UUIDs, those of stock exporters have new ones.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from jumpstarter.common.metadata import CLIENT_LABEL

from .tree import Builder, root_of

logger = logging.getLogger("jumpstarter.client")


def follow(before: Any, root: Builder, now: Any) -> dict[str, str]:
    """Have the clients below *root* use the drivers of the report *now*, where they were made of the report *before*.

    Gives the new UUIDs of drivers, by their old ones; nothing when the session is the same. Raises ConnectionError for a report
    that is no tree.
    """
    if now.uuid == before.uuid:
        return {}
    pairs = list(_pairs(root, root_of([Builder(each, _unused) for each in now.reports]), ""))
    missing = ", ".join(repr(path) for path, _, new in pairs if new is None)
    logger.warning(
        "the exporter was started anew: its drivers are fresh, without what was set or opened before%s",
        f"; it has no driver {missing} as before any more: connect again" if missing else "",
    )
    places: dict[str, set[str]] = {}
    for _, old, new in pairs:
        places.setdefault(str(old.uuid), set()).add(str(new.uuid) if new is not None else "")
        _use(old, new)
    # A driver had one UUID under all of its names: it has a new one if it is still one driver.
    return {old: new for old, (new, *others) in places.items() if new and not others and new != old}


def _pairs(old: Builder, new: Builder | None, path: str) -> Iterator[tuple[str, Builder, Builder | None]]:
    """(path, node, the node in its place) for *old* and all below it; None where there is none of its kind."""
    if new is not None and new.labels.get(CLIENT_LABEL) != old.labels.get(CLIENT_LABEL):
        new = None
    yield path, old, new
    for name, child in old.children.items():
        below = new.children.get(name) if new is not None else None
        yield from _pairs(child, below, f"{path}.{name}" if path else name)


def _use(old: Builder, new: Builder | None) -> None:
    """Have the client of *old* use the driver of *new* from now on."""
    if new is not None:
        old.uuid = new.uuid
        if old.is_built:
            old.client().uuid = new.uuid


def _unused(node: Builder) -> Any:
    raise NotImplementedError(f"the node {node.uuid} is compared only")
