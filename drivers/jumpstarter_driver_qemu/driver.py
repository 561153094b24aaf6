"""A board emulated by QEMU, as a tree of drivers.

`Qemu` owns the board; its children are the handles of it: ``power``, ``flasher``, ``console``, ``vnc``,
``ssh`` and one for every entry of ``hostfwd``.
"""

from __future__ import annotations

import os
import platform
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from anyio.abc import ByteStream, ObjectStream
from jumpstarter.common.exceptions import ConfigurationError, DriverError, DriverInvalidArgument
from jumpstarter.driver import Driver, FlasherInterface, export, exportstream
from jumpstarter.driver.images import image_chunks
from jumpstarter_driver_network.driver import UnixNetwork, VsockNetwork
from jumpstarter_driver_power.driver import PowerInterface

from .board import Board
from .disks import parse_size, partition_name
from .folder import BoardFolder
from .machine import Hostfwd, architecture_name
from .network import checked_forward, forward_driver, vsock_cid, vsock_works

if TYPE_CHECKING:
    from jumpstarter_driver_power.common import PowerReading

__all__ = ["QEMU", "Hostfwd", "Qemu", "QemuConsole", "QemuFlasher", "QemuPower"]

_PARTS = ("power", "flasher", "console", "vnc")
_ACCELERATORS = ("auto", "kvm", "hvf", "tcg")


