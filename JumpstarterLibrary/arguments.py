"""Values for the arguments of a keyword: none is left out, none is taken for another.

Robot checks what a suite gives to a keyword before it calls it. `Call Driver Method` and Python code come in past Robot, so the
same checks and conversions are here, and every call goes through them. Pure functions.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jumpstarter.common.exceptions import ArgumentError
from robot.api import TypeInfo

from .conversion import check_bool, to_client
from .reflection import Argument, Signature

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def bind(what: str, signature: Signature, args: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Any]:
    """Values by argument name: those that are given, a tuple and a dict for ``*args`` and ``**named``.

    Raises ArgumentError, which begins with *what*, when there are too many, too few, or one of a name that is not known.
    """
    parameters = [inspect.Parameter(a.name, a.kind, default=a.default) for a in signature.shown]
    try:
        return dict(inspect.Signature(parameters).bind(*args, **named).arguments)
    except TypeError as error:
        takes = ", ".join(usage(signature)) or "no arguments"
        raise ArgumentError(f"{what}: {error}, found {_found(args, named)}, expected {takes}") from None


def usage(signature: Signature) -> list[str]:
    """The arguments as a reader would write them: ``path``, ``target=None``, ``*args``."""
    return [a if isinstance(a, str) else f"{a[0]}={a[1]}" for a in signature.specification]


def as_robot_converts(
    signature: Signature, args: Sequence[Any], named: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """*args* and *named* as Robot would convert them; call `bind` first.

    Raises ValueError when one cannot be converted.
    """
    by_name = _by_name(signature)
    rest = _of_kind(signature, inspect.Parameter.VAR_KEYWORD)
    converted = {name: _robot_value(value, by_name.get(name, rest)) for name, value in named.items()}
    # bind has seen to it that there are no more values than arguments.
    return [
        _robot_value(v, a) for v, a in zip(args, _positional(signature, len(args)), strict=True)
    ], converted


def argument_to_client(value: Any, argument: Argument) -> Any:
    """What the client wants for the *value* of *argument*; each one of a variadic argument by itself."""
    if argument.kind is inspect.Parameter.VAR_POSITIONAL:
        return tuple(to_client(each, argument.annotation) for each in value)
    if argument.kind is inspect.Parameter.VAR_KEYWORD:
        return {name: to_client(each, argument.annotation) for name, each in value.items()}
    check_bool(argument.name, value, argument.annotation)
    return to_client(value, argument.annotation)


def for_client(signature: Signature, values: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """The *values* that `bind` gave, as positional and named arguments of the method.

    A parameter of the method that is no argument of the keyword keeps its default; what comes after it goes by name.
    """
    args: list[Any] = []
    named: dict[str, Any] = {}
    contiguous = True
    for argument, follows in _with_gaps(signature):
        contiguous = contiguous and follows and (argument.name in values or argument.kind in _VARIADIC)
        if argument.name not in values:
            continue
        value = values[argument.name]
        if argument.kind is inspect.Parameter.VAR_POSITIONAL:
            args += value
        elif argument.kind is inspect.Parameter.VAR_KEYWORD:
            named |= value
        elif argument.kind in _POSITIONAL and contiguous:
            args.append(value)
        else:
            named[argument.name] = value
    return args, named


def _with_gaps(signature: Signature) -> Iterator[tuple[Argument, bool]]:
    """Each argument of the method, and whether the method has no parameter between it and the one before."""
    names = list(inspect.signature(signature.function).parameters)
    before = None
    for argument in signature.arguments:
        at = names.index(argument.name) if argument.name in names else None
        yield argument, before is None or at is None or at == before + 1
        before = at


def _positional(signature: Signature, count: int) -> list[Argument]:
    """The argument that each of *count* positional values belongs to."""
    plain = [a for a in signature.arguments if a.kind in _POSITIONAL][:count]
    rest = [a for a in signature.arguments if a.kind is inspect.Parameter.VAR_POSITIONAL]
    return plain + rest * (count - len(plain))


def _by_name(signature: Signature) -> dict[str, Argument]:
    return {a.name: a for a in signature.shown if a.kind not in _VARIADIC}


def _of_kind(signature: Signature, kind: Any) -> Argument | None:
    return next((a for a in signature.arguments if a.kind is kind), None)


def _robot_value(value: Any, argument: Argument | None) -> Any:
    if argument is None or argument.type is Any or (value is None and argument.default is None):
        return value
    return TypeInfo.from_type_hint(argument.type).convert(value, argument.name)


def _found(args: Sequence[Any], named: Mapping[str, Any]) -> str:
    return ", ".join([*map(repr, args), *(f"{name}={value!r}" for name, value in named.items())]) or "none"
