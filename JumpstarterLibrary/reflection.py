"""What a client's class offers as keywords: its public methods, with the arguments and types that Robot sees.

Reads classes only; it calls nothing. An adapter (`JumpstarterLibrary.adapters`) is read in the same way.
"""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Collection, Generator, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum
from typing import Any, get_origin

from robot.api.types import Secret

from .conversion import (
    UNRESOLVED,
    UnsupportedTypeError,
    display_default,
    is_secret,
    resolve_annotation,
    robot_type,
)
from .naming import is_hidden

_EMPTY = inspect.Parameter.empty
_HANDLES = frozenset({"handle", "operator"})  # what only Python code can give


class Kind(Enum):
    """How a method is run: called, or its items are collected, or the property is read."""

    CALL = "call"
    STREAM = "stream"
    PROPERTY = "property"


@dataclass(frozen=True)
class Argument:
    """One argument: *annotation* is the client's type, *type* Robot's, *shown_default* for the reader."""

    name: str
    kind: Any
    annotation: Any
    type: Any
    default: Any = _EMPTY

    @property
    def shown_default(self) -> Any:
        """The default as the documentation shows it."""
        return display_default(self.name, self.default, self.type)


@dataclass(frozen=True)
class Signature:
    """A method as a keyword: what Robot is told (`specification`, `types`) and what the client wants."""

    function: Any
    kind: Kind
    arguments: tuple[Argument, ...]
    returns: Any = Any
    extra: tuple[Argument, ...] = ()

    @property
    def shown(self) -> tuple[Argument, ...]:
        """All arguments of the keyword; *extra* ones are the library's own and named-only."""
        rest = tuple(a for a in self.arguments if a.kind is inspect.Parameter.VAR_KEYWORD)
        return (*(a for a in self.arguments if a not in rest), *self.extra, *rest)

    @property
    def specification(self) -> list[str | tuple[str, Any]]:
        """The arguments in the form of Robot's dynamic library API."""
        return list(_specification(self.shown))

    @property
    def types(self) -> dict[str, Any]:
        """Types by argument name, the result's as ``return``: a fresh dict, for Robot changes it."""
        found = {a.name: a.type for a in self.shown if a.type is not Any}
        if self.returns not in (Any, None, type(None)):
            found["return"] = self.returns
        return found


def _specification(arguments: tuple[Argument, ...]) -> Iterator[str | tuple[str, Any]]:
    marked = False
    for previous, argument in zip((None, *arguments), arguments, strict=False):
        if _is(previous, "POSITIONAL_ONLY") and not _is(argument, "POSITIONAL_ONLY"):
            yield "/"
        if _is(argument, "VAR_POSITIONAL"):
            marked = True
            yield f"*{argument.name}"
        elif _is(argument, "VAR_KEYWORD"):
            yield f"**{argument.name}"
        else:
            if _is(argument, "KEYWORD_ONLY") and not marked:
                marked = True
                yield "*"
            yield argument.name if argument.default is _EMPTY else (argument.name, argument.shown_default)
    if arguments and _is(arguments[-1], "POSITIONAL_ONLY"):
        yield "/"


def _is(argument: Argument | None, kind: str) -> bool:
    return argument is not None and argument.kind is getattr(inspect.Parameter, kind)


def keyword_methods(
    owner: type, *, base: type = object, hidden: Collection[str] = (), plumbing_by_name: bool = True
) -> dict[str, Signature]:
    """The methods and plain properties of class *owner* that are keywords, by name, sorted.

    What *base* has is plumbing and left out, as is anything in *hidden* and every method that needs a value
    which only Python code can make (an open file, a context manager). So is what has a name of plumbing
    (``open_stream``), unless *plumbing_by_name* is false: in a class that was written for Robot it is none.
    """
    plumbing = set(dir(base)) | set(hidden)
    found = {}
    for name in sorted(set(dir(owner)) - plumbing):
        if name.startswith("_") or (plumbing_by_name and is_hidden(name)):
            continue
        signature = _reflect(inspect.getattr_static(owner, name))
        if signature is not None:
            found[name] = signature
    return found


