from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from jumpstarter.common.exceptions import ConfigurationError, DriverError, DriverInvalidArgument
from jumpstarter_driver_qemu.disks import PARTITIONS, Disk, Storage, parse_size, partition_name

MIB = 1 << 20
needs_qemu = pytest.mark.usefixtures("qemu")


def qemu_img(*arguments: str) -> None:
    subprocess.run(["qemu-img", *arguments], check=True, stdout=subprocess.DEVNULL)


def storage(folder: Path, **defaults: Path) -> Storage:
    own = folder / "own"
    own.mkdir()
    return Storage(own, defaults)


@pytest.mark.parametrize(
    ("name", "partition"),
    [
        *((name, name) for name in PARTITIONS),
        ("ROOT", "root"),
        ("OVMF-CODE.fd", "OVMF_CODE.fd"),
        ("ovmf_vars", "OVMF_VARS.fd"),
    ],
)
def test_partition_names(name: str, partition: str) -> None:
    assert partition_name(name) == partition


def test_unknown_partition_names_the_nearest() -> None:
    with pytest.raises(
        DriverInvalidArgument, match=r"no partition 'rot', expected one of root.*did you mean 'root'"
    ):
        partition_name("rot")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512M", 512 * MIB),
        ("20G", 20 << 30),
        ("1GiB", 1 << 30),
        ("2 gb", 2 << 30),
        ("4096", 4096),
        ("1k", 1024),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text, "mem") == size


@pytest.mark.parametrize("text", ["", "M", "-1G", "1.5G", "1X", "0", "0M", "1G; rm -rf"])
def test_what_is_not_a_size(text: str) -> None:
    with pytest.raises(DriverInvalidArgument, match=r"mem: found .*expected a size such as"):
        parse_size(text, "mem")


def test_flashed_content_replaces_the_default(tmp_path: Path) -> None:
    default = tmp_path / "kernel"
    default.write_bytes(b"default")
    disks = storage(tmp_path, kernel=default)
    assert disks.path("kernel") == default
    assert disks.flash("kernel", [b"fla", b"shed"]) == 7
    assert disks.path("kernel").read_bytes() == b"flashed"
    assert b"".join(disks.dump("kernel")) == b"flashed"
    assert default.read_bytes() == b"default"


def test_transfer_that_breaks_leaves_the_old_content(tmp_path: Path) -> None:
    disks = storage(tmp_path)
    disks.flash("bios", [b"old"])

    def cut() -> None:
        raise DriverError("cut")

    with pytest.raises(DriverError, match=r"cut"):
        disks.flash("bios", [b"ne", b"w"], cut)
    assert b"".join(disks.dump("bios")) == b"old"
    assert [path.name for path in (tmp_path / "own").iterdir()] == ["bios.image"]


def test_void_partition_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        DriverError, match=r"partition 'bios' has no content; flash it or set default_partitions.bios"
    ):
        storage(tmp_path).path("bios")


def test_default_that_does_not_exist_names_key_and_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"default_partitions\.bios: no file .*/absent"):
        storage(tmp_path, bios=tmp_path / "absent").find("bios")


@needs_qemu
def test_root_of_the_configuration_is_never_written(tmp_path: Path) -> None:
    image = tmp_path / "root.raw"
    image.write_bytes(b"\1" * MIB)
    disks = storage(tmp_path, root=image)
    disk = disks.root(None)
    assert disk is not None and disk.format == "qcow2" and disk.path.parent == tmp_path / "own"
    # What a guest does: write to the disk that it was given.
    subprocess.run(
        ["qemu-io", "-f", "qcow2", "-c", "write -P 2 0 64k", str(disk.path)], check=True, capture_output=True
    )
    assert disks.root(None) == disk, "the guest's changes outlive a power cycle"
    assert b"".join(disks.dump("root")) == b"\2" * 65536 + b"\1" * (MIB - 65536)
    assert image.read_bytes() == b"\1" * MIB
    disks.flash("root", [b"\3" * MIB])
    assert disks.root(None) == Disk(tmp_path / "own" / "root.image", "raw")
    assert b"".join(disks.dump("root")) == b"\3" * MIB


