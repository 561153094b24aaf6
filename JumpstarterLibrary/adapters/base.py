"""The adapter that all others extend: plain reflection of a client."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, ClassVar

from jumpstarter.client import DriverClient

from JumpstarterLibrary.consoles import Consoles
from JumpstarterLibrary.reflection import Kind, Signature, keyword_methods
from JumpstarterLibrary.timeouts import Timeouts


@dataclass(frozen=True)
class Context:
    """What an adapter works with: its place in the tree, the default timeout, the consoles.

    *cleanup* is unwound, last in first out, when the exporter is disconnected.
    """

    path: tuple[str, ...]
    timeouts: Timeouts
    consoles: Consoles
    cleanup: ExitStack

    @property
    def name(self) -> str:
        """The driver's name for messages."""
        return ".".join(self.path)


@dataclass(frozen=True)
class Offer:
    """A method as a keyword, and the function to call with what Robot converted."""

    signature: Signature
    call: Callable[..., Any]


class Adapter:
    """Offers the methods of *client*, and those that a subclass adds."""

    hidden: ClassVar[frozenset[str]] = frozenset()
    """Client methods that are no keywords."""

    finite: ClassVar[frozenset[str]] = frozenset()
    """Generator methods that end by themselves, so that all items are wanted."""

    def __init__(self, client: Any, context: Context) -> None:
        self._client = client
        self._context = context

    def _offers(self) -> dict[str, Offer]:
        """All keywords of this driver by method name."""
        offers = {}
        for name, signature in keyword_methods(
            type(self._client), base=DriverClient, hidden=self.hidden
        ).items():
            offers[name] = Offer(signature, _caller(self._client, name, signature))
        for name, signature in keyword_methods(type(self), plumbing_by_name=False).items():
            offers[name] = Offer(signature, getattr(self, name))
        return offers

    def _before(self, method: str) -> None:
        """Called before *method* runs."""

    def _after(self, method: str) -> None:
        """Called after *method* has run without failing."""

    def _left(self, method: str) -> None:
        """Called when *method* has ended, however it did."""


def _caller(client: Any, name: str, signature: Signature) -> Callable[..., Any]:
    if signature.kind is Kind.PROPERTY:
        return functools.partial(getattr, client, name)
    call: Callable[..., Any] = getattr(client, name)
    return call