def _reflect(member: Any) -> Signature | None:
    if isinstance(member, property):
        return _reflect_property(member)
    if isinstance(member, (staticmethod, classmethod)) or not inspect.isfunction(member):
        return None
    if _gives_context(member) or inspect.iscoroutinefunction(member) or inspect.isasyncgenfunction(member):
        return None
    try:
        arguments = tuple(_arguments(member))
    except UnsupportedTypeError:
        return None
    returns = _annotation(member, "return", inspect.signature(member).return_annotation)
    stream = inspect.isgeneratorfunction(member) or get_origin(returns) in (Generator, Iterator)
    kind = Kind.STREAM if stream else Kind.CALL
    return Signature(member, kind, arguments, list if stream else result_type(returns))


def _reflect_property(member: property) -> Signature | None:
    if member.fget is None:
        return None
    returns = _annotation(member.fget, "return", inspect.signature(member.fget).return_annotation)
    if returns not in (str, int, float, bool):
        return None  # most likely an object to work with, and no value to look at
    if is_secret(member.fget.__name__):
        returns = Secret
    return Signature(member.fget, Kind.PROPERTY, (), returns)


def _arguments(function: types.FunctionType) -> Iterator[Argument]:
    parameters = list(inspect.signature(function).parameters.values())[1:]  # without self
    for parameter in parameters:
        optional = parameter.default is not _EMPTY
        if parameter.name.startswith("_") and optional:
            continue
        if parameter.name in _HANDLES:
            if optional:
                continue
            raise UnsupportedTypeError(f"{parameter.name} can be made by Python code only")
        annotation = _annotation(function, parameter.name, parameter.annotation)
        try:
            robot = robot_type(parameter.name, annotation, parameter.default)
        except UnsupportedTypeError:
            if not optional:
                raise
            continue
        yield Argument(parameter.name, parameter.kind, annotation, robot, parameter.default)


def _annotation(function: Any, name: str, annotation: Any) -> Any:
    namespace = {**vars(sys.modules.get(function.__module__, object)), **function.__globals__}
    found = resolve_annotation(annotation, namespace)
    return Any if found is UNRESOLVED and name == "return" else found


def _gives_context(function: types.FunctionType) -> bool:
    """Whether the function is a factory of context managers, which a keyword cannot hand out."""
    inner = getattr(function, "__wrapped__", None)
    if inner is not None and not inspect.isgeneratorfunction(function) and inspect.isgeneratorfunction(inner):
        return True
    returns = _annotation(function, "return", inspect.signature(function).return_annotation)
    if returns is Any and str(inspect.signature(function).return_annotation).endswith("Adapter"):
        return True  # by the convention of network adapters; this one is imported by type checkers only
    origin = get_origin(returns) or returns
    return inspect.isclass(origin) and issubclass(
        origin, (AbstractContextManager, AbstractAsyncContextManager)
    )


def stream_arguments(signature: Signature, *, count: int | None) -> Signature:
    """*signature* with the named-only arguments that bound a stream.

    *count* is the default number of items.
    """
    named = inspect.Parameter.KEYWORD_ONLY
    extra = (
        Argument("count", named, int | None, int | None, count),
        Argument("timeout", named, timedelta | None, timedelta | None, None),
    )
    taken = {argument.name for argument in signature.arguments}
    return replace(signature, extra=tuple(a for a in extra if a.name not in taken))


def result_type(annotation: Any) -> Any:
    """The type of a result as the documentation names it; `Any` where it is not a simple one."""
    if annotation in (str, int, float, bool, bytes, list, dict, tuple, timedelta):
        return annotation
    simple_origin = get_origin(annotation) in (list, dict, tuple, set)
    return annotation if simple_origin else Any
