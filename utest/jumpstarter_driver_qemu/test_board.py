"""The drivers of an emulated board, through a session: a real QEMU, a real U-Boot, a real Linux."""

from __future__ import annotations

import logging
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from jumpstarter.client.core import DriverError, DriverInvalidArgument, DriverMethodNotImplemented
from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter.common.utils import serve
from jumpstarter_driver_qemu.driver import QEMU, Qemu

from .conftest import STEP, UBOOT

pytestmark = [pytest.mark.board, pytest.mark.usefixtures("qemu")]

MIB = 1 << 20
X86_UBOOT = "/usr/lib/u-boot/qemu-x86_64/u-boot.rom"


@contextmanager
def board(**config: Any) -> Iterator[Any]:
    with serve(Qemu(**{"arch": "aarch64", "smp": 1, **config})) as client:
        yield client


@contextmanager
def uboot_prompt(client: Any) -> Iterator[Any]:
    """The console, at the prompt of U-Boot."""
    with client.console.pexpect() as console:
        console.delaybeforesend = None
        console.expect_exact("Hit any key to stop autoboot", timeout=STEP)
        console.send("\r")
        console.expect_exact("=> ", timeout=STEP)
        yield console


def run(console: Any, command: str, prompt: str = "=> ") -> str:
    console.send(command + "\r")
    console.expect_exact("\n", timeout=STEP)
    console.expect_exact(prompt, timeout=STEP)
    return str(console.before.decode(errors="replace"))


def test_console_that_is_opened_after_power_on_has_the_boot_from_its_first_line() -> None:
    with board() as client:
        client.power.on()
        with uboot_prompt(client) as console:
            assert "U-Boot 20" in run(console, "version")


@pytest.mark.parametrize(
    ("arch", "firmware", "words"),
    [
        ("arm", None, "U-Boot 20"),
        ("x86_64", X86_UBOOT, "U-Boot 20"),
        ("x86_64", None, "SeaBIOS"),
    ],
)
def test_boards_of_other_architectures_start(arch: str, firmware: str | None, words: str) -> None:
    partitions = {"bios": firmware} if firmware else {}
    # SeaBIOS uses the serial line when the machine has no other screen for it.
    extra = [] if firmware or arch != "x86_64" else ["-machine", "graphics=off"]
    with board(arch=arch, default_partitions=partitions, extra_args=extra) as client:
        client.power.on()
        with client.console.pexpect() as console:
            console.expect_exact(words, timeout=STEP)


@pytest.mark.parametrize(
    "config",
    [
        {"arch": "aarch64"},
        {"arch": "arm"},
        # Debian's U-Boot for x86_64 knows the devices of this machine.
        {"arch": "x86_64", "machine": "pc", "default_partitions": {"bios": X86_UBOOT}},
    ],
    ids=lambda config: config["arch"],
)
def test_u_boot_has_the_hardware_addresses_of_the_cards(config: dict[str, Any]) -> None:
    # By these the DHCP server knows a board again: Linux, which has them too, gets the same address.
    card = "virtio-net-pci,netdev=lan,mac=52:54:00:00:00:07"
    with board(**config, extra_args=["-netdev", "user,id=lan", "-device", card]) as client:
        client.power.on()
        with uboot_prompt(client) as console:
            cards = run(console, "virtio scan; net list")
            assert re.findall(r"eth\d+ : virtio-net#\d+ (\S+)", cards) == [
                "52:54:00:12:34:56",
                "52:54:00:00:00:07",
            ]