@dataclass(kw_only=True)
class Qemu(Driver):
    """A virtual board.

    Args:
        arch: the board's architecture: aarch64, arm, riscv64 or x86_64; default: the exporter's own
        cpu: QEMU's name of the CPU model; default: the host's own with hardware acceleration, else one that
            suits
        smp: number of CPUs
        mem: memory, such as 512M or 2G
        disk_size: size of the root disk, such as 20G: the disk is grown to it, or made void when there is no
            image
        hostname: given to cloud images, with
        username: the user they create and
        password: that user's password; `ssh` of the client uses both
        default_partitions: files by partition (root, bios, OVMF_CODE.fd, OVMF_VARS.fd, kernel, initrd), used
            until the partition is flashed and never written. Without a bios, OVMF_CODE.fd or kernel, an ARM
            or RISC-V board starts Debian's U-Boot where it is installed. ``~`` and ``$JMP_CACHE`` are
            expanded
        hostfwd: ports of the exporter's machine that lead into the guest; each becomes a child of its name
        fls_version, fls_allow_custom_binaries, fls_custom_binary_url: accepted for configurations of
            Jumpstarter 0.9; this driver does not use the fls tool
        flash_timeout: seconds that flashing an image may take
        accel: auto (hardware acceleration if a guest really runs with it), kvm, hvf or tcg
        machine: QEMU's name of the machine; default: virt, q35 on x86_64
        append: the kernel's command line, for a board that boots the partition kernel
        tftp: a folder that the board finds on the TFTP server 10.0.2.2, if it exists; ``~``, ``$JMP_CACHE``
            are expanded
        restrict: whether the guest reaches nothing but what is set here (ports of `hostfwd`, `tftp`). Without,
            it reaches the network and, as 10.0.2.2, services on the exporter's loopback address
        extra_args: further arguments of QEMU, as they are
    """

    arch: str = field(default_factory=platform.machine)
    cpu: str | None = None
    smp: int = 2
    mem: str = "512M"
    disk_size: str | None = None
    hostname: str = "demo"
    username: str = "jumpstarter"
    password: str = field(default="password", repr=False)
    default_partitions: dict[str, Path] = field(default_factory=dict)
    hostfwd: dict[str, Hostfwd] = field(default_factory=dict)
    fls_version: str | None = None
    fls_allow_custom_binaries: bool = False
    fls_custom_binary_url: str | None = None
    flash_timeout: int = 1800
    accel: str = "auto"
    machine: str | None = None
    append: str = ""
    tftp: Path | None = None
    restrict: bool = False
    extra_args: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check()
        self._folder = BoardFolder()
        self.cid = vsock_cid() if vsock_works() and "ssh" not in self.hostfwd else None
        self.board = Board(self, self._folder.path)
        self._add_children()

    @classmethod
    def client(cls) -> str:
        return "jumpstarter_driver_qemu.client.QemuClient"

    def _check(self) -> None:
        """Bring the configuration into one form. Raises ConfigurationError."""
        self.arch = architecture_name(self.arch)
        try:
            parse_size(self.mem, "mem")
            if self.disk_size is not None:
                parse_size(self.disk_size, "disk_size")
            paths = {partition_name(name): expanded(path) for name, path in self.default_partitions.items()}
        except DriverInvalidArgument as error:
            raise ConfigurationError(error.message) from None
        self.default_partitions = paths
        if self.smp < 1:
            raise ConfigurationError(f"smp: found {self.smp}, expected 1 or more")
        if self.accel not in _ACCELERATORS:
            raise ConfigurationError(
                f"accel: found {self.accel!r}, expected one of {', '.join(_ACCELERATORS)}"
            )
        self.tftp = expanded(self.tftp) if self.tftp is not None else None
        self.hostfwd = {name: checked_forward(name, value) for name, value in self.hostfwd.items()}
        for name in self.hostfwd:
            if name in _PARTS or name in self.children:
                raise ConfigurationError(
                    f"hostfwd.{name}: the board has a child of that name; choose another"
                )

    def _add_children(self) -> None:
        own: dict[str, Driver] = {
            "power": QemuPower(parent=self),
            "flasher": QemuFlasher(parent=self),
            "console": QemuConsole(parent=self),
            "vnc": UnixNetwork(path=str(self.board.vnc)),
        }
        if self.cid is not None:
            own["ssh"] = VsockNetwork(cid=self.cid, port=22)
        elif "ssh" not in self.hostfwd:
            self.hostfwd["ssh"] = Hostfwd(hostport=0, guestport=22)
        for name, forward in self.hostfwd.items():
            own[name] = forward_driver(forward)
        self.children = {**own, **self.children}

    @export
    def get_hostname(self) -> str:
        """The host name given to cloud images."""
        return self.hostname

    @export
    def get_username(self) -> str:
        """The user that cloud images create."""
        return self.username

    @export
    def get_password(self) -> str:
        """That user's password."""
        return self.password

    @export
    def set_disk_size(self, size: str) -> None:
        """Have the root disk grown to *size*, such as 20G, at the next power-on.

        Raises ValueError for what is not a size.
        """
        parse_size(size, "disk size")
        self.disk_size = size

    @export
    def set_memory_size(self, size: str) -> None:
        """Give the board *size* of memory, such as 2G, at the next power-on. Raises ValueError for what is
        not a size.
        """
        parse_size(size, "memory size")
        self.mem = size

    def close(self) -> None:
        """Power off and remove the board."""
        self.board.close()
        super().close()
        self._folder.close()


@dataclass(kw_only=True)
class QEMU(Qemu):
    """`Qemu` under the name and with the keys that Jumpstarter's introduction to drivers shows.

    Args:
        image_path: the image of the root disk
        memory: memory, such as 1G
        cpu_cores: number of CPUs
    """

    image_path: Path | None = None
    memory: str | None = None
    cpu_cores: int | None = None

    def __post_init__(self) -> None:
        if self.image_path is not None:
            self.default_partitions = {"root": self.image_path, **self.default_partitions}
        self.mem = self.memory or self.mem
        self.smp = self.cpu_cores or self.smp
        super().__post_init__()


