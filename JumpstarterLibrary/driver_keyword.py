"""One keyword of a driver: converts, calls, cancels, logs."""

from __future__ import annotations

from typing import Any

from jumpstarter.common.exceptions import JumpstarterException
from robot.api import logger
from robot.api.types import Secret

from ._connection import collect
from .adapters import Adapter, Offer
from .arguments import argument_to_client, as_robot_converts, bind, for_client
from .console import printable
from .conversion import describe, is_record, mask
from .errors import NotConnectedError
from .naming import Method
from .reflection import Kind, Signature

LOG_LIMIT = 10_000
"""How many characters of a result the log shows."""


class DriverKeyword:
    """Runs *method* of the driver that *adapter* stands for; Robot's arguments in, a plain result out.

    The call happens in Robot's own thread and never returns a coroutine: a Robot timeout or Ctrl-C interrupts
    it there and then, and the remote call is cancelled with it.
    """

    def __init__(
        self, name: str, method: Method, adapter: Adapter, offer: Offer, documentation: str, is_alias: bool
    ) -> None:
        self.name = name
        self.method = method
        self.signature: Signature = offer.signature
        self.documentation = documentation
        self.is_alias = is_alias
        self.robot_name = name
        self.robot_tags = [
            *([".".join(method.path)] if method.path else []),
            *(["alias"] if is_alias else []),
        ]
        self.connected = True
        self._adapter = adapter
        self._call = offer.call
        self.__wrapped__ = offer.signature.function  # where its source is, for Robot

    def __call__(self, *args: Any, **named: Any) -> Any:
        """Run with the arguments as Robot converted them.

        Raises `NotConnectedError` when the exporter is no longer connected, else what the client raises.
        """
        if not self.connected:
            raise NotConnectedError(self.name)
        secrets = [v.value for v in (*args, *named.values()) if isinstance(v, Secret)]
        try:
            result = self._run(args, named)
        except JumpstarterException as error:
            if any(secret and secret in str(error) for secret in secrets):
                raise JumpstarterException(mask(str(error), secrets)) from None
            raise
        return self._logged(result, secrets)

    def call_as_robot(self, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Run with *args* and *named* checked and converted as Robot does it for this keyword.

        Raises ArgumentError when they do not fit the arguments, ValueError when one cannot be converted.
        """
        bind(self._told, self.signature, args, named)
        converted, named = as_robot_converts(self.signature, args, named)
        return self(*converted, **named)

    @property
    def _told(self) -> str:
        return ".".join((*self.method.node, self.method.name)) or self.name

    def _run(self, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        values = bind(self.name, self.signature, args, named)
        extra = {a.name: values.pop(a.name, a.default) for a in self.signature.extra}
        positional, named = for_client(self.signature, self._for_client(values))
        try:
            self._adapter._before(self.method.name)
            result = self._called(positional, named, extra)
            self._adapter._after(self.method.name)
            return result
        finally:
            self._adapter._left(self.method.name)

    def _called(self, positional: list[Any], named: dict[str, Any], extra: dict[str, Any]) -> Any:
        if self.signature.kind is not Kind.STREAM:
            return self._call(*positional, **named)
        timeout = self._adapter._context.timeouts.seconds(extra.get("timeout"))
        client, count = self._adapter._client, extra.get("count")
        return collect(client, self._call, positional, named, count=count, timeout=timeout, what=self.name)

    def _for_client(self, values: dict[str, Any]) -> dict[str, Any]:
        return {
            a.name: argument_to_client(values[a.name], a)
            for a in self.signature.arguments
            if a.name in values
        }

    def _logged(self, result: Any, secrets: list[str]) -> Any:
        if self.signature.returns is Secret:
            return Secret(str(result))
        if result is not None and not getattr(self._adapter, self.method.name, None):
            text = mask(result_text(result), secrets)
            logger.info(text if len(text) <= LOG_LIMIT else f"{text[:LOG_LIMIT]}... ({len(text)} characters)")
        return result


def result_text(result: Any) -> str:
    """A result for the log: a text as it is, a list of records line by line, all else in one line."""
    if isinstance(result, str):
        return printable(result)
    if isinstance(result, list) and result and all(is_record(item) for item in result):
        return "\n".join(describe(item) for item in result)
    return describe(result)