def test_linux_over_the_network_from_u_boot_to_power_off(linux: Path) -> None:
    with board(tftp=linux, disk_size="8M") as client:
        client.power.on()
        with uboot_prompt(client) as console:
            for setting in ("autoload no", "tftpblocksize 1468", "bootargs console=ttyAMA0 quiet"):
                run(console, f"setenv {setting}")
            assert "DHCP client bound to address 10.0.2." in run(console, "dhcp")
            assert "Bytes transferred" in run(console, "tftpboot ${kernel_addr_r} Image")
            assert "Bytes transferred" in run(console, "tftpboot ${ramdisk_addr_r} initrd.gz")
            console.send("booti ${kernel_addr_r} ${ramdisk_addr_r}:${filesize} ${fdtcontroladdr}\r")
            console.expect_exact("jumpstarter login: ", timeout=STEP)
            console.send("root\r")
            console.expect_exact("target# ", timeout=STEP)
            assert "aarch64" in run(console, "uname -m", "target# ")
            # U-Boot's, which ports are forwarded to.
            assert "lease of 10.0.2.15 " in run(console, "udhcpc -i eth0 -n -q", "target# ")
            run(console, "echo from the guest > /dev/vda; sync", "target# ")
            console.send("poweroff\r")
            console.expect_exact("Power down", timeout=STEP)
        client.power.off()
        assert dumped(client, "root")[:15] == b"from the guest\n"


def test_kernel_partition_boots_without_firmware_and_ssh_port_leads_into_the_guest(linux: Path) -> None:
    partitions = {"kernel": linux / "Image", "initrd": linux / "initrd.gz"}
    with board(default_partitions=partitions, append="console=ttyAMA0 quiet") as client:
        client.power.on()
        with client.console.pexpect() as console:
            console.expect_exact("login: ", timeout=STEP)
            console.send("root\r")
            console.expect_exact("target# ", timeout=STEP)
            run(console, "udhcpc -i eth0 -n -q", "target# ")
            run(console, "echo hello from the guest | nc -l -p 22 &", "target# ")
            run(console, "until netstat -ltn | grep -q :22; do :; done", "target# ")
            with client.ssh.stream() as stream:
                assert received(stream).startswith(b"hello from the guest")


def received(stream: Any) -> bytes:
    data = b""
    while b"\n" not in data:
        data += stream.receive()
    return data


def dumped(client: Any, partition: str) -> bytes:
    import tempfile

    with tempfile.NamedTemporaryFile() as file:
        client.flasher.dump(file.name, target=partition)
        return Path(file.name).read_bytes()


def test_power_on_twice_and_off_twice() -> None:
    with board() as client:
        client.power.off()
        client.power.on()
        client.power.on()
        with uboot_prompt(client):
            pass
        client.power.off()
        client.power.off()
        client.power.on()
        with uboot_prompt(client):
            pass


def test_console_stays_open_over_a_power_cycle() -> None:
    with board() as client, client.console.pexpect() as console:
        for _ in range(2):
            client.power.on()
            console.expect_exact("Hit any key to stop autoboot", timeout=STEP)
            client.power.off()


def test_guest_that_resets_stays_on() -> None:
    with board() as client:
        client.power.on()
        with uboot_prompt(client) as console:
            console.send("reset\r")
            console.expect_exact("Hit any key to stop autoboot", timeout=STEP)


def test_board_can_be_switched_on_after_its_guest_powered_off() -> None:
    with board() as client:
        client.power.on()
        with uboot_prompt(client) as console:
            console.send("poweroff\r")
            console.expect_exact("poweroff ...", timeout=STEP)
        # The guest may not have ended yet: off waits for that.
        client.power.off()
        client.power.on()
        with uboot_prompt(client):
            pass


def test_failing_start_reaches_the_client_with_the_words_of_qemu() -> None:
    with board(cpu="nonsense") as client:
        with pytest.raises(DriverError, match=r"unable to find CPU model 'nonsense'") as caught:
            client.power.on()
        assert caught.value.remote_type == "QemuFailed"
        client.power.off()


