"""An object that passes on to another whatever is done with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

#: Methods that Python looks up at the class and not at the instance.
_SPECIAL = [
    "__call__",
    "__len__",
    "__bool__",
    "__contains__",
    "__getitem__",
    "__setitem__",
    "__delitem__",
    "__iter__",
    "__next__",
    "__aiter__",
    "__anext__",
    "__enter__",
    "__exit__",
    "__aenter__",
    "__aexit__",
    "__await__",
    "__str__",
    "__int__",
    "__float__",
    "__fspath__",
]

#: What the object answers itself.
_OWN = frozenset({"__dict__", "_referred", "_own"})


class Forwarding:
    """Attributes are read, set and deleted at what `_referred` returns; while that is None, here.

    The names in `_own` are always answered here. ``isinstance`` is true of the classes of both.
    """

    _own: frozenset[str] = frozenset()

    def _referred(self) -> Any:
        raise NotImplementedError

    def __getattribute__(self, name: str) -> Any:
        target = _target(self, name)
        return object.__getattribute__(self, name) if target is None else getattr(target, name)

    def __setattr__(self, name: str, value: Any) -> None:
        target = _target(self, name)
        if target is None:
            object.__setattr__(self, name, value)
        else:
            setattr(target, name, value)

    def __delattr__(self, name: str) -> None:
        target = _target(self, name)
        if target is None:
            object.__delattr__(self, name)
        else:
            delattr(target, name)

    def __dir__(self) -> list[str]:
        target = self._referred()
        return list(object.__dir__(self)) if target is None else dir(target)


def like(base: type, target: Any) -> type:
    """A subclass of *base*, a `Forwarding`, that may be called, iterated or entered if *target* may."""
    # What every object has, such as __str__, is as good here.
    differing = (
        name for name in _SPECIAL if getattr(type(target), name, None) != getattr(object, name, None)
    )
    special = {name: _forwarded(name) for name in differing}
    return type(base.__name__, (base,), {"__module__": base.__module__, **special})


def _target(forwarding: Forwarding, name: str) -> Any:
    """Where *name* is looked up: None for the object itself."""
    if name in _OWN or name in type(forwarding)._own:
        return None
    return forwarding._referred()


def _forwarded(name: str) -> Callable[..., Any]:
    def method(self: Forwarding, *args: Any) -> Any:
        return getattr(type(target := self._referred()), name)(target, *args)

    return method
