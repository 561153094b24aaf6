"""Finding the method that a client asks for, and making its arguments fit."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from jumpstarter.common.errors import MethodNotFoundError

from .base import Driver
from .decorators import is_marked

Converter = Callable[[Any], Any]


class Method:
    """An exported method, ready to be called with what comes from the wire."""

    def __init__(self, driver: Driver, name: str, function: Callable[..., Any]) -> None:
        self.driver = driver
        self.name = name
        self.function = function
        self._converters, self._rest = _converters(function)

    def __call__(self, values: Sequence[Any]) -> Any:
        """Call with *values*, converted to the annotations. Raises ValueError naming the argument that does not fit."""
        if self._converters or self._rest is not None:
            values = [self._convert(i, value) for i, value in enumerate(values)]
        return self.function(*values)

    def _convert(self, index: int, value: Any) -> Any:
        entry = self._converters.get(index, self._rest)
        if entry is None or _is_handle(value):
            return value
        name, convert = entry
        try:
            return convert(value)
        except (ValueError, TypeError) as error:
            raise ValueError(f"argument {name!r} of {self.name}: {_reason(error)}") from None


class MethodTable:
    """The exported methods of a driver tree, by driver, name and marker."""

    def __init__(self, drivers: Mapping[UUID, Driver]) -> None:
        self._drivers = {str(uuid): driver for uuid, driver in drivers.items()}
        self._found: dict[tuple[str, str, str], Method] = {}

    def find(self, uuid: str, name: str, marker: str) -> Method:
        """The method. Raises MethodNotFoundError with the reason when there is none."""
        key = (uuid, name, marker)
        method = self._found.get(key)
        if method is None:
            method = self._found[key] = self._look_up(uuid, name, marker)
        return method

    def driver(self, uuid: str) -> Driver:
        """The driver. Raises MethodNotFoundError when this session has none of that uuid."""
        try:
            return self._drivers[str(UUID(uuid))]
        except (KeyError, ValueError):
            raise MethodNotFoundError(
                f"no driver {uuid} in this session: connect again, it may have been restarted"
            ) from None

    def _look_up(self, uuid: str, name: str, marker: str) -> Method:
        driver = self.driver(uuid)
        function = getattr(driver, name, None)
        if function is None:
            raise MethodNotFoundError(f"method {name} not found on driver {type(driver).__name__}")
        if not is_marked(function, marker):
            raise MethodNotFoundError(
                f"method {name} missing marker {marker}: it is not exported for this kind of call"
            )
        return Method(driver, name, function)


def _is_handle(value: Any) -> bool:
    """Resource handles go through as they are: drivers annotate them loosely."""
    return isinstance(value, dict) and value.get("kind") in ("client_stream", "presigned_request")


def _converters(
    function: Callable[..., Any],
) -> tuple[dict[int, tuple[str, Converter]], tuple[str, Converter] | None]:
    """Converters by position, and the one for ``*args``."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
        hints = _type_hints(function)
    except (NameError, TypeError, ValueError, AttributeError):
        return {}, None  # annotations that cannot be resolved promise nothing
    by_position: dict[int, tuple[str, Converter]] = {}
    rest: tuple[str, Converter] | None = None
    for index, parameter in enumerate(parameters):
        hint = hints.get(parameter.name, Any)
        # The old way to say that an argument may be left out.
        convert = _converter(hint if parameter.default is not None else typing.Optional[hint])  # noqa: UP045
        if convert is None:
            continue
        if parameter.kind is parameter.VAR_POSITIONAL:
            rest = (parameter.name, convert)
        elif parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            by_position[index] = (parameter.name, convert)
    return by_position, rest


def _type_hints(function: Callable[..., Any]) -> dict[str, Any]:
    """The resolved annotations. Names that only a type checker imports stand for anything."""
    unknown: dict[str, Any] = {}
    while True:
        try:
            return typing.get_type_hints(function, localns=dict(unknown))
        except NameError as error:
            if not error.name or error.name in unknown:
                raise
            unknown[error.name] = Any


def _converter(annotation: Any) -> Converter | None:
    """What makes a value from the wire fit *annotation*; None when every value does."""
    if annotation in (Any, object, None, Any | None) or isinstance(annotation, typing.TypeVar):
        return None
    simple = _SIMPLE.get(annotation) if isinstance(annotation, type) else None
    return simple if simple is not None else _Adapter(annotation)


class _Adapter:
    """Conversion by pydantic, imported when the first value needs it."""

    def __init__(self, annotation: Any) -> None:
        self._annotation = annotation
        self._validate: Converter | None = None

    def __call__(self, value: Any) -> Any:
        if self._validate is None:
            from pydantic import TypeAdapter
            from pydantic.errors import PydanticUserError

            try:
                self._validate = TypeAdapter(self._annotation).validate_python
            except (
                PydanticUserError
            ):  # a class that pydantic knows nothing of: the driver takes it as it comes
                self._validate = _unchanged
        return self._validate(value)


def _unchanged(value: Any) -> Any:
    return value


def _number(kind: type[int] | type[float]) -> Converter:
    def convert(value: Any) -> Any:
        if isinstance(value, kind) and not isinstance(value, bool):
            return value
        if isinstance(value, (int, float)):
            return kind(value) if kind is float or float(value).is_integer() else value
        try:
            return kind(value)
        except (TypeError, ValueError):
            raise ValueError(f"expected a number, not {value!r}") from None

    return convert


def _text(value: Any) -> Any:
    if isinstance(value, (str, type(None))):
        return value
    raise ValueError(f"expected text, not {value!r}")


def _truth(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    if value in (0, 1):
        return bool(value)
    raise ValueError(f"expected true or false, not {value!r}")


_SIMPLE: dict[Any, Converter] = {int: _number(int), float: _number(float), str: _text, bool: _truth}


def _reason(error: Exception) -> str:
    """The first reason in words; pydantic's own text spans lines."""
    details: Any = getattr(error, "errors", None)
    if callable(details):
        first = details()[0]
        where = ".".join(str(part) for part in first["loc"])
        return f"{where + ': ' if where else ''}{first['msg']}"
    return str(error)