@needs_qemu
def test_disk_grows_and_does_not_shrink(tmp_path: Path) -> None:
    disks = storage(tmp_path)
    disks.flash("root", [b"\1" * MIB])
    disk = disks.root(4 * MIB)
    assert disk is not None and disk.path.stat().st_size == 4 * MIB
    with pytest.raises(DriverError, match=r"disk_size is 1048576 bytes.*has 4194304; a disk cannot shrink"):
        disks.root(MIB)


@needs_qemu
def test_size_without_an_image_makes_a_void_disk_that_keeps_its_content(tmp_path: Path) -> None:
    disks = storage(tmp_path)
    assert disks.root(None) is None
    disk = disks.root(MIB)
    assert disk is not None and disk.format == "raw" and not disks.has_root_image
    disk.path.write_bytes(b"\7" * MIB)
    assert disks.root(MIB) == disk
    assert disk.path.read_bytes() == b"\7" * MIB
    disks.flash("root", [b"\1" * MIB])
    assert disks.has_root_image


@needs_qemu
def test_guest_cannot_turn_its_raw_disk_into_one_that_refers_to_a_file(tmp_path: Path) -> None:
    secret, trick = tmp_path / "secret", tmp_path / "trick.qcow2"
    secret.write_bytes(b"s" * MIB)
    qemu_img("create", "-q", "-f", "qcow2", "-b", str(secret), "-F", "raw", str(trick))
    disks = storage(tmp_path)
    disks.flash("root", [b"\0" * MIB])
    disk = disks.root(None)
    assert disk is not None
    disk.path.write_bytes(trick.read_bytes().ljust(MIB, b"\0"))
    assert disks.root(2 * MIB) == disk
    assert disk.format == "raw"
    assert b"sss" not in b"".join(disks.dump("root"))


@needs_qemu
@pytest.mark.parametrize("kind", ["backing", "data"])
def test_image_that_refers_to_another_file_is_refused(tmp_path: Path, kind: str) -> None:
    secret, trick = tmp_path / "secret", tmp_path / "trick.qcow2"
    secret.write_bytes(b"s" * MIB)
    if kind == "backing":
        qemu_img("create", "-q", "-f", "qcow2", "-b", str(secret), "-F", "raw", str(trick))
    else:
        qemu_img(
            "create", "-q", "-f", "qcow2", "-o", f"data_file={secret},data_file_raw=on", str(trick), "1M"
        )
    disks = storage(tmp_path)
    disks.flash("root", [b"old" * 1000])
    with pytest.raises(DriverInvalidArgument, match=f"refers to another file, '{secret}'"):
        disks.flash("root", [trick.read_bytes()])
    assert b"".join(disks.dump("root")) == b"old" * 1000


@needs_qemu
def test_image_of_an_unknown_format_is_refused(tmp_path: Path) -> None:
    image = tmp_path / "image.vmdk"
    qemu_img("create", "-q", "-f", "vmdk", str(image), "1M")
    with pytest.raises(DriverInvalidArgument, match=r"of format vmdk, expected raw or qcow2"):
        storage(tmp_path).flash("root", [image.read_bytes()])


def test_uefi_variables_are_copied_before_a_guest_writes_them(tmp_path: Path) -> None:
    code, variables = tmp_path / "code", tmp_path / "vars"
    code.write_bytes(b"c")
    variables.write_bytes(b"v")
    disks = storage(tmp_path, **{"OVMF_CODE.fd": code, "OVMF_VARS.fd": variables})
    found = disks.flash_memory()
    own = tmp_path / "own" / "OVMF_VARS.fd.image"
    assert found == [Disk(code, readonly=True), Disk(own)]
    own.write_bytes(b"w")
    assert disks.flash_memory() == found
    assert own.read_bytes() == b"w"
    assert variables.read_bytes() == b"v"
