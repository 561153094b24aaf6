"""Which accelerator works here: found by running a guest CPU, not by looking at files.

/dev/kvm may exist and be unable to run a guest: without permission, in a container, nested in a hypervisor
that offers part of it only. So the probe boots a guest of a few bytes, which does nothing but end QEMU, on
the very CPU model a board gets. Where that fails the board is emulated (``tcg``), which works everywhere and
is slower.
"""

from __future__ import annotations

import functools
import logging
import platform
import struct
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .machine import canonical

#: Seconds for the guest of the probe to end QEMU; it takes 0.1 s. One that hangs does not work.
PROBE_TIMEOUT = 5

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Probe:
    """A firmware that ends QEMU, the options it needs, and the exit code it causes."""

    firmware: bytes
    options: tuple[str, ...]
    exit_code: int


def _x86_probe() -> _Probe:
    # mov al, 16; out 0xf4, al; hlt. At the reset vector, 16 bytes below the end of the firmware.
    code = b"\xb0\x10\xe6\xf4\xf4"
    firmware = b"\xf4" * (65536 - 16) + code.ljust(16, b"\xf4")
    # isa-debug-exit turns a written value v into the exit code 2 v + 1.
    return _Probe(firmware, ("-M", "q35", "-device", "isa-debug-exit,iobase=0xf4,iosize=1"), 33)


def _aarch64_probe() -> _Probe:
    # movz w0, #8; movk w0, #0x8400, lsl 16; hvc #0; b . That is PSCI SYSTEM_OFF (Arm DEN 0022, 5.10).
    return _Probe(struct.pack("<4I", 0x52800100, 0x72B08000, 0xD4000002, 0x14000000), ("-M", "virt"), 0)


_PROBES = {"x86_64": _x86_probe, "aarch64": _aarch64_probe}


def native_architecture() -> str:
    """QEMU's name of this machine's architecture."""
    return canonical(platform.machine())


def hardware_accelerator() -> str:
    """The accelerator of this operating system: ``kvm`` or ``hvf``."""
    return "hvf" if sys.platform == "darwin" else "kvm"


@functools.cache
def best_accelerator(arch: str) -> str:
    """The fastest accelerator that runs a guest of *arch* on this machine; found once a process."""
    if arch != native_architecture() or arch not in _PROBES:
        return "tcg"
    candidate = hardware_accelerator()
    if works(arch, candidate, "host"):
        return candidate
    return "tcg"


def works(arch: str, accelerator: str, cpu: str, timeout: float = PROBE_TIMEOUT) -> bool:
    """Whether a guest of *arch* (x86_64 or aarch64) runs with *accelerator* on the CPU model *cpu*.

    *timeout* in seconds bounds the attempt. False when QEMU is not installed.
    """
    probe = _PROBES[arch]()
    with tempfile.NamedTemporaryFile(prefix="jumpstarter-probe-") as firmware:
        Path(firmware.name).write_bytes(probe.firmware)
        command = [
            f"qemu-system-{arch}",
            *("-nodefaults", "-no-user-config", "-display", "none"),
            *("-accel", accelerator, "-cpu", cpu, "-bios", firmware.name),
            *probe.options,
        ]
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            logger.info("accelerator %s does not work: %s", accelerator, error)
            return False
    if done.returncode != probe.exit_code:
        words = done.stderr.decode(errors="replace").strip().replace("\n", "; ")
        logger.info("accelerator %s does not work: %s", accelerator, words or f"exit code {done.returncode}")
    return done.returncode == probe.exit_code
