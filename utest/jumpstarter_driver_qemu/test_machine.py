from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter_driver_qemu.disks import Disk
from jumpstarter_driver_qemu.machine import Hostfwd, Machine, architecture_name
from jumpstarter_driver_qemu.network import checked_forward, chosen_ports


def command(**changes: Any) -> str:
    values: dict[str, Any] = {
        "arch": "aarch64",
        "accelerator": "tcg",
        "cpu": "cortex-a57",
        "smp": 2,
        "mem": "512M",
        "vnc": Path("/t/vnc"),
    }
    return " ".join(Machine(**{**values, **changes}).command())


def test_smallest_board() -> None:
    assert command() == (
        "qemu-system-aarch64 -nodefaults -no-user-config -display none -machine virt -accel tcg "
        "-cpu cortex-a57 -smp 2 -m 512M -netdev user,id=net -global virtio-net-pci.disable-legacy=on "
        "-device virtio-net-pci,netdev=net,romfile= "
        "-device virtio-gpu-pci -device virtio-keyboard-pci -device virtio-tablet-pci -vnc unix:/t/vnc"
    )


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"arch": "x86_64"}, "qemu-system-x86_64 "),
        ({"machine": "sbsa-ref"}, "-machine sbsa-ref -accel"),
        ({"firmware": Path("/u-boot.bin")}, "-bios /u-boot.bin"),
        ({"kernel": Path("/Image")}, "-kernel /Image -append console=ttyAMA0"),
        ({"kernel": Path("/Image"), "append": "quiet ro"}, "-append quiet ro"),
        ({"initrd": Path("/initrd")}, "-initrd /initrd"),
        (
            {"flash": [Disk(Path("/c"), readonly=True), Disk(Path("/v"))]},
            "-drive if=pflash,unit=0,format=raw,readonly=on,file=/c "
            "-drive if=pflash,unit=1,format=raw,readonly=off,file=/v",
        ),
        (
            {"disks": [Disk(Path("/a,b"), "qcow2")]},
            "-drive if=none,id=disk0,cache=writeback,format=qcow2,readonly=off,file=/a,,b "
            "-device virtio-blk-pci,drive=disk0",
        ),
        ({"seed": Path("/seed")}, "driver=vvfat,node-name=seed,read-only=on,label=cidata,dir=/seed"),
        ({"tftp": Path("/tf,tp")}, "-netdev user,id=net,tftp=/tf,,tp"),
        (
            {
                "hostfwd": [
                    Hostfwd(hostport=2222, guestport=22),
                    Hostfwd(protocol="udp", hostport=0, guestport=53),
                ]
            },
            "user,id=net,hostfwd=tcp:127.0.0.1:2222-:22,hostfwd=udp:127.0.0.1:0-:53",
        ),
        ({"restrict": True}, "-netdev user,id=net,restrict=on "),
        ({"vsock_cid": 7}, "-device vhost-vsock-pci,guest-cid=7"),
        ({"extra_args": ["-device", "x"]}, "-vnc unix:/t/vnc -device x"),
    ],
)
def test_parts(changes: dict[str, Any], part: str) -> None:
    assert part in command(**changes)


@pytest.mark.parametrize(
    ("name", "arch"), [("aarch64", "aarch64"), ("arm64", "aarch64"), ("AMD64", "x86_64"), ("armv7l", "arm")]
)
def test_architecture_names(name: str, arch: str) -> None:
    assert architecture_name(name) == arch


def test_unknown_architecture_names_the_nearest() -> None:
    with pytest.raises(
        ConfigurationError, match=r"arch: found 'aarch65', expected one of .*did you mean 'aarch64'"
    ):
        architecture_name("aarch65")


def test_forward_of_a_configuration() -> None:
    assert checked_forward("web", {"hostport": 0, "guestport": 80}) == Hostfwd(hostport=0, guestport=80)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"hostport": 80}, r"hostfwd\.web: expected protocol, hostaddr, hostport and guestport: .*guestport"),
        ({"hostport": 1, "guestport": 2, "port": 3}, "unexpected keyword argument 'port'"),
        (
            {"hostport": 99999, "guestport": 80},
            r"hostfwd\.web\.hostport: found 99999, expected .* 0 to 65535",
        ),
        ({"hostport": "80", "guestport": 80}, "hostport: found '80'"),
        ({"hostport": True, "guestport": 80}, "hostport: found True"),
        ({"hostport": 1, "guestport": 0}, "guestport: found 0, expected a whole number from 1 to"),
        ({"hostport": 1, "guestport": 2, "protocol": "sctp"}, "protocol: found 'sctp', expected tcp or udp"),
        (
            {"hostport": 1, "guestport": 2, "hostaddr": "x,y"},
            "hostaddr: found 'x,y', expected an IPv4 address",
        ),
    ],
)
def test_forward_that_is_wrong_names_its_key(value: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        checked_forward("web", value)


def test_ports_that_qemu_chose() -> None:
    # Recorded from QEMU 7.2.
    text = (
        "Hub -1 (net):\r\n"
        "  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\r\n"
        "  TCP[ESTABLISHED]   11       127.0.0.1 39113       10.0.2.15    22     0     0\r\n"
        "  TCP[HOST_FORWARD]  10       127.0.0.1 39113       10.0.2.15    22     0     0\r\n"
        "  UDP[HOST_FORWARD]  12               *  5353       10.0.2.15    53     0     0\r\n"
    )
    assert chosen_ports(text) == {("tcp", 22): 39113, ("udp", 53): 5353}