def test_flashed_firmware_is_what_starts(tmp_path: Path) -> None:
    changed = tmp_path / "u-boot.bin"
    changed.write_bytes(
        UBOOT.read_bytes().replace(b"Hit any key to stop autoboot", b"Any key, please, stops this!")
    )
    with board() as client:
        client.flasher.flash(changed, target="bios")
        client.power.on()
        with client.console.pexpect() as console:
            console.expect_exact("Any key, please, stops this!", timeout=STEP)
        client.power.off()
        assert dumped(client, "bios") == changed.read_bytes()


def test_flashed_root_is_the_first_disk(tmp_path: Path) -> None:
    image = tmp_path / "root.img"
    image.write_bytes(b"I am the root disk".ljust(MIB, b"\0"))
    with board() as client:
        client.flasher.flash(image)
        client.set_disk_size("2M")
        client.power.on()
        with uboot_prompt(client) as console:
            run(console, "virtio scan")
            run(console, "virtio read ${loadaddr} 0 1")
            assert "I am the root di" in run(console, "md.b ${loadaddr} 20")
            assert "Capacity: 2.0 MB" in run(console, "virtio info")
            with pytest.raises(
                DriverError, match=r"cannot dump root while the board is on; power it off first"
            ):
                dumped(client, "root")


def test_flashing_an_unknown_partition_or_a_trick_image_is_refused(tmp_path: Path) -> None:
    trick = tmp_path / "trick.vmdk"
    trick.write_bytes(b"KDMV" + b"\1\0\0\0" + bytes(2000))
    with board() as client:
        with pytest.raises(DriverInvalidArgument, match=r"no partition 'rot'.*did you mean 'root'"):
            client.flasher.flash(trick, target="rot")
        with pytest.raises(DriverError, match=r"vmdk|qemu-img info failed"):
            client.flasher.flash(trick)


def test_flash_memory_keeps_what_the_firmware_writes_and_files_of_the_configuration_are_untouched(
    tmp_path: Path,
) -> None:
    # U-Boot stands in for UEFI: it too runs from the first flash device, and can erase the second.
    code, variables = tmp_path / "code.fd", tmp_path / "vars.fd"
    code.write_bytes(UBOOT.read_bytes().ljust(64 * MIB, b"\0"))
    variables.write_bytes(b"\x55" * 64 * MIB)
    with board(default_partitions={"OVMF_CODE.fd": code, "OVMF_VARS.fd": variables}) as client:
        client.power.on()
        with uboot_prompt(client) as console:
            assert "55 55 55 55" in run(console, "md.b 0x4000000 4")
            run(console, "protect off 0x4000000 +4; erase 0x4000000 +4")
            assert "ff ff ff ff" in run(console, "md.b 0x4000000 4")
        client.power.off()
        client.power.on()
        with uboot_prompt(client) as console:
            assert "ff ff ff ff" in run(console, "md.b 0x4000000 4")
            assert "55 55 55 55" in run(console, "md.b 0x4100000 4")
    assert variables.read_bytes() == b"\x55" * 64 * MIB


def test_sizes_take_effect_at_the_next_power_on() -> None:
    with board() as client:
        client.power.on()
        client.set_memory_size("256M")
        with uboot_prompt(client) as console:
            assert "0x0000000020000000" in run(console, "bdinfo").replace("size     = ", "size\t= ")
        client.power.off()
        client.power.on()
        with uboot_prompt(client) as console:
            assert "0x0000000010000000" in run(console, "bdinfo")
        with pytest.raises(
            DriverInvalidArgument, match=r"memory size: found 'much', expected a size such as"
        ):
            client.set_memory_size("much")
        with pytest.raises(DriverInvalidArgument, match=r"disk size: found '-1'"):
            client.set_disk_size("-1")


def test_identity_and_what_is_not_offered() -> None:
    with board(hostname="h", username="u", password="p") as client:
        assert (client.hostname, client.username, client.password) == ("h", "u", "p")
        with pytest.raises(DriverMethodNotImplemented, match=r"no power meter"):
            list(client.power.read())
        with pytest.raises(DriverMethodNotImplemented, match=r"cannot flash oci://registry/image"):
            client.flasher.flash("oci://registry/image")


