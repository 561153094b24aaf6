"""The one QEMU behind the drivers of a board: when it runs, and with what."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from jumpstarter.common.exceptions import ConfigurationError

from .accelerator import best_accelerator
from .console import ConsoleHub
from .disks import Disk, Storage, parse_size
from .machine import ARCHITECTURES, Hostfwd, Machine
from .network import ForwardedTcp, ForwardedUdp, chosen_ports
from .process import QemuProcess
from .seed import write_seed

if TYPE_CHECKING:
    from .driver import Qemu


class Board:
    """A board is off or on; on means that QEMU runs. Methods may be called from any thread, one works at a
    time.

    *folder* holds the sockets and disks; it is removed by its owner.
    """

    def __init__(self, driver: Qemu, folder: Path) -> None:
        self._driver = driver
        self._folder = folder
        self._logger = driver.logger
        self._lock = threading.RLock()
        self._process: QemuProcess | None = None
        self._console: ConsoleHub | None = None
        self.storage = Storage(folder, driver.default_partitions)
        self.vnc = folder / "vnc.sock"

    @property
    def is_on(self) -> bool:
        process = self._process
        return process is not None and process.running

    @property
    def console(self) -> ConsoleHub:
        """The serial line; made when it is first asked for, so a board that nobody uses has no thread."""
        with self._lock:
            if self._console is None:
                self._console = ConsoleHub(self._folder / "console.sock", self._logger)
            return self._console

    def power_on(self) -> None:
        """Start QEMU. Does nothing when it runs."""
        with self._lock:
            if self.is_on:
                self._logger.info("the board is on already")
                return
            if self._process is not None:
                self._process.stop()  # it has ended by itself; this gives back its connection
            command = self._machine().command()
            self._logger.debug("starting %s", " ".join(command))
            ours, theirs = socket.socketpair()
            self.console.attach(ours)
            self._process = QemuProcess.start(command, theirs, logger=self._logger, on_end=self._ended)
            self._learn_ports(self._process)
            self._logger.info(
                "the board is on (%s, %s)", self._driver.arch, command[command.index("-accel") + 1]
            )

    def power_off(self) -> None:
        """End QEMU. Does nothing when it does not run."""
        with self._lock:
            if self._process is None or not self._process.running:
                self._logger.info("the board is off already")
            if self._process is not None:
                self._process.stop()
                self._process = None

    def close(self) -> None:
        """Power off and disconnect everyone."""
        with self._lock:
            if self._process is not None:
                self.power_off()
            if self._console is not None:
                self._console.close()
                self._console = None

    def _ended(self, code: int) -> None:
        for child, forward in self._chosen_forwards():
            child.port = forward.hostport
        if code == 0:
            self._logger.info("the board is off")
        else:
            self._logger.error("QEMU ended with code %d", code)

    def _chosen_forwards(self) -> list[tuple[ForwardedTcp | ForwardedUdp, Hostfwd]]:
        """The forwards whose host port QEMU chooses, with their drivers."""
        found = []
        for name, forward in self._driver.hostfwd.items():
            child = self._driver.children[name]
            if not forward.hostport and isinstance(child, ForwardedTcp | ForwardedUdp):
                found.append((child, forward))
        return found

    def _learn_ports(self, process: QemuProcess) -> None:
        """Tell the drivers of forwarded ports what QEMU chose."""
        ports = chosen_ports(process.qmp.human("info usernet"))
        for child, forward in self._chosen_forwards():
            child.port = ports[forward.protocol, forward.guestport]

    def _machine(self) -> Machine:
        """What QEMU gets at this power-on. Raises ConfigurationError and DriverError."""
        driver = self._driver
        accelerator = self._accelerator()
        accelerated = accelerator in {"kvm", "hvf"}
        flash = self.storage.flash_memory()
        kernel = self.storage.find("kernel")
        size = parse_size(driver.disk_size, "disk_size") if driver.disk_size is not None else None
        root = self.storage.root(size)
        return Machine(
            arch=driver.arch,
            accelerator=accelerator,
            cpu=driver.cpu or ("host" if accelerated else ARCHITECTURES[driver.arch].cpu),
            smp=driver.smp,
            mem=str(parse_size(driver.mem, "mem")) + "B",
            vnc=self.vnc,
            machine=driver.machine,
            firmware=self._firmware(flash, kernel),
            flash=flash,
            kernel=kernel,
            initrd=self.storage.find("initrd"),
            append=driver.append,
            disks=[root] if root is not None else [],
            seed=self._seed() if self.storage.has_root_image else None,
            hostfwd=list(driver.hostfwd.values()),
            tftp=self._tftp(),
            restrict=driver.restrict,
            vsock_cid=driver.cid,
            extra_args=driver.extra_args,
        )

    def _accelerator(self) -> str:
        chosen = self._driver.accel
        return best_accelerator(self._driver.arch) if chosen == "auto" else chosen

    def _firmware(self, flash: list[Disk], kernel: Path | None) -> Path | None:
        found = self.storage.find("bios")
        if found is not None or flash or kernel is not None:
            return found
        known = [Path(path) for path in ARCHITECTURES[self._driver.arch].firmware]
        for path in known:
            if path.is_file():
                return path
        if known:
            raise ConfigurationError(
                f"the board has nothing to start: no {known[0]} (Debian's package u-boot-qemu); install it, "
                "flash the partition bios or kernel, or set default_partitions"
            )
        return None

    def _seed(self) -> Path:
        driver = self._driver
        return write_seed(
            self._folder / "seed",
            hostname=driver.hostname,
            username=driver.username,
            password=driver.password,
        )

    def _tftp(self) -> Path | None:
        folder = self._driver.tftp
        if folder is not None and not folder.is_dir():
            # A board is of use without it; U-Boot then says that the server has no such file.
            self._logger.warning("tftp: no folder %s; the board's TFTP server is void", folder)
            return None
        return folder