@dataclass(kw_only=True)
class QemuPower(PowerInterface, Driver):
    """The board's supply."""

    parent: Qemu = field(repr=False, compare=False)

    @export
    def on(self) -> None:
        """Start QEMU and return when the board runs; does nothing when it is on.

        Raises `QemuFailed` with QEMU's own words when it does not start.
        """
        self.parent.board.power_on()

    @export
    def off(self) -> None:
        """Cut the supply: QEMU ends, the guest is not asked. Does nothing when the board is off."""
        self.parent.board.power_off()

    @export
    def read(self) -> Generator[PowerReading, None, None]:
        """A virtual board draws no current: raises NotImplementedError."""
        raise NotImplementedError("an emulated board has no power meter")
        yield  # makes it the streaming method that clients expect

    def reset(self) -> None:
        """Power off."""
        if self.parent.board.is_on:
            self.off()
        super().reset()


@dataclass(kw_only=True)
class QemuFlasher(FlasherInterface, Driver):
    """Writes the board's partitions; a board that is on uses them from its next power-on."""

    parent: Qemu = field(repr=False, compare=False)

    @classmethod
    def client(cls) -> str:
        return "jumpstarter_driver_qemu.client.QemuFlasherClient"

    @export
    def flash(self, source: Any, partition: str | None = None) -> None:
        """Make *source* the content of *partition* (default: root).

        Raises DriverInvalidArgument for an unknown partition or an unfit image, DriverError after
        `flash_timeout`.
        """
        name = partition_name(partition or "root")
        limit = self.parent.flash_timeout
        deadline = monotonic() + limit

        def check_time() -> None:
            if monotonic() > deadline:
                raise DriverError(
                    f"flashing {name} took more than {limit} s; raise flash_timeout in the configuration"
                )

        with self.resource_blocking(source) as stream:
            # A kernel and its first file system are decompressed by QEMU and the kernel.
            chunks = stream if name in ("kernel", "initrd") else image_chunks(stream)
            size = self.parent.board.storage.flash(name, chunks, check_time)
        self.logger.info("flashed %d bytes to %s", size, name)

    @export
    def dump(self, target: Any, partition: str | None = None) -> None:
        """Write the content of *partition* (default: root), with the guest's changes, to *target*.

        Raises DriverError while the board is on: its disk changes under the reader.
        """
        name = partition_name(partition or "root")
        if self.parent.board.is_on:
            raise DriverError(f"cannot dump {name} while the board is on; power it off first")
        with self.resource_blocking(target) as stream:
            for chunk in self.parent.board.storage.dump(name):
                stream.write(chunk)

    @export
    def flash_oci(
        self,
        oci_url: str,
        partition: str | None = None,
        oci_username: str | None = None,
        oci_password: str | None = None,
    ) -> Generator[tuple[str, str, int | None], None, None]:
        """Not offered: raises NotImplementedError that says what to do instead."""
        raise NotImplementedError(
            f"cannot flash {oci_url}: this driver fetches nothing from registries; "
            "pull the image (oras pull) and flash the file"
        )
        yield  # makes it the streaming method that clients expect


@dataclass(kw_only=True)
class QemuConsole(Driver):
    """The board's serial line; what the guest writes while nobody listens is kept for the next reader."""

    parent: Qemu = field(repr=False, compare=False)

    @classmethod
    def client(cls) -> str:
        return "jumpstarter_driver_pyserial.client.PySerialClient"

    @exportstream
    @asynccontextmanager
    async def connect(self) -> AsyncIterator[ByteStream | ObjectStream[bytes]]:
        """Open the line. It stays open when the board is switched off and on; several may have it open."""
        console = UnixNetwork(path=str(self.parent.board.console.path))
        async with console.connect() as stream:
            yield stream


def expanded(path: Path | str) -> Path:
    """*path* with ``~`` and ``$JMP_CACHE``, the folder for fetched files, in place of what they stand for."""
    cache = os.environ.get("JMP_CACHE")
    if not cache:
        cache = str(Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "jumpstarter")
    text = str(path).replace("${JMP_CACHE}", cache).replace("$JMP_CACHE", cache)
    return Path(text).expanduser()