def test_ports_are_forwarded_while_the_board_is_on(tmp_path: Path) -> None:
    forwards = {
        "web": {"hostport": 0, "guestport": 80},
        "dns": {"protocol": "udp", "hostport": 0, "guestport": 53},
    }
    with board(hostfwd=forwards) as client:
        assert {"power", "console", "flasher", "vnc", "ssh", "web", "dns"} == set(client.children)
        with (
            pytest.raises(DriverError, match=r"forwarded while it is on; power it on first"),
            client.web.stream(),
        ):
            pass
        with pytest.raises(DriverError, match=r"power it on first"):
            client.web.address()
        client.power.on()
        assert client.web.address().startswith("tcp://127.0.0.1:")
        assert client.dns.address().startswith("udp://127.0.0.1:")
        with client.web.stream() as stream:
            stream.send(b"x")
        client.power.off()
        with pytest.raises(DriverError, match=r"power it on first"):
            client.dns.address()


def test_screen_speaks_vnc() -> None:
    with board() as client:
        client.power.on()
        with client.vnc.stream() as stream:
            assert stream.receive().startswith(b"RFB 003.")


def test_cloud_image_gets_its_seed(linux: Path, tmp_path: Path) -> None:
    image = tmp_path / "cloud.img"
    image.write_bytes(bytes(MIB))
    partitions = {"kernel": linux / "Image", "initrd": linux / "initrd.gz", "root": image}
    with board(default_partitions=partitions, append="console=ttyAMA0 quiet", hostname="cloudy") as client:
        client.power.on()
        with client.console.pexpect() as console:
            console.expect_exact("login: ", timeout=STEP)
            console.send("root\r")
            console.expect_exact("target# ", timeout=STEP)
            # The seed's file system is at the beginning of the second disk.
            text = run(console, "dd if=/dev/vdb bs=1M count=2 2>/dev/null | strings", "target# ")
            assert "cidata" in text
            assert '"local-hostname": "cloudy"' in text


def test_configuration_of_the_introduction(tmp_path: Path) -> None:
    driver = QEMU(arch="aarch64", image_path=tmp_path / "vm.qcow2", memory="1G", cpu_cores=2)
    try:
        assert driver.default_partitions == {"root": tmp_path / "vm.qcow2"}
        assert (driver.mem, driver.smp) == ("1G", 2)
        with pytest.raises(ConfigurationError, match=r"default_partitions\.root: no file"):
            driver.children["power"].on()
    finally:
        driver.close()


def test_host_port_that_is_taken_is_told_in_the_words_of_qemu() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            board(hostfwd={"web": {"hostport": port, "guestport": 80}}) as client,
            pytest.raises(DriverError, match=rf"Could not set up host forwarding rule.*{port}"),
        ):
            client.power.on()


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"arch": "aarch65"}, r"did you mean 'aarch64'"),
        ({"mem": "much"}, r"mem: found 'much'"),
        ({"disk_size": "x"}, r"disk_size: found 'x'"),
        ({"smp": 0}, r"smp: found 0, expected 1 or more"),
        ({"accel": "fast"}, r"accel: found 'fast', expected one of auto, kvm, hvf, tcg"),
        ({"default_partitions": {"rot": "/x"}}, r"no partition 'rot'"),
        (
            {"hostfwd": {"power": {"hostport": 0, "guestport": 1}}},
            r"hostfwd\.power: the board has a child of that name",
        ),
    ],
)
def test_configuration_that_is_wrong_is_refused(config: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Qemu(**{"arch": "aarch64", **config})


def test_closing_the_board_ends_qemu_and_leaves_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    driver = Qemu(arch="aarch64")
    folder = driver.board.vnc.parent
    driver.children["power"].on()
    assert driver.board.vnc.exists()
    driver.close()
    assert not folder.exists()
    assert "the board is off" in caplog.text
