"""The states of a simulated board, what moves it between them, and what it says while it is in one.

A state is *timed* (it plays lines, then an event of its own moves it on), *interactive* (it takes input) or
silent. Times are in nominal seconds: those of a quick real board; the machine divides them by its speed.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from . import bootprompt
from .image import Blank, CardContent, Corrupt, Image


class State(enum.Enum):
    """What the board is doing."""

    OFF = "off"
    FIRMWARE = "firmware"
    COUNTDOWN = "countdown"
    PROMPT = "boot prompt"
    LOADING = "loading"
    KERNEL = "kernel"
    LOGIN = "login"
    PASSWORD = "password"
    SHELL = "shell"
    STOPPING = "stopping"
    RESTARTING = "restarting"
    HALTED = "halted"


class Event(enum.Enum):
    """What moves the board from one state to another."""

    POWER_ON = enum.auto()
    POWER_OFF = enum.auto()
    READY = enum.auto()
    """The firmware is done and counts down before it boots."""
    NO_AUTOBOOT = enum.auto()
    """The firmware is done and `bootdelay` is negative."""
    KEY = enum.auto()
    TIME_OUT = enum.auto()
    BOOT = enum.auto()
    FOUND = enum.auto()
    NOT_FOUND = enum.auto()
    BOOTED = enum.auto()
    USER = enum.auto()
    ACCEPTED = enum.auto()
    REFUSED = enum.auto()
    LOGOUT = enum.auto()
    POWEROFF = enum.auto()
    REBOOT = enum.auto()
    STOPPED = enum.auto()


TRANSITIONS: Mapping[tuple[State, Event], State] = MappingProxyType(
    {
        (State.OFF, Event.POWER_ON): State.FIRMWARE,
        (State.FIRMWARE, Event.READY): State.COUNTDOWN,
        (State.FIRMWARE, Event.NO_AUTOBOOT): State.PROMPT,
        (State.COUNTDOWN, Event.KEY): State.PROMPT,
        (State.COUNTDOWN, Event.TIME_OUT): State.LOADING,
        (State.PROMPT, Event.BOOT): State.LOADING,
        (State.PROMPT, Event.REBOOT): State.FIRMWARE,
        (State.LOADING, Event.FOUND): State.KERNEL,
        (State.LOADING, Event.NOT_FOUND): State.PROMPT,
        (State.KERNEL, Event.BOOTED): State.LOGIN,
        (State.LOGIN, Event.USER): State.PASSWORD,
        (State.LOGIN, Event.ACCEPTED): State.SHELL,
        (State.PASSWORD, Event.ACCEPTED): State.SHELL,
        (State.PASSWORD, Event.REFUSED): State.LOGIN,
        (State.SHELL, Event.LOGOUT): State.LOGIN,
        (State.SHELL, Event.POWEROFF): State.STOPPING,
        (State.SHELL, Event.REBOOT): State.RESTARTING,
        (State.STOPPING, Event.STOPPED): State.HALTED,
        (State.RESTARTING, Event.STOPPED): State.FIRMWARE,
        **{(state, Event.POWER_OFF): State.OFF for state in State if state is not State.OFF},
    }
)
"""Every move there is. An event that is not here for a state does not change it."""

INTERACTIVE = frozenset({State.COUNTDOWN, State.PROMPT, State.LOGIN, State.PASSWORD, State.SHELL})
"""The states that take input."""

SUPPLY_VOLTAGE = 5.0
SUPPLY_RESISTANCE = 0.08
"""Ohms of the supply's cable: the voltage at the board drops with its current."""

CURRENT: Mapping[State, float] = MappingProxyType(
    {
        State.OFF: 0.0,
        State.FIRMWARE: 0.31,
        State.COUNTDOWN: 0.29,
        State.PROMPT: 0.28,
        State.LOADING: 0.38,
        State.KERNEL: 0.64,
        State.LOGIN: 0.42,
        State.PASSWORD: 0.42,
        State.SHELL: 0.43,
        State.STOPPING: 0.52,
        State.RESTARTING: 0.52,
        State.HALTED: 0.04,
    }
)
"""Amperes that the board draws in each state."""


@dataclass(frozen=True)
class Line:
    """Text that the board prints *after* so many nominal seconds of silence."""

    after: float
    text: str


FIRMWARE = (
    Line(0.02, f"\n{bootprompt.VERSION} (Jan 01 2026 - 00:00:00 +0000)\n\n"),
    Line(0.08, "Model: Simulated board\nDRAM:  512 MiB\n"),
    Line(0.15, "Core:  4 devices, 3 uclasses, devicetree: board\nMMC:   mmc@0: 0\n"),
    Line(0.10, "In:    serial\nOut:   serial\nErr:   serial\nNet:   eth0: ethernet@0\n"),
    Line(0.05, ""),
)


def countdown(seconds: int) -> tuple[Line, ...]:
    """The lines while the boot prompt waits for a key, a nominal second each."""
    ticks = [Line(1.0, f"\b\b\b{left:2} ") for left in range(seconds - 1, -1, -1)]
    return (Line(0.0, f"Hit any key to stop autoboot: {seconds:2} "), *ticks)


def loading(card: CardContent | None) -> tuple[Line, ...]:
    """What the boot loader says of the card; None is a slot without a card."""
    if card is None:
        return (
            Line(0.0, "\n"),
            Line(0.1, "MMC: no card present\nNo bootable device\n"),
        )
    probe = Line(0.1, "\nswitch to partitions #0, OK\nmmc0 is current device\n")
    if isinstance(card, Blank):
        return probe, Line(0.1, "No bootable device\n")
    if isinstance(card, Corrupt):
        return probe, Line(0.1, f"{card.reason}\nERROR: can't boot from mmc 0\n")
    return (
        probe,
        Line(0.15, f"Image: {card.name} {card.version}\nVerifying checksum ... OK\n"),
        Line(0.1, "\nStarting kernel ...\n\n"),
    )


def kernel(image: Image, bootargs: str) -> tuple[Line, ...]:
    """The log of a booting kernel. Its last line contains `boot complete`."""
    messages = (
        (0.00, f"Linux version {image.kernel} (builder@simulated) #1 SMP PREEMPT"),
        (0.00, "Machine model: Simulated board"),
        (0.02, f"Kernel command line: {bootargs}"),
        (0.05, "Memory: 496128K/524288K available"),
        (0.12, "smp: Brought up 1 node, 4 CPUs"),
        (0.18, "devtmpfs: initialized"),
        (0.12, "ttyS0 at MMIO 0x10000000 (irq = 14, base_baud = 1500000) is a 16550A"),
        (0.15, "mmc0: new high speed SDHC card at address 0001"),
        (0.06, "mmcblk0: mmc0:0001 SIM 64.0 MiB"),
        (0.20, "EXT4-fs (mmcblk0p1): mounted filesystem with ordered data mode"),
        (0.10, "Run /sbin/init as init process"),
        (0.25, f"init: {image.name} {image.version}: boot complete"),
    )
    lines, clock = [], 0.0
    for after, message in messages:
        clock += after
        lines.append(Line(after, f"[{clock:12.6f}] {message}\n"))
    return (*lines, Line(0.05, ""))


STOPPING = (
    Line(0.05, "The system is going down NOW!\n"),
    Line(0.20, "Requesting system poweroff\n"),
    Line(0.10, "reboot: Power down\n"),
)
RESTARTING = (
    Line(0.05, "The system is going down NOW!\n"),
    Line(0.20, "Requesting system reboot\n"),
    Line(0.10, "reboot: Restarting system\n"),
)
