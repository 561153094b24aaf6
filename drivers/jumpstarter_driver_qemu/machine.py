"""From a board's configuration to QEMU's command line: values in, a list of arguments out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter.common.suggestions import did_you_mean

from .disks import Disk


@dataclass(frozen=True)
class Architecture:
    """What QEMU calls the parts of a board of one architecture.

    `cpu` is the model for emulation. `firmware` are files that are tried, in order, when the configuration
    names none; without any of them QEMU's own firmware runs, where it has one. `console` is Linux's name of
    the serial line.
    """

    machine: str
    cpu: str
    console: str
    display: tuple[str, ...]
    firmware: tuple[str, ...] = ()


_VIRTIO_DISPLAY = ("virtio-gpu-pci", "virtio-keyboard-pci", "virtio-tablet-pci")

# The firmware is Debian's package u-boot-qemu.
ARCHITECTURES: Mapping[str, Architecture] = {
    "aarch64": Architecture(
        "virt", "cortex-a57", "ttyAMA0", _VIRTIO_DISPLAY, ("/usr/lib/u-boot/qemu_arm64/u-boot.bin",)
    ),
    "arm": Architecture(
        "virt", "cortex-a15", "ttyAMA0", _VIRTIO_DISPLAY, ("/usr/lib/u-boot/qemu_arm/u-boot.bin",)
    ),
    "riscv64": Architecture(
        "virt", "rv64", "ttyS0", _VIRTIO_DISPLAY, ("/usr/lib/u-boot/qemu-riscv64/u-boot.bin",)
    ),
    "x86_64": Architecture("q35", "max", "ttyS0", ("VGA", "virtio-keyboard-pci", "virtio-tablet-pci")),
}
_ALIASES = {"amd64": "x86_64", "arm64": "aarch64", "armv7l": "arm", "armhf": "arm"}


def canonical(name: str) -> str:
    """QEMU's spelling of an architecture's name, known or not."""
    return _ALIASES.get(name.lower(), name.lower())


def architecture_name(name: str) -> str:
    """QEMU's name for *name*, which may be Debian's or the kernel's. Raises ConfigurationError for an unknown
    one.
    """
    known = canonical(name)
    if known not in ARCHITECTURES:
        expected = ", ".join(sorted(ARCHITECTURES))
        hint = did_you_mean(known, ARCHITECTURES)
        raise ConfigurationError(f"arch: found {name!r}, expected one of {expected}{hint}")
    return known


@dataclass(kw_only=True)
class Hostfwd:
    """A port of the exporter's machine that leads to a port of the guest.

    `hostport` 0 takes a free port at every power-on.
    """

    protocol: Literal["tcp", "udp"] = "tcp"
    hostaddr: str = "127.0.0.1"
    hostport: int
    guestport: int


@dataclass(kw_only=True)
class Machine:
    """All that one start of QEMU needs. Paths are of files that exist; `disks` are in the order of the
    guest's names.
    """

    arch: str
    accelerator: str
    cpu: str
    smp: int
    mem: str
    vnc: Path
    machine: str | None = None
    firmware: Path | None = None
    flash: Sequence[Disk] = ()
    kernel: Path | None = None
    initrd: Path | None = None
    append: str = ""
    disks: Sequence[Disk] = ()
    seed: Path | None = None
    hostfwd: Sequence[Hostfwd] = ()
    tftp: Path | None = None
    restrict: bool = False
    vsock_cid: int | None = None
    extra_args: Sequence[str] = field(default_factory=list)

    def command(self) -> list[str]:
        """QEMU's program and arguments, without control connection and serial line."""
        kind = ARCHITECTURES[self.arch]
        return [
            f"qemu-system-{self.arch}",
            *("-nodefaults", "-no-user-config", "-display", "none"),
            *("-machine", self.machine or kind.machine, "-accel", self.accelerator),
            *("-cpu", self.cpu, "-smp", str(self.smp), "-m", self.mem),
            *self._boot(kind),
            *self._storage(),
            *self._network(),
            *(part for device in kind.display for part in ("-device", device)),
            *("-vnc", f"unix:{escaped(self.vnc)}"),
            *self.extra_args,
        ]

    def _boot(self, kind: Architecture) -> list[str]:
        arguments: list[str] = []
        if self.firmware is not None:
            arguments += ["-bios", str(self.firmware)]
        for unit, disk in enumerate(self.flash):
            arguments += ["-drive", f"if=pflash,unit={unit},{disk.options()}"]
        if self.kernel is not None:
            arguments += ["-kernel", str(self.kernel), "-append", self.append or f"console={kind.console}"]
        if self.initrd is not None:
            arguments += ["-initrd", str(self.initrd)]
        return arguments

    def _storage(self) -> list[str]:
        arguments: list[str] = []
        for number, disk in enumerate(self.disks):
            arguments += ["-drive", f"if=none,id=disk{number},cache=writeback,{disk.options()}"]
            arguments += ["-device", f"virtio-blk-pci,drive=disk{number}"]
        if self.seed is not None:
            # cloud-init looks for a file system of this label: its documentation, "NoCloud".
            arguments += [
                *(
                    "-blockdev",
                    f"driver=vvfat,node-name=seed,read-only=on,label=cidata,dir={escaped(self.seed)}",
                ),
                *("-device", "virtio-blk-pci,drive=seed"),
            ]
        return arguments

    def _network(self) -> list[str]:
        options = ["user", "id=net", *(["restrict=on"] if self.restrict else [])]
        if self.tftp is not None:
            options.append(f"tftp={escaped(self.tftp)}")
        options += [
            f"hostfwd={forward.protocol}:{forward.hostaddr}:{forward.hostport}-:{forward.guestport}"
            for forward in self.hostfwd
        ]
        # U-Boot 2023.01 misreads the hardware address of a card with a legacy interface. Linux, with another one than
        # U-Boot, would get another address by DHCP, while ports are forwarded to the first that was given away. As
        # a default for all cards: U-Boot uses those of extra_args, too.
        # An empty romfile: the firmware of the board boots from the network, not the card's own.
        arguments = [
            *("-netdev", ",".join(options), "-global", "virtio-net-pci.disable-legacy=on"),
            *("-device", "virtio-net-pci,netdev=net,romfile="),
        ]
        if self.vsock_cid is not None:
            arguments += ["-device", f"vhost-vsock-pci,guest-cid={self.vsock_cid}"]
        return arguments


def escaped(path: Path) -> str:
    """*path* as the value of a QEMU option, where a comma ends a value unless it is doubled."""
    return str(path).replace(",", ",,")
