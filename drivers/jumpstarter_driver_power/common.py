"""Values that power drivers and their clients exchange.

The model is built when it is first used: an exporter that waits does not need it, and it takes memory.
"""

from __future__ import annotations

from pydantic import BaseModel


class PowerReading(BaseModel, defer_build=True):
    """One measurement of a supply.

    `voltage` is in volts, `current` in amperes.
    """

    voltage: float
    current: float

    @property
    def apparent_power(self) -> float:
        """Voltage times current, in volt-amperes."""
        return self.voltage * self.current

    def __str__(self) -> str:
        return f"voltage={self.voltage} V current={self.current} A apparent_power={self.apparent_power} VA"
