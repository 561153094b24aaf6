"""Sets of exporters as bits of an integer: intersecting two sets of a thousand takes a fraction of a microsecond."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from jumpstarter.common.selectors import Operator, Requirement, Selector

from jumpstarter_controller.model import Exporter


def bits(mask: int) -> Iterator[int]:
    """The numbers in *mask*, lowest first."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


class LabelIndex:
    """Finds exporters by labels. Exporter number i of *exporters* is bit i."""

    def __init__(self, exporters: Sequence[Exporter]) -> None:
        self.everything = (1 << len(exporters)) - 1
        self._values: dict[str, dict[str, int]] = {}
        self._having: dict[str, int] = {}
        self._known: dict[Selector, int] = {}
        for number, exporter in enumerate(exporters):
            bit = 1 << number
            for key, value in exporter.labels.items():
                values = self._values.setdefault(key, {})
                values[value] = values.get(value, 0) | bit
                self._having[key] = self._having.get(key, 0) | bit

    def move(self, number: int, before: Mapping[str, str], after: Mapping[str, str]) -> None:
        """Exporter *number* had the labels *before*, and has those of *after*."""
        bit = 1 << number
        for key, value in before.items():
            self._values[key][value] &= ~bit
            self._having[key] &= ~bit
        for key, value in after.items():
            values = self._values.setdefault(key, {})
            values[value] = values.get(value, 0) | bit
            self._having[key] = self._having.get(key, 0) | bit
        self._known.clear()

    def select(self, selector: Selector) -> int:
        """The exporters that *selector* selects."""
        mask = self._known.get(selector)
        if mask is None:
            mask = self.everything
            for requirement in selector.requirements:
                mask &= self._meeting(requirement)
            self._known[selector] = mask
        return mask

    def _meeting(self, requirement: Requirement) -> int:
        match requirement.operator:
            case Operator.EQUALS | Operator.IN:
                return self._with_values(requirement)
            case Operator.NOT_IN:
                return self.everything & ~self._with_values(requirement)
            case Operator.EXISTS:
                return self._having.get(requirement.key, 0)
            case Operator.ABSENT:
                return self.everything & ~self._having.get(requirement.key, 0)

    def _with_values(self, requirement: Requirement) -> int:
        values = self._values.get(requirement.key, {})
        mask = 0
        for value in requirement.values:
            mask |= values.get(value, 0)
        return mask
