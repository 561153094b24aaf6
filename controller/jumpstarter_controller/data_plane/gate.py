"""Asks the controller, which is another process, who may come in at the joint."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Any, Final

from jumpstarter_router.joint import Admission, RefusedError

from .wire import Line

#: Seconds that a client waits for a controller that is away. gRPC's clients give up an attempt after 20 s, and try again.
PATIENCE: Final = 20.0


class RemoteGate:
    """`jumpstarter_router.joint.Gate` over the connection that `use` gives."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._numbers = count()
        self._line: Line | None = None
        self._there = asyncio.Event()
        self._open: dict[int, asyncio.Future[dict[str, Any]]] = {}

    def use(self, line: Line | None) -> None:
        """Ask on *line* from now on; None: there is no controller."""
        self._line = line
        if line is None:
            self._there.clear()
        else:
            self._there.set()
        # What the one before was asked, nobody answers any more.
        for answer in self._open.values():
            if not answer.done():
                answer.set_exception(ConnectionResetError("the controller went away"))

    def answered(self, message: dict[str, Any]) -> None:
        """The controller's answer."""
        answer = self._open.get(message["answer"])
        if answer is not None and not answer.done():
            answer.set_result(message)

    async def admit(self, ticket: str) -> Admission:
        """See `Gate`. A controller that is away is waited for."""
        try:
            async with asyncio.timeout(self._patience):
                while True:
                    await self._there.wait()
                    number = next(self._numbers)
                    try:
                        answer = await self._ask(number, ask=number, ticket=ticket)
                        break
                    except ConnectionResetError:
                        continue
        except TimeoutError:
            raise RefusedError(503, "the controller is away") from None

        async def call_exporter(token: str) -> None:
            try:
                await self._ask(number, call=number, token=token)
            except ConnectionResetError:
                raise RefusedError(503, "the controller went away") from None

        return Admission(answer["lease"], call_exporter)

    async def _ask(self, number: int, **message: Any) -> dict[str, Any]:
        if self._line is None:
            raise ConnectionResetError
        answer = self._open[number] = asyncio.get_running_loop().create_future()
        try:
            self._line.tell(**message)
            found: dict[str, Any] = await answer
        finally:
            del self._open[number]
        if "status" in found:
            raise RefusedError(found["status"], found["reason"])
        return found
