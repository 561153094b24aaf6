"""Measuring rows: repeats in which limit and subject take turns."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from .bench import Bench
from .processes import Installation
from .rows import Row


@dataclass
class Result:
    """What was measured of one row and subject. The lists have an entry for each repeat."""

    row: Row
    subject: str
    measured: list[float] = field(default_factory=list)
    limits: list[float] = field(default_factory=list)

    @property
    def ratios(self) -> list[float]:
        """The row's number in each repeat."""
        if self.row.limit is None:
            return self.measured
        return [value / limit for value, limit in zip(self.measured, self.limits, strict=True)]

    @property
    def ratio(self) -> float:
        """The median of all repeats."""
        return statistics.median(self.ratios)


def measure(bench: Bench, row: Row, subjects: Sequence[Installation], repeats: int) -> list[Result]:
    """A result for each of *subjects*, of which the first is ours.

    The limit is taken right before or right after every measurement, by turns: what else the machine does weighs on both.
    """
    if row.lab:
        subjects = subjects[:1]
    results = [Result(row, subject.name) for subject in subjects]
    for repeat in range(repeats):
        for subject, result in zip(subjects, results, strict=True):
            if row.limit is not None and repeat % 2 == 0:
                result.limits.append(row.limit(bench, subject))
            result.measured.append(row.measure(bench, subject))
            if row.limit is not None and repeat % 2 == 1:
                result.limits.append(row.limit(bench, subject))
    return results
