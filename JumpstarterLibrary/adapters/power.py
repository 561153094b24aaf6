"""Power: a board's consoles are captured from the moment it gets its supply."""

from __future__ import annotations

from JumpstarterLibrary.consoles import COMING

from .base import Adapter


class PowerAdapter(Adapter):
    """Reflection, with the consoles beside the supply, and below those, opened before it comes on.

    A console that exists only while the board has power (a virtual machine's) is opened as soon as it is there, also while
    the supply is still busy. Text of an earlier boot that nobody has read is not taken for text of this one: it goes into
    the log, and away.
    """

    _starts = frozenset({"on", "cycle", "rescue"})

    @property
    def _group(self) -> tuple[str, ...]:
        return self._context.path[:-1]

    def _before(self, method: str) -> None:
        consoles = self._context.consoles
        if method == "cycle":
            consoles.switched_off(self._group)
        if method in self._starts:
            consoles.switching_on(self._group)
            consoles.capture(self._group)
            consoles.expect(self._group, COMING, another=method == "cycle")

    def _after(self, method: str) -> None:
        if method in self._starts:
            self._context.consoles.expect(self._group, COMING)
        elif method == "off":
            self._context.consoles.switched_off(self._group)
